//! One struct per thing worth counting; `emit` writes the log line and the metrics together.

use std::time::Duration;

use super::names;

/// A run ended.
#[derive(Debug)]
pub struct RunFinished<'a> {
    /// Its id.
    pub run_id: &'a str,
    /// Its agent.
    pub agent: &'a str,
    /// `chat`, `agent` or `openai`.
    pub trigger: &'static str,
    /// Provider that answered last.
    pub provider: &'a str,
    /// Model that answered last.
    pub model: &'a str,
    /// `completed`, `aborted`, `timeout` or `error`.
    pub outcome: &'static str,
    /// Work time.
    pub duration: Duration,
    /// Input, output, cache read, cache write.
    pub tokens: [u64; 4],
    /// What they cost, USD.
    pub cost_usd: f64,
    /// Error text, if it failed.
    pub error: Option<&'a str>,
}

impl RunFinished<'_> {
    /// Records it.
    pub fn emit(&self) {
        let labels = [
            ("channel", "webchat".to_owned()),
            ("model", self.model.to_owned()),
            ("outcome", self.outcome.to_owned()),
            ("provider", self.provider.to_owned()),
            ("trigger", self.trigger.to_owned()),
        ];
        metrics::counter!(names::RUN_COMPLETED, &labels).increment(1);
        metrics::histogram!(names::RUN_DURATION, &labels).record(self.duration.as_secs_f64());
        TokensSpent {
            agent: self.agent,
            provider: self.provider,
            model: self.model,
            tokens: self.tokens,
            cost_usd: self.cost_usd,
        }
        .emit();
        let duration_ms = u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX);
        match self.error {
            Some(error) => tracing::warn!(
                target: "agent", run_id = self.run_id, agent = self.agent, provider = self.provider,
                model = self.model, outcome = self.outcome, duration_ms, error, "run failed"
            ),
            None => tracing::debug!(
                target: "agent", run_id = self.run_id, agent = self.agent, provider = self.provider,
                model = self.model, outcome = self.outcome, duration_ms, "run finished"
            ),
        }
    }
}

/// An agent used tokens.
#[derive(Debug)]
pub struct TokensSpent<'a> {
    /// The agent.
    pub agent: &'a str,
    /// Provider.
    pub provider: &'a str,
    /// Model.
    pub model: &'a str,
    /// Input, output, cache read, cache write.
    pub tokens: [u64; 4],
    /// What they cost, USD.
    pub cost_usd: f64,
}

impl TokensSpent<'_> {
    /// Records it.
    pub fn emit(&self) {
        for (kind, count) in ["input", "output", "cache_read", "cache_write"]
            .into_iter()
            .zip(self.tokens)
        {
            if count > 0 {
                metrics::counter!(names::MODEL_TOKENS, "agent" => self.agent.to_owned(), "channel" => "webchat",
                    "model" => self.model.to_owned(), "provider" => self.provider.to_owned(), "token_type" => kind)
                .increment(count);
            }
        }
        if self.cost_usd > 0.0 {
            metrics::gauge!(names::MODEL_COST, "agent" => self.agent.to_owned(), "channel" => "webchat",
                "model" => self.model.to_owned(), "provider" => self.provider.to_owned())
            .increment(self.cost_usd);
        }
    }
}

/// A request to a model provider ended.
#[derive(Debug)]
pub struct ModelCalled<'a> {
    /// Dialect.
    pub api: &'static str,
    /// Provider.
    pub provider: &'a str,
    /// Model.
    pub model: &'a str,
    /// Class of the failure, if it failed.
    pub error: Option<&'static str>,
    /// From sending to the first event, if there was one.
    pub first_event: Option<Duration>,
    /// From sending to the last event.
    pub duration: Duration,
    /// Prompt and completion tokens, if the provider counted.
    pub tokens: Option<[u64; 2]>,
}

impl ModelCalled<'_> {
    /// Records it.
    pub fn emit(&self) {
        let labels = [
            ("api", self.api.to_owned()),
            ("error_category", self.error.unwrap_or("none").to_owned()),
            ("model", self.model.to_owned()),
            (
                "outcome",
                if self.error.is_some() { "error" } else { "completed" }.to_owned(),
            ),
            ("provider", self.provider.to_owned()),
            ("transport", "http".to_owned()),
        ];
        metrics::counter!(names::MODEL_CALL, &labels).increment(1);
        metrics::histogram!(names::MODEL_CALL_DURATION, &labels).record(self.duration.as_secs_f64());
        let counts = ["input", "output"].into_iter().zip(self.tokens.into_iter().flatten());
        for (kind, count) in counts.filter(|(_, count)| *count > 0) {
            #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
            metrics::histogram!(names::GEN_AI_TOKENS, "model" => self.model.to_owned(),
                "provider" => self.provider.to_owned(), "token_type" => kind)
            .record(count as f64);
        }
        if let Some(first) = self.first_event {
            metrics::histogram!(names::MODEL_FIRST_EVENT, "api" => self.api, "model" => self.model.to_owned(),
                "provider" => self.provider.to_owned())
            .record(first.as_secs_f64());
        }
    }
}

