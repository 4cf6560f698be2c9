//! Real clients against the built binary: the official OpenAI SDKs and the upstream command line.
//!
//! Run by `bash .ci/dev clients`, which installs them; not part of the default test run because it needs Node and Python.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    reason = "a test that meets the unexpected must fail loudly"
)]

#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use support::gateway::{TOKEN, TestGateway, config};
use support::model::ModelDouble;

fn clients_dir() -> PathBuf {
    PathBuf::from(std::env::var_os("OPENCLAW_CLIENTS_DIR").expect("run this suite with: bash .ci/dev clients"))
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

fn assert_success(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    stdout
}

#[tokio::test]
async fn the_python_sdk_talks_streams_calls_tools_and_sees_errors() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let mut command = Command::new(clients_dir().join("python/bin/python"));
    command.arg(script("openai_sdk.py")).arg(gateway.url("/v1")).arg(TOKEN);
    let text = assert_success(&run(command).await);
    assert!(text.contains("all good"), "{text}");
}

#[tokio::test]
async fn the_node_sdk_talks_streams_calls_tools_and_sees_errors() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let node = clients_dir().join("node");
    let mut command = Command::new(node.join("node_modules/node/bin/node"));
    command
        .arg(script("openai_sdk.mjs"))
        .arg(gateway.url("/v1"))
        .arg(TOKEN)
        .env("CLIENT_MODULES", node.join("node_modules"));
    let text = assert_success(&run(command).await);
    assert!(text.contains("all good"), "{text}");
}

#[tokio::test]
async fn the_upstream_command_line_finds_the_gateway_healthy() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let modules = clients_dir().join("node/node_modules");
    // Upstream's command line checks the config file itself; it gets one that both accept.
    let upstream = |arguments: &[&str]| {
        let mut command = Command::new(modules.join("node/bin/node"));
        command
            .arg(modules.join("openclaw/openclaw.mjs"))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", gateway.dir.path().join("home"))
            .env("OPENCLAW_STATE_DIR", gateway.dir.path().join("client-state"))
            .env("OPENCLAW_CONFIG_PATH", &gateway.config_path)
            .env("OPENCLAW_GATEWAY_PORT", gateway.port.to_string())
            .env("OPENCLAW_GATEWAY_TOKEN", TOKEN)
            .env("NO_COLOR", "1");
        command
    };
    let status = assert_success(&run(upstream(&["gateway", "status", "--json"])).await);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["rpc"]["ok"], true, "{status}");

    let call = assert_success(&run(upstream(&["gateway", "call", "health", "--json"])).await);
    let call: Value = serde_json::from_str(&call).unwrap();
    assert_eq!(call["ok"], true, "{call}");

    let health = assert_success(&run(upstream(&["health", "--json"])).await);
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["defaultAgentId"], "main", "{health}");
}
