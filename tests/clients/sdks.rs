//! SDK programs: each script makes its own assertions and says `all good` at its end.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use super::support::gateway::{TOKEN, TestGateway, config, with, with_responses};
use super::support::model::ModelDouble;
use super::{clients_dir, node, run};

/// Runs a script of this folder against a gateway of its own.
async fn passes(script: &str) {
    let model = ModelDouble::start().await;
    let settings = with_responses(config(&model.base_url()));
    let memory = json!({"provider": "double", "model": "m1"});
    let gateway = TestGateway::start(&with(settings, "agents.defaults.memorySearch", memory)).await;
    let program = if script.ends_with(".py") {
        clients_dir().join("python/bin/python")
    } else {
        node()
    };
    let mut command = Command::new(program);
    command
        .arg(
            PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("tests/clients")
                .join(script),
        )
        .env("OPENAI_BASE_URL", gateway.url("/v1"))
        .env("OPENAI_API_KEY", TOKEN)
        .env("DOUBLE_URL", format!("http://{}", model.address))
        .env("CLIENT_MODULES", clients_dir().join("node/node_modules"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let printed = run(command).await;
    assert!(printed.contains("all good"), "{printed}");
}

#[tokio::test]
async fn the_python_sdk_speaks_chat_completions() {
    passes("python_chat.py").await;
}

#[tokio::test]
async fn the_node_sdk_speaks_chat_completions() {
    passes("node_chat.mjs").await;
}

#[tokio::test]
async fn langchain_speaks_chat_completions() {
    passes("python_langchain.py").await;
}

#[tokio::test]
async fn the_agents_sdk_speaks_chat_completions() {
    passes("python_agents.py").await;
}

#[tokio::test]
async fn the_python_sdk_langchain_and_the_agents_sdk_speak_responses() {
    passes("python_responses.py").await;
}

#[tokio::test]
async fn the_node_sdk_speaks_responses() {
    passes("node_responses.mjs").await;
}

#[tokio::test]
async fn responses_hold_against_the_models_of_the_open_specification() {
    passes("python_openresponses.py").await;
}

#[tokio::test]
async fn the_python_sdk_and_langchain_ask_for_embeddings() {
    passes("python_embeddings.py").await;
}