/// A run went on with the next model of its chain.
#[derive(Debug)]
pub struct ModelFailedOver<'a> {
    /// Provider and model that failed.
    pub from: (&'a str, &'a str),
    /// Provider and model that are asked next.
    pub to: (&'a str, &'a str),
    /// Class of the failure.
    pub reason: &'static str,
}

impl ModelFailedOver<'_> {
    /// Records it.
    pub fn emit(&self) {
        let labels = [
            ("from_model", self.from.1.to_owned()),
            ("from_provider", self.from.0.to_owned()),
            ("lane", "main".to_owned()),
            ("reason", self.reason.to_owned()),
            ("suspended", "false".to_owned()),
            ("to_model", self.to.1.to_owned()),
            ("to_provider", self.to.0.to_owned()),
        ];
        metrics::counter!(names::MODEL_FAILOVER, &labels).increment(1);
        tracing::warn!(
            target: "models", from_provider = self.from.0, from_model = self.from.1, to_provider = self.to.0,
            to_model = self.to.1, reason = self.reason, "a model failed; the next of its chain is asked"
        );
    }
}

/// A session changed its state; the names are upstream's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// A message waits behind the one at work.
    Waiting,
    /// A run of the session begins.
    Processing,
    /// A run of the session ended like this: `completed`, `aborted`, `timeout` or `error`.
    Idle(&'static str),
}

impl SessionState {
    /// Records it.
    pub fn emit(self) {
        let (state, reason) = match self {
            Self::Waiting => ("waiting", "message_queued"),
            Self::Processing => ("processing", "run_started"),
            Self::Idle("completed") => ("idle", "run_completed"),
            Self::Idle("aborted") => ("idle", "run_aborted"),
            Self::Idle("timeout") => ("idle", "run_timeout"),
            Self::Idle(_) => ("idle", "run_error"),
        };
        metrics::counter!(names::SESSION_STATE, "reason" => reason, "state" => state).increment(1);
    }
}

/// What became of telemetry that is sent elsewhere. `signal`: `traces`, `metrics` or `logs`.
#[derive(Debug, Clone, Copy)]
pub enum ExporterState {
    /// A request was accepted.
    Sent {
        /// Signal.
        signal: &'static str,
    },
    /// A request was given up, with everything in it.
    Failed {
        /// Signal.
        signal: &'static str,
        /// Class of the failure.
        reason: &'static str,
    },
    /// Items did not fit into the queue, or the receiver would not have them.
    Dropped {
        /// Signal.
        signal: &'static str,
        /// How many.
        items: u64,
    },
}

impl ExporterState {
    /// Records it.
    pub fn emit(self) {
        let (signal, status, reason, count) = match self {
            Self::Sent { signal } => (signal, "sent", "none", 1),
            Self::Failed { signal, reason } => (signal, "failed", reason, 1),
            Self::Dropped { signal, items } => (signal, "dropped", "queue_full", items),
        };
        metrics::counter!(names::EXPORTER, "exporter" => "otlp", "reason" => reason, "signal" => signal, "status" => status)
            .increment(count);
    }
}

/// A configuration change was judged.
#[derive(Debug, Clone, Copy)]
pub enum ConfigReload<'a> {
    /// It is in force.
    Applied {
        /// Its generation.
        generation: u64,
        /// Changed key paths.
        paths: &'a [String],
        /// From detection to commit.
        took: Duration,
    },
    /// It was refused; the old one stays.
    Rejected {
        /// Why.
        error: &'a str,
    },
}

impl ConfigReload<'_> {
    /// Records it.
    pub fn emit(self) {
        match self {
            Self::Applied {
                generation,
                paths,
                took,
            } => {
                metrics::counter!(names::CONFIG_RELOADS, "result" => "applied").increment(1);
                config_in_force(generation);
                let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(target: "gateway/reload", generation, took_ms, "config hot reload applied ({})", paths.join(", "));
            }
            Self::Rejected { error } => {
                metrics::counter!(names::CONFIG_RELOADS, "result" => "rejected").increment(1);
                tracing::warn!(target: "gateway/reload", "config reload skipped (invalid config): {error}");
            }
        }
    }
}

/// Says which generation of the configuration is in force, at the start and after every change.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
pub fn config_in_force(generation: u64) {
    metrics::gauge!(names::CONFIG_GENERATION).set(generation as f64);
}
