//! Embeddings: no run, but a call that costs money, so the same limits hold and the same things are counted.

use tokio::time::Instant;

use super::runs::AgentRuns;
use super::spans;
use crate::base::AgentId;
use crate::config::EmbeddingSettings;
use crate::domain::Fault;
use crate::domain::embedding::{Embedder, EmbeddingCall, Embeddings};
use crate::domain::model::{CallError, ModelRef, Usage};
use crate::domain::run::PortFuture;
use crate::live::Live;
use crate::models::client::call_fault;
use crate::sessions::rows;
use crate::telemetry::events::{ModelCalled, TokensSpent};

/// The dialect in metrics.
const API: &str = "openai-embeddings";

impl AgentRuns {
    async fn embed_for(
        &self,
        agent: &AgentId,
        settings: &EmbeddingSettings,
        mut call: EmbeddingCall,
    ) -> Result<Embeddings, Fault> {
        let live = self.live();
        let now_ms = self.now_ms();
        self.ledger().check(&live.snapshot, agent, now_ms).await?;
        let model = ModelRef {
            provider: settings.provider.as_str().into(),
            model: settings.model.as_str().into(),
        };
        let label = label(&live, agent, &model);
        let mut span = spans::embeddings(self.tracer(), call.trace, &model.provider, label);
        call.trace = span.context();
        let began = Instant::now();
        let answer = match live.models.embedder(settings) {
            Ok(provider) => provider.embed(&call).await,
            Err(error) => Err(error),
        };
        match &answer {
            Ok(answer) => span.set("gen_ai.usage.input_tokens", answer.prompt_tokens),
            Err(error) => spans::failed(&mut span, error.class.as_str()),
        }
        drop(span);
        ModelCalled {
            api: API,
            provider: &model.provider,
            model: label,
            error: answer.as_ref().err().map(|error| error.class.as_str()),
            first_event: None,
            duration: began.elapsed(),
            tokens: answer.as_ref().ok().map(|answer| [answer.prompt_tokens, 0]),
        }
        .emit();
        let answer = answer.map_err(
            |CallError {
                 class,
                 message,
                 retry_after,
                 ..
             }| call_fault(class, message, retry_after),
        )?;
        let usage = Usage {
            input: answer.prompt_tokens,
            ..Usage::default()
        };
        let prices = live.models.entry(&model).map(|entry| entry.cost);
        let tokens = [usage.input, 0, 0, 0];
        TokensSpent {
            agent: agent.as_str(),
            provider: &model.provider,
            model: label,
            tokens,
            cost_usd: prices.map_or(0.0, |prices| rows::cost_usd(tokens, prices)),
        }
        .emit();
        self.ledger().record(&live.snapshot, agent, usage, prices, now_ms).await;
        Ok(answer)
    }
}

/// The model's name in metrics: what configuration names, never what a caller made up.
fn label<'a>(live: &Live, agent: &AgentId, model: &'a ModelRef) -> &'a str {
    if live.snapshot.embedding(agent).model == *model.model {
        &model.model
    } else {
        live.models.label(model)
    }
}

impl Embedder for AgentRuns {
    fn embed<'a>(
        &'a self,
        agent: &'a AgentId,
        settings: &'a EmbeddingSettings,
        call: EmbeddingCall,
    ) -> PortFuture<'a, Result<Embeddings, Fault>> {
        Box::pin(self.embed_for(agent, settings, call))
    }
}
