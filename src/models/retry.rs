//! The one retry budget of a turn.
//!
//! Only failures before the first event are retried, only transient ones, and never more than the budget allows over
//! the whole turn, fall-backs included: a client that sees an error knows that the provider was not hammered for it.

use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::domain::model::{CallError, CallErrorClass, ModelCall, ModelProvider, ModelStream};

use super::cooldown::is_about_the_account;
use super::failure::call_error;

/// How often and how patiently a call is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Calls per candidate model, the first one included.
    pub max_attempts: u32,
    /// Calls per turn over all candidates.
    pub max_total: u32,
    /// Delay before the second call, before jitter; doubles with every further one.
    pub base: Duration,
    /// Longest delay of our own choice.
    pub cap: Duration,
    /// A provider that asks for a longer pause is not asked again; the caller gets its `Retry-After`.
    pub max_retry_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            max_total: 6,
            base: Duration::from_millis(400),
            cap: Duration::from_secs(4),
            max_retry_after: Duration::from_secs(20),
        }
    }
}

impl RetryPolicy {
    /// The pause before another call, after `attempt` calls (from 1) of which the last failed with `error`. `None`:
    /// give up.
    pub fn next_delay(&self, error: &CallError, attempt: u32) -> Option<Duration> {
        self.delay_with_jitter(error, attempt, rand::random::<f64>())
    }

    /// `jitter` in `0..1` picks the delay from the upper half of the interval.
    fn delay_with_jitter(&self, error: &CallError, attempt: u32, jitter: f64) -> Option<Duration> {
        if attempt >= self.max_attempts || !error.class.is_transient() {
            return None;
        }
        if let Some(asked) = error.retry_after {
            return (asked <= self.max_retry_after).then_some(asked);
        }
        let doublings = attempt.saturating_sub(1).min(16);
        let full = self.base.saturating_mul(1 << doublings).min(self.cap);
        Some(full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0)))
    }
}

/// Counts the provider calls of one turn.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    policy: RetryPolicy,
    total: u32,
    attempts: u32,
    /// Calls that are kept for the candidates still to come.
    reserved: u32,
}

impl RetryBudget {
    /// A fresh budget, for one turn.
    pub fn new(policy: RetryPolicy) -> Self {
        Self {
            policy,
            total: 0,
            attempts: 0,
            reserved: 0,
        }
    }

    /// Starts counting for the next candidate; the total goes on. Each of the `further` ones keeps a call of its own.
    pub fn next_candidate(&mut self, further: usize) {
        self.attempts = 0;
        self.reserved = u32::try_from(further).unwrap_or(u32::MAX);
    }

    /// Forgets failures, because a call succeeded: the next round of a tool loop has its own budget.
    pub fn succeeded(&mut self) {
        self.total = 0;
        self.attempts = 0;
    }

    /// Whether another call is allowed at all.
    pub fn is_spent(&self) -> bool {
        self.total >= self.policy.max_total
    }

    /// Calls made for the present candidate.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    fn spend(&mut self) {
        self.total += 1;
        self.attempts += 1;
    }

    fn next_delay(&self, error: &CallError) -> Option<Duration> {
        if self.total.saturating_add(self.reserved) >= self.policy.max_total {
            return None;
        }
        self.policy.next_delay(error, self.attempts)
    }
}

/// Calls `provider` until an answer begins, within `budget`. The returned stream starts with the first event.
///
/// An error of the stream itself is final: text may already be with the client. `gives_way`: another account waits, so
/// that a failure about this one is not worth another call. Dropping the future cancels the call or the pause.
pub async fn call_until_first_event(
    provider: &dyn ModelProvider,
    call: &ModelCall,
    budget: &mut RetryBudget,
    gives_way: bool,
) -> Result<ModelStream, CallError> {
    if budget.is_spent() {
        return Err(call_error(
            CallErrorClass::Overloaded,
            "no further provider call is allowed in this turn",
        ));
    }
    loop {
        budget.spend();
        let error = match begin(provider, call).await {
            Ok(events) => return Ok(events),
            Err(error) => error,
        };
        if gives_way && is_about_the_account(error.class) {
            return Err(error);
        }
        let Some(delay) = budget.next_delay(&error) else {
            return Err(error);
        };
        tracing::debug!(
            target: "models",
            provider = provider.id(),
            class = error.class.as_str(),
            status = error.status,
            attempt = budget.attempts(),
            delay_ms = delay.as_millis(),
            "provider call failed, trying again"
        );
        tokio::time::sleep(delay).await;
    }
}

