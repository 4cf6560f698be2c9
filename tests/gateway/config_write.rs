//! Configuration that is changed over the control plane.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::{TOKEN, TestGateway, config, with};
use crate::support::ws::{WsClient, connect_params};

const KEY: &str = "sk-double-secret-key-1";

fn settings() -> Value {
    config("http://127.0.0.1:9/v1")
}

fn file(gateway: &TestGateway) -> Value {
    serde_json::from_slice(&fs::read(&gateway.config_path).unwrap()).unwrap()
}

async fn patch(client: &mut WsClient, patch: Value) -> Value {
    let hash = client.ok("config.get", json!({})).await["hash"].clone();
    client
        .call("config.patch", json!({"raw": patch.to_string(), "baseHash": hash}))
        .await
}

async fn agents(client: &mut WsClient) -> Vec<String> {
    let list = client.ok("agents.list", json!({})).await;
    let agents = list["agents"].as_array().unwrap();
    agents
        .iter()
        .map(|agent| agent["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn what_config_get_shows_can_be_edited_and_set_without_losing_secrets() {
    let gateway = TestGateway::start(&settings()).await;
    let mut client = gateway.operator().await;
    for (view, name) in [("parsed", "one"), ("config", "two")] {
        let shown = client.ok("config.get", json!({})).await;
        let mut edited = shown[view].clone();
        assert!(!edited.to_string().contains(KEY));
        edited["agents"]["list"] = json!([{"id": "main", "default": true}, {"id": name}]);
        let raw = edited.to_string();
        let answer = client
            .ok("config.set", json!({"raw": raw, "baseHash": shown["hash"]}))
            .await;
        assert_eq!(answer["ok"], true);
        assert!(!answer.to_string().contains(KEY) && !answer.to_string().contains(TOKEN));
        // The answer comes after the change is in force.
        assert_eq!(agents(&mut client).await, ["main", name]);
        let written = file(&gateway);
        assert_eq!(written["gateway"]["auth"]["token"], TOKEN);
        assert_eq!(written["models"]["providers"]["double"]["apiKey"], KEY);
        assert_eq!(written.get("commands"), None, "defaults were written");
    }
    let mode = fs::metadata(&gateway.config_path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    eventually("each change is logged once", async || {
        let log = gateway.log();
        let count = |text: &str| log.matches(text).count();
        (count("config file written") == 2 && count("config hot reload applied") == 2).then_some(())
    })
    .await;
    assert_eq!(
        fs::read_dir(gateway.state_dir.join("config-backups")).unwrap().count(),
        2
    );
}

#[tokio::test]
async fn a_patch_merges_is_noted_and_changes_nothing_twice() {
    let gateway = TestGateway::start(&settings()).await;
    let mut client = gateway.operator().await;
    let wanted = json!({"agents": {"list": [{"id": "new"}]}, "ui": {"seamColor": "#00ff00"}});
    let answer = patch(&mut client, wanted.clone()).await;
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(agents(&mut client).await, ["main", "beta", "new"]);
    let sentinel = &answer["payload"]["sentinel"];
    assert_eq!(sentinel["payload"]["kind"], "config-patch");
    assert_eq!(sentinel["path"], Value::Null);
    assert!(!gateway.state_dir.join("restart-sentinel.json").exists());
    let again = patch(&mut client, wanted).await;
    assert_eq!(again["payload"]["noop"], true, "{again}");
    let gone = patch(&mut client, json!({"ui": null})).await;
    assert_eq!(gone["ok"], true, "{gone}");
    assert_eq!(file(&gateway).get("ui"), None);
}

#[tokio::test]
async fn a_change_of_another_file_or_without_a_base_is_refused() {
    let gateway = TestGateway::start(&settings()).await;
    let mut client = gateway.operator().await;
    let hash = client.ok("config.get", json!({})).await["hash"].clone();
    let error = client.err("config.patch", json!({"raw": "{}"})).await;
    assert_eq!(
        error["message"],
        "config base hash required; re-run config.get and retry"
    );
    fs::write(
        &gateway.config_path,
        with(settings(), "ui.seamColor", json!("#111111")).to_string(),
    )
    .unwrap();
    let error = client.err("config.patch", json!({"raw": "{}", "baseHash": hash})).await;
    assert_eq!(error["code"], "INVALID_REQUEST");
    assert_eq!(
        error["message"],
        "config changed since last load; re-run config.get and retry"
    );
    let error = client.err("config.set", json!({"raw": 5, "zzz": 1})).await;
    assert_eq!(
        error["message"],
        "invalid config.set params: at root: unexpected property 'zzz'; at /raw: must be string"
    );
}

#[tokio::test]
async fn an_invalid_change_names_everything_and_writes_nothing() {
    let gateway = TestGateway::start(&settings()).await;
    let mut client = gateway.operator().await;
    let before = fs::read(&gateway.config_path).unwrap();
    let shown = client.ok("config.get", json!({})).await;
    let mut edited = with(shown["parsed"].clone(), "gateway.bogus", json!(1));
    edited["nope"] = json!(2);
    edited["gateway"]["bind"] = json!("nowhere");
    let params = json!({"raw": edited.to_string(), "baseHash": shown["hash"]});
    let error = client.err("config.set", params).await;
    assert_eq!(error["code"], "INVALID_REQUEST");
    let text = error["message"].as_str().unwrap();
    assert!(text.starts_with("invalid config: "), "{text}");
    assert!(text.contains("gateway: Unrecognized key: \"bogus\""), "{text}");
    let issues = error["details"]["issues"].as_array().unwrap();
    assert_eq!(issues.len(), 3, "{issues:?}");
    let bind = issues.iter().find(|issue| issue["path"] == "gateway.bind").unwrap();
    assert_eq!(bind["allowedValues"][0], "auto");
    assert_eq!(fs::read(&gateway.config_path).unwrap(), before);
    let error = patch(&mut client, json!({"gateway": {"mode": null}})).await;
    assert_eq!(error["error"]["code"], "UNAVAILABLE", "{error}");
    assert_eq!(fs::read(&gateway.config_path).unwrap(), before);
}

#[tokio::test]
async fn a_linked_file_is_written_through_its_link() {
    let mut gateway = TestGateway::prepare(&settings());
    let link = gateway.dir.path().join("link.json");
    symlink("openclaw.json", &link).unwrap();
    let real = std::mem::replace(&mut gateway.config_path, link.clone());
    gateway.spawn();
    gateway.wait_ready().await;
    let mut client = gateway.operator().await;
    let answer = patch(&mut client, json!({"ui": {"seamColor": "#00ff00"}})).await;
    assert_eq!(answer["ok"], true, "{answer}");
    assert!(link.is_symlink() && !real.is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("#00ff00"));
}

#[tokio::test]
async fn a_read_only_folder_and_a_config_map_are_refused_by_name() {
    let mut gateway = TestGateway::prepare(&settings());
    let mount = gateway.dir.path().join("mount");
    fs::create_dir_all(mount.join("..v1")).unwrap();
    fs::rename(&gateway.config_path, mount.join("..v1/openclaw.json")).unwrap();
    symlink("..v1", mount.join("..data")).unwrap();
    symlink("..data/openclaw.json", mount.join("openclaw.json")).unwrap();
    gateway.config_path = mount.join("openclaw.json");
    gateway.spawn();
    gateway.wait_ready().await;
    let mut client = gateway.operator().await;
    let wanted = json!({"ui": {"seamColor": "#00ff00"}});
    let before = fs::read(&gateway.config_path).unwrap();
    let error = patch(&mut client, wanted.clone()).await["error"].clone();
    assert_eq!(error["code"], "UNAVAILABLE", "{error}");
    let text = error["message"].as_str().unwrap();
    assert!(text.contains(gateway.config_path.to_str().unwrap()), "{text}");
    assert!(text.contains("ConfigMap"), "{text}");

    fs::remove_file(&gateway.config_path).unwrap();
    fs::write(&gateway.config_path, &before).unwrap();
    fs::set_permissions(&mount, fs::Permissions::from_mode(0o555)).unwrap();
    let error = patch(&mut client, wanted).await["error"].clone();
    fs::set_permissions(&mount, fs::Permissions::from_mode(0o755)).unwrap();
    let text = error["message"].as_str().unwrap();
    assert!(text.contains("is read-only here"), "{text}");
    assert_eq!(fs::read(&gateway.config_path).unwrap(), before);
    assert_eq!(client.ok("config.get", json!({})).await["config"].get("ui"), None);
}

#[tokio::test]
async fn a_rotated_token_is_answered_and_then_closes_who_used_the_old_one() {
    let gateway = TestGateway::start(&settings()).await;
    let mut admin = gateway.operator().await;
    let mut other = gateway.operator().await;
    let answer = patch(
        &mut admin,
        json!({"gateway": {"auth": {"token": "rotated-token-5544332211"}}}),
    )
    .await;
    assert_eq!(answer["ok"], true, "{answer}");
    let changed = (4001, "gateway auth changed".to_owned());
    assert_eq!(admin.wait_closed().await, changed);
    assert_eq!(other.wait_closed().await, changed);
    let mut params = connect_params(&["operator.read"]);
    params["auth"]["token"] = json!("rotated-token-5544332211");
    WsClient::connected(gateway.port, params).await;
}

#[tokio::test]
async fn with_reload_off_a_change_is_written_and_said_to_wait() {
    let gateway = TestGateway::start(&with(settings(), "gateway.reload.mode", json!("off"))).await;
    let mut client = gateway.operator().await;
    for color in ["#00ff00", "#00ff01"] {
        let answer = patch(&mut client, json!({"ui": {"seamColor": color}})).await;
        assert_eq!(answer["payload"]["applied"], false, "{answer}");
        assert_eq!(file(&gateway)["ui"]["seamColor"], color);
    }
}

#[tokio::test]
async fn a_port_that_is_taken_refuses_the_change_and_keeps_the_file() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut gateway = TestGateway::prepare(&json!({}));
    gateway.write_config(&with(settings(), "gateway.port", json!(gateway.port)));
    gateway.env.push(("OPENCLAW_GATEWAY_PORT".to_owned(), String::new()));
    gateway.spawn_without_port();
    gateway.wait_ready().await;
    let mut client = gateway.operator().await;
    let before = fs::read(&gateway.config_path).unwrap();
    let port = taken.local_addr().unwrap().port();
    let answer = patch(&mut client, json!({"gateway": {"port": port}})).await;
    assert_eq!(answer["error"]["code"], "UNAVAILABLE", "{answer}");
    assert_eq!(fs::read(&gateway.config_path).unwrap(), before);
    gateway.operator().await.ok("health", json!({})).await;
}

#[tokio::test]
async fn the_schema_is_for_admins_and_single_nodes_for_readers() {
    let gateway = TestGateway::start(&settings()).await;
    let mut admin = gateway.operator().await;
    let whole = admin.ok("config.schema", json!({})).await;
    assert_eq!(whole["uiHints"]["gateway.auth.token"]["sensitive"], true);
    assert_eq!(whole["schema"]["properties"]["gateway"]["type"], "object");
    let mut reader = WsClient::connected(gateway.port, connect_params(&["operator.read"])).await;
    let error = reader.err("config.schema", json!({})).await;
    assert_eq!(error["message"], "missing scope: operator.admin");
    let port = reader.ok("config.schema.lookup", json!({"path": "gateway.port"})).await;
    assert_eq!(port["schema"]["type"], "integer");
    let error = reader
        .err("config.schema.lookup", json!({"path": "gateway.nope"}))
        .await;
    assert_eq!(error["message"], "config schema path not found");
}

#[tokio::test]
async fn secrets_are_read_again_on_request() {
    let mut gateway = TestGateway::prepare(&json!({}));
    let secret = gateway.dir.path().join("token");
    fs::write(&secret, "file-token-aaaaaaaaaaaa").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let mut settings = with(
        settings(),
        "secrets.providers.f",
        json!({"source": "file", "path": secret, "mode": "singleValue"}),
    );
    settings["models"]["providers"]["double"]["apiKey"] = json!({"source": "file", "provider": "f", "id": "value"});
    gateway.write_config(&with(settings, "gateway.reload.mode", json!("off")));
    gateway.spawn();
    gateway.wait_ready().await;
    let mut client = gateway.operator().await;
    assert_eq!(
        client.ok("secrets.reload", json!({})).await,
        json!({"ok": true, "warningCount": 0})
    );
    fs::remove_file(&secret).unwrap();
    eventually("the missing secret is counted", async || {
        let answer = client.ok("secrets.reload", json!({})).await;
        (answer["warningCount"] == 1).then_some(())
    })
    .await;
}
