//! Spans of a run. Names and attributes are upstream's and those of the semantic conventions for generative AI; values
//! are names from configuration, counts and classes, never what was said.

mod content;

use std::borrow::Cow;
use std::time::Duration;

use super::report::outcome_name;
use super::turn::CallEnd;
use crate::domain::ToolCall;
use crate::domain::model::{ModelCall, Usage};
use crate::domain::run::{RunEnd, RunOutcome, RunRequest};
use crate::models::registry::Account;
use crate::telemetry::span::{Span, SpanKind, Tracer};
use crate::telemetry::trace::TraceContext;

/// From its acceptance to its end, the wait in the lane included.
pub(super) fn run(tracer: &Tracer, request: &RunRequest) -> Span {
    let mut span = tracer.start("openclaw.run", SpanKind::Internal, request.trace);
    span.set("gen_ai.operation.name", "invoke_agent");
    span.set_text("gen_ai.agent.name", request.agent.as_str());
    span.set("openclaw.channel", "webchat");
    span.set("openclaw.trigger", request.source.as_str());
    span.set_text("openclaw.run_id", request.run_id.as_str());
    span
}

/// How it ended. `model`: its name in metrics.
pub(super) fn run_ended(span: &mut Span, outcome: &RunOutcome, model: &str) {
    if !span.is_recorded() {
        return;
    }
    span.set("openclaw.outcome", outcome_name(&outcome.end));
    if let Some(answered) = &outcome.model {
        span.set_text("openclaw.provider", &answered.provider);
        span.set_text("openclaw.model", model);
    }
    tokens(span, outcome.usage);
    match &outcome.end {
        RunEnd::Failed(failure) => failed(span, failure.class.as_str()),
        RunEnd::TimedOut => failed(span, "timeout"),
        RunEnd::Completed | RunEnd::Aborted(_) => {}
    }
}

/// One request to a provider, its repetitions included.
pub(super) fn model_call(
    tracer: &Tracer,
    parent: Option<TraceContext>,
    account: &Account,
    model: &str,
    call: &ModelCall,
) -> Span {
    let mut span = request(tracer, parent, "chat", account.provider.id(), model);
    span.set("openclaw.api", account.provider.api());
    span.set("openclaw.transport", "http");
    span.set("gen_ai.request.stream", call.stream);
    content::asked(&mut span, call);
    span
}

/// How it ended; `error` is the class of the failure.
pub(super) fn model_called(span: &mut Span, end: &CallEnd, error: Option<&'static str>, first_event: Option<Duration>) {
    if !span.is_recorded() {
        return;
    }
    if let Some(after) = first_event {
        span.set(
            "openclaw.model_call.time_to_first_byte_ms",
            after.as_secs_f64() * 1_000.0,
        );
    }
    if let CallEnd::Done(answer) = end {
        if let Some(usage) = answer.usage {
            tokens(span, usage);
        }
        if let Some(finish) = answer.finish {
            span.set("gen_ai.response.finish_reasons", vec![finish.as_str()]);
        }
    }
    if let CallEnd::Done(answer) | CallEnd::Torn(_, answer) | CallEnd::Cancelled(answer) = end {
        content::answered(span, answer);
    }
    if let Some(class) = error {
        failed(span, class);
    }
}

/// One call of a server tool.
pub(super) fn tool(tracer: &Tracer, parent: Option<TraceContext>) -> Span {
    let mut span = tracer.start("openclaw.tool.execution", SpanKind::Internal, parent);
    span.set("gen_ai.operation.name", "execute_tool");
    span
}

/// How it ended; `result` is `None` if there is no such tool. Then its name was made up by the model and is not repeated.
pub(super) fn tool_called(span: &mut Span, call: &ToolCall, result: Option<&str>) {
    match result {
        Some(result) => {
            span.set_text("gen_ai.tool.name", &call.name);
            span.set_text("openclaw.toolName", &call.name);
            content::tool(span, &call.arguments, result);
        }
        None => failed(span, "unknown_tool"),
    }
}

/// One request for embeddings.
pub(super) fn embeddings(tracer: &Tracer, parent: Option<TraceContext>, provider: &str, model: &str) -> Span {
    request(tracer, parent, "embeddings", provider, model)
}

fn request(
    tracer: &Tracer,
    parent: Option<TraceContext>,
    operation: &'static str,
    provider: &str,
    model: &str,
) -> Span {
    let name = if tracer.has_latest_names() {
        Cow::Owned(format!("{operation} {model}"))
    } else {
        Cow::Borrowed("openclaw.model.call")
    };
    let mut span = tracer.start(name, SpanKind::Client, parent);
    span.set("gen_ai.operation.name", operation);
    span.set_text("gen_ai.provider.name", provider);
    span.set_text("gen_ai.system", provider);
    span.set_text("gen_ai.request.model", model);
    span.set_text("openclaw.provider", provider);
    span.set_text("openclaw.model", model);
    span
}

/// Marks a failure the way dashboards of both kinds look for it.
pub(super) fn failed(span: &mut Span, class: &'static str) {
    span.set("error.type", class);
    span.set("openclaw.errorCategory", class);
    span.fail(class);
}

fn tokens(span: &mut Span, usage: Usage) {
    span.set("gen_ai.usage.input_tokens", usage.prompt());
    span.set("gen_ai.usage.output_tokens", usage.output);
    let cached = [
        ("openclaw.tokens.cache_read", usage.cache_read),
        ("openclaw.tokens.cache_write", usage.cache_write),
    ];
    for (key, count) in cached.into_iter().filter(|(_, count)| *count > 0) {
        span.set(key, count);
    }
}
