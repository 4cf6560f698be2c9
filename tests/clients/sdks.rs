//! SDK programs: each script makes its own assertions and says `all good` at its end.

use std::path::PathBuf;
use std::process::Command;

use super::support::gateway::{TOKEN, TestGateway, config};
use super::support::model::ModelDouble;
use super::{clients_dir, node, run};

/// Runs a script of this folder against a gateway of its own.
async fn passes(script: &str) {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
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
