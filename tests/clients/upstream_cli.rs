//! The upstream command line as a control client.

use std::process::Command;

use serde_json::Value;

use super::support::gateway::{TOKEN, TestGateway, config};
use super::support::model::ModelDouble;
use super::{clients_dir, node, run};

#[tokio::test]
async fn the_upstream_command_line_finds_the_gateway_healthy() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    // Upstream's command line checks the config file itself; it gets one that both accept.
    let upstream = async |arguments: &[&str]| -> Value {
        let mut command = Command::new(node());
        command
            .arg(clients_dir().join("node/node_modules/openclaw/openclaw.mjs"))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", gateway.dir.path().join("home"))
            .env("OPENCLAW_STATE_DIR", gateway.dir.path().join("client-state"))
            .env("OPENCLAW_CONFIG_PATH", &gateway.config_path)
            .env("OPENCLAW_GATEWAY_PORT", gateway.port.to_string())
            .env("OPENCLAW_GATEWAY_TOKEN", TOKEN)
            .env("NO_COLOR", "1");
        serde_json::from_str(&run(command).await).unwrap()
    };
    let status = upstream(&["gateway", "status", "--json"]).await;
    assert_eq!(status["rpc"]["ok"], true, "{status}");
    let call = upstream(&["gateway", "call", "health", "--json"]).await;
    assert_eq!(call["ok"], true, "{call}");
    let health = upstream(&["health", "--json"]).await;
    assert_eq!(health["defaultAgentId"], "main", "{health}");
}