async fn begin(provider: &dyn ModelProvider, call: &ModelCall) -> Result<ModelStream, CallError> {
    let mut events = provider.call(call).await?;
    match events.next().await {
        Some(Ok(first)) => Ok(Box::pin(stream::iter([Ok(first)]).chain(events))),
        Some(Err(error)) => Err(error),
        None => Err(call_error(
            CallErrorClass::Malformed,
            format!("provider `{}` ended its answer without any content", provider.id()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::domain::model::{FinishReason, ModelEvent, ToolChoice};

    type Answer = Result<Vec<Result<ModelEvent, CallError>>, CallError>;

    #[derive(Debug)]
    struct Scripted {
        answers: Mutex<Vec<Answer>>,
        calls: AtomicU32,
    }

    impl Scripted {
        fn new(mut answers: Vec<Answer>) -> Self {
            answers.reverse();
            Self {
                answers: Mutex::new(answers),
                calls: AtomicU32::new(0),
            }
        }
    }

    impl ModelProvider for Scripted {
        fn id(&self) -> &str {
            "scripted"
        }

        fn api(&self) -> &'static str {
            "scripted"
        }

        fn call<'a>(
            &'a self,
            _call: &'a ModelCall,
        ) -> Pin<Box<dyn Future<Output = Result<ModelStream, CallError>> + Send + 'a>> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let answer = self.answers.lock().unwrap().pop().expect("more calls than answers");
            Box::pin(async move { answer.map(|events| Box::pin(stream::iter(events)) as ModelStream) })
        }
    }

    fn failure(class: CallErrorClass) -> CallError {
        call_error(class, "failed")
    }

    fn call() -> ModelCall {
        ModelCall {
            model: "m".into(),
            system: None,
            messages: Vec::new(),
            tools: Arc::from([]),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: None,
            sampling: Arc::default(),
            stream: true,
            trace: None,
        }
    }

    fn good() -> Answer {
        Ok(vec![
            Ok(ModelEvent::Text("hi".into())),
            Ok(ModelEvent::Finish {
                reason: FinishReason::Stop,
                usage: None,
            }),
        ])
    }

    #[test]
    fn delays_double_up_to_the_cap_and_stop_at_the_last_attempt() {
        let policy = RetryPolicy {
            max_attempts: 6,
            ..RetryPolicy::default()
        };
        let error = failure(CallErrorClass::Server);
        let delays: Vec<Option<u128>> = (1..=6)
            .map(|attempt| {
                policy
                    .delay_with_jitter(&error, attempt, 1.0)
                    .map(|delay| delay.as_millis())
            })
            .collect();
        assert_eq!(delays, [Some(400), Some(800), Some(1600), Some(3200), Some(4000), None]);
        assert_eq!(
            policy.delay_with_jitter(&error, 1, 0.0),
            Some(Duration::from_millis(200))
        );
    }

    #[test]
    fn the_providers_pause_is_kept_or_passed_on_if_too_long() {
        let policy = RetryPolicy::default();
        let mut error = failure(CallErrorClass::RateLimit);
        error.retry_after = Some(Duration::from_secs(2));
        assert_eq!(policy.next_delay(&error, 1), Some(Duration::from_secs(2)));
        error.retry_after = Some(Duration::from_secs(21));
        assert_eq!(policy.next_delay(&error, 1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn permanent_failures_are_called_once() {
        for class in [
            CallErrorClass::Auth,
            CallErrorClass::BadRequest,
            CallErrorClass::NotConfigured,
        ] {
            let provider = Scripted::new(vec![Err(failure(class))]);
            let mut budget = RetryBudget::new(RetryPolicy::default());
            let Err(error) = call_until_first_event(&provider, &call(), &mut budget, false).await else {
                panic!("should fail");
            };
            assert_eq!(error.class, class);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn transient_failures_before_the_first_event_are_retried_within_the_budget() {
        let provider = Scripted::new(vec![
            Err(failure(CallErrorClass::Server)),
            Ok(vec![Err(failure(CallErrorClass::Network))]),
            good(),
        ]);
        let mut budget = RetryBudget::new(RetryPolicy::default());
        let events = call_until_first_event(&provider, &call(), &mut budget, false)
            .await
            .unwrap();
        assert_eq!(events.count().await, 2);
        assert_eq!(provider.calls.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn all_candidates_of_a_turn_share_the_total() {
        let mut budget = RetryBudget::new(RetryPolicy::default());
        let mut calls = 0;
        for _ in 0..4 {
            let provider = Scripted::new((0..3).map(|_| Err(failure(CallErrorClass::Server))).collect());
            budget.next_candidate(0);
            assert!(
                call_until_first_event(&provider, &call(), &mut budget, false)
                    .await
                    .is_err()
            );
            calls += provider.calls.load(Ordering::Relaxed);
        }
        assert_eq!(calls, 6);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_after_the_first_event_stays_in_the_stream() {
        let provider = Scripted::new(vec![Ok(vec![
            Ok(ModelEvent::Text("half".into())),
            Err(failure(CallErrorClass::Network)),
        ])]);
        let mut budget = RetryBudget::new(RetryPolicy::default());
        let events: Vec<_> = call_until_first_event(&provider, &call(), &mut budget, false)
            .await
            .unwrap()
            .collect()
            .await;
        assert!(events[0].is_ok() && events[1].is_err());
        assert_eq!(provider.calls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn candidates_to_come_keep_a_call_and_an_account_gives_way_to_the_next() {
        let failing = |class| Scripted::new((0..3).map(|_| Err(failure(class))).collect());
        let mut budget = RetryBudget::new(RetryPolicy::default());
        let mut calls = Vec::new();
        for further in [3, 2, 1, 0] {
            let provider = failing(CallErrorClass::Server);
            budget.next_candidate(further);
            let answer = call_until_first_event(&provider, &call(), &mut budget, false).await;
            assert!(answer.is_err());
            calls.push(provider.calls.load(Ordering::Relaxed));
        }
        assert_eq!(calls, [3, 1, 1, 1]);
        for (class, expected) in [(CallErrorClass::RateLimit, 1), (CallErrorClass::Server, 3)] {
            let provider = failing(class);
            let mut budget = RetryBudget::new(RetryPolicy::default());
            let answer = call_until_first_event(&provider, &call(), &mut budget, true).await;
            assert!(answer.is_err());
            assert_eq!(provider.calls.load(Ordering::Relaxed), expected);
        }
    }
}
