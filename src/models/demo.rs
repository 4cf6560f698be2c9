//! The provider that needs no key. It is present when nothing else is configured, and says exactly that.
//!
//! It does not pretend to be a model: the answer is a fixed text about itself with the length of the last message.
//! Usage is an estimate, four characters per token.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::config::ModelEntry;
use crate::domain::model::{CallError, FinishReason, ModelCall, ModelEvent, ModelProvider, ModelStream, Usage};
use crate::domain::{Message, Part};

/// Provider id and dialect name.
pub const ID: &str = "demo";

/// Its only model.
pub const MODEL: &str = "demo";

/// Pause between words, so that a client can be seen to stream.
const WORD_PAUSE: Duration = Duration::from_millis(2);

const CHARS_PER_TOKEN: usize = 4;

/// The built-in provider.
#[derive(Debug, Clone, Copy, Default)]
pub struct Demo;

impl Demo {
    /// Facts about the demo model.
    pub fn entry() -> ModelEntry {
        ModelEntry {
            id: MODEL.to_owned(),
            name: "Built-in demo (no language model)".to_owned(),
            reasoning: false,
            input: vec!["text".to_owned()],
            context_window: 200_000,
            is_window_known: true,
            max_tokens: 8_192,
            cost: [0.0; 4],
        }
    }
}

impl ModelProvider for Demo {
    fn id(&self) -> &str {
        ID
    }

    fn api(&self) -> &'static str {
        "demo"
    }

    fn call<'a>(
        &'a self,
        call: &'a ModelCall,
    ) -> Pin<Box<dyn Future<Output = Result<ModelStream, CallError>> + Send + 'a>> {
        Box::pin(async move {
            let text = answer(call);
            let finish = ModelEvent::Finish {
                reason: FinishReason::Stop,
                usage: Some(estimate(call, &text)),
            };
            if !call.stream {
                let events: ModelStream = Box::pin(stream::iter([Ok(ModelEvent::Text(text)), Ok(finish)]));
                return Ok(events);
            }
            let words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
            let words = stream::iter(words).then(|word| async {
                tokio::time::sleep(WORD_PAUSE).await;
                Ok(ModelEvent::Text(word))
            });
            let events: ModelStream = Box::pin(words.chain(stream::iter([Ok(finish)])));
            Ok(events)
        })
    }
}

fn answer(call: &ModelCall) -> String {
    let (characters, images) = last_user_message(call);
    let mut received = format!("I received your message of {characters} characters");
    match images {
        0 => {}
        1 => received.push_str(" and an image"),
        several => received.push_str(&format!(" and {several} images")),
    }
    format!(
        "This is the OpenClaw Gateway's built-in demo, not a language model. {received}, but no model provider is \
         configured, so nothing was understood and nothing was sent anywhere. To get real answers, add a provider to \
         openclaw.json, for example: models: {{ providers: {{ openai: {{ baseUrl: \"https://api.openai.com/v1\", apiKey: \
         \"${{OPENAI_API_KEY}}\", api: \"openai-completions\", models: [{{ id: \"<model>\", name: \"<model>\" }}] }} }} }} and \
         set agents.defaults.model.primary to \"openai/<model>\". Or start Ollama on this machine: it is found by itself \
         at 127.0.0.1:11434."
    )
}

fn last_user_message(call: &ModelCall) -> (usize, usize) {
    let parts = call.messages.iter().rev().find_map(|message| match &**message {
        Message::User { parts } => Some(parts),
        _ => None,
    });
    parts.map_or((0, 0), |parts| {
        parts.iter().fold((0, 0), |(characters, images), part| match part {
            Part::Text(text) => (characters + text.chars().count(), images),
            Part::Image { .. } => (characters, images + 1),
            Part::Audio { .. } => (characters, images),
        })
    })
}

fn estimate(call: &ModelCall, answer: &str) -> Usage {
    let system = call.system.as_ref().map_or(0, String::len);
    let prompt = system + call.messages.iter().map(|message| message.weight()).sum::<usize>();
    Usage {
        input: prompt.div_ceil(CHARS_PER_TOKEN) as u64,
        output: answer.len().div_ceil(CHARS_PER_TOKEN) as u64,
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::model::ToolChoice;

    fn call(stream: bool) -> ModelCall {
        ModelCall {
            model: MODEL.into(),
            system: Some("be brief".into()),
            messages: vec![Arc::new(Message::user("größer"))],
            tools: Arc::from([]),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: None,
            sampling: Arc::default(),
            stream,
            trace: None,
        }
    }

    async fn run(stream: bool) -> (Vec<String>, ModelEvent) {
        let call = call(stream);
        let events: Vec<_> = Demo.call(&call).await.unwrap().collect().await;
        let mut texts = Vec::new();
        let mut last = None;
        for event in events {
            match event.unwrap() {
                ModelEvent::Text(text) => texts.push(text),
                other => last = Some(other),
            }
        }
        (texts, last.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn streams_word_by_word_and_says_what_it_is() {
        let (words, last) = run(true).await;
        assert!(words.len() > 20);
        let text = words.concat();
        assert!(text.contains("not a language model"));
        assert!(text.contains("6 characters"));
        assert!(
            matches!(last, ModelEvent::Finish { reason: FinishReason::Stop, usage: Some(usage) } if usage.output > 20)
        );
    }

    #[tokio::test]
    async fn answers_in_one_piece_when_deltas_are_not_wanted() {
        let (texts, _) = run(false).await;
        assert_eq!(texts.len(), 1);
    }
}
