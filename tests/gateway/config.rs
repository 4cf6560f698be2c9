//! Configuration that changes under a running gateway.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::{TOKEN, TestGateway, config, replace_file, user_says, with};
use crate::support::model::ModelDouble;
use crate::support::port::Port;
use crate::support::ws::{WsClient, connect_params};

fn with_agents(names: &[&str]) -> Value {
    let list: Vec<Value> = names.iter().map(|name| json!({"id": name})).collect();
    with(config("http://127.0.0.1:9/v1"), "agents.list", json!(list))
}

async fn agents(gateway: &TestGateway) -> Vec<String> {
    let answer = reqwest::Client::builder()
        .build()
        .unwrap()
        .get(gateway.url("/v1/models"))
        .bearer_auth(TOKEN)
        .send()
        .await
        .unwrap();
    let list: Value = answer.json().await.unwrap_or_default();
    list["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|model| model["id"].as_str()?.strip_prefix("openclaw/").map(str::to_owned))
        .collect()
}

async fn until_agent(gateway: &TestGateway, name: &str) {
    eventually(&format!("agent {name} is served"), async || {
        agents(gateway).await.iter().any(|known| known == name).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_file_written_in_place_or_replaced_is_applied_and_connections_stay() {
    let gateway = TestGateway::start(&with_agents(&["main"])).await;
    let mut client = gateway.operator().await;
    for name in ["one", "two"] {
        fs::write(&gateway.config_path, with_agents(&["main", name]).to_string()).unwrap();
        until_agent(&gateway, name).await;
    }
    for name in ["three", "four"] {
        gateway.write_config(&with_agents(&["main", name]));
        until_agent(&gateway, name).await;
    }
    client.ok("health", json!({})).await;
}

fn mount_version(root: &Path, version: &str, content: &Value) {
    let dir = root.join(format!("..{version}"));
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("openclaw.json"), content.to_string()).unwrap();
    let staged = root.join("..data_tmp");
    symlink(format!("..{version}"), &staged).unwrap();
    fs::rename(&staged, root.join("..data")).unwrap();
}

#[tokio::test]
async fn a_config_map_swap_is_applied_whether_or_not_the_old_version_is_removed() {
    let mut gateway = TestGateway::prepare(&with_agents(&["main"]));
    let mount = gateway.dir.path().join("mount");
    fs::create_dir(&mount).unwrap();
    mount_version(&mount, "v1", &with_agents(&["main"]));
    symlink("..data/openclaw.json", mount.join("openclaw.json")).unwrap();
    gateway.config_path = mount.join("openclaw.json");
    gateway.spawn();
    gateway.wait_ready().await;
    mount_version(&mount, "v2", &with_agents(&["main", "kept"]));
    until_agent(&gateway, "kept").await;
    mount_version(&mount, "v3", &with_agents(&["main", "removed"]));
    fs::remove_dir_all(mount.join("..v2")).unwrap();
    until_agent(&gateway, "removed").await;
    let names: Vec<String> = fs::read_dir(&mount)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("..") || name == "openclaw.json"),
        "written beside the mount: {names:?}"
    );
}

#[tokio::test]
async fn a_broken_change_keeps_what_was_and_is_visible() {
    let gateway = TestGateway::start(&with_agents(&["main", "old"])).await;
    let mut client = gateway.operator().await;
    let broken: [&[u8]; 5] = [
        b"{ broken",
        b"",
        b"\xff\xfe\x00",
        b"{\"gateway\":{\"mode\":\"local\",\"bogus\":1}}",
        b"[1,2]",
    ];
    for content in broken {
        let before = gateway.log().matches("config reload skipped").count();
        replace_file(&gateway.config_path, content);
        eventually("the rejection is logged", async || {
            (gateway.log().matches("config reload skipped").count() > before).then_some(())
        })
        .await;
        assert!(agents(&gateway).await.contains(&"old".to_owned()));
        let ready = reqwest::get(gateway.url("/readyz")).await.unwrap();
        assert_eq!(ready.status(), 200);
        let shown = client.ok("config.get", json!({})).await;
        assert_eq!(shown["valid"], false, "{shown}");
    }
    // A file that is gone is no reason to forget what is in force.
    fs::remove_file(&gateway.config_path).unwrap();
    eventually("the missing file is reported", async || {
        gateway.log().contains("config file not found").then_some(())
    })
    .await;
    assert!(agents(&gateway).await.contains(&"old".to_owned()));
    gateway.write_config(&with_agents(&["main", "new"]));
    until_agent(&gateway, "new").await;
    assert_eq!(client.ok("config.get", json!({})).await["valid"], true);
}

#[tokio::test]
async fn included_files_and_secret_files_are_followed() {
    let gateway = TestGateway::prepare(&json!({}));
    let dir = gateway.dir.path().to_owned();
    let token_file = dir.join("token");
    fs::write(&token_file, "file-token-aaaaaaaaaaaa").unwrap();
    fs::set_permissions(&token_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let agents_file = dir.join("agents.json5");
    fs::write(&agents_file, "{ list: [{ id: 'main' }] }").unwrap();
    let mut settings = config("http://127.0.0.1:9/v1");
    settings["agents"] = json!({"$include": "./agents.json5"});
    settings = with(
        settings,
        "secrets.providers.f",
        json!({"source": "file", "path": token_file, "mode": "singleValue"}),
    );
    settings = with(
        settings,
        "gateway.auth.token",
        json!({"source": "file", "provider": "f", "id": "value"}),
    );
    fs::write(&gateway.config_path, settings.to_string()).unwrap();
    let mut gateway = gateway;
    gateway.spawn();
    gateway.wait_ready().await;

    let status = async |token: &str| {
        let client = reqwest::Client::builder().build().unwrap();
        client
            .get(gateway.url("/v1/models"))
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
    };
    let list = |answer: reqwest::Response| async move { answer.text().await.unwrap() };
    assert_eq!(status("file-token-aaaaaaaaaaaa").await.status(), 200);
    replace_file(&agents_file, b"{ list: [{ id: 'main' }, { id: 'included' }] }");
    eventually("the include is applied", async || {
        list(status("file-token-aaaaaaaaaaaa").await)
            .await
            .contains("openclaw/included")
            .then_some(())
    })
    .await;
    fs::write(&token_file, "file-token-bbbbbbbbbbbb\n").unwrap();
    eventually("the token is rotated", async || {
        (status("file-token-bbbbbbbbbbbb").await.status() == 200).then_some(())
    })
    .await;
    assert_eq!(status("file-token-aaaaaaaaaaaa").await.status(), 401);
}

#[tokio::test]
async fn a_changed_token_closes_connections_that_used_the_old_one() {
    let settings = config("http://127.0.0.1:9/v1");
    let gateway = TestGateway::start(&settings).await;
    let mut client = WsClient::operator(gateway.port).await;
    gateway.write_config(&with(settings, "gateway.auth.token", json!("another-token-0123456789")));
    assert_eq!(client.wait_closed().await, (4001, "gateway auth changed".to_owned()));
}

#[tokio::test]
async fn the_listener_moves_to_another_port_and_old_connections_live_on() {
    let reserved = Port::reserve();
    let free = reserved.number();
    let mut gateway = TestGateway::prepare(&json!({}));
    let settings = with(config("http://127.0.0.1:9/v1"), "gateway.port", json!(gateway.port));
    gateway.write_config(&settings);
    gateway.env.push(("OPENCLAW_GATEWAY_PORT".to_owned(), String::new()));
    gateway.spawn_without_port();
    gateway.wait_ready().await;
    let mut client = gateway.operator().await;
    gateway.write_config(&with(settings, "gateway.port", json!(free)));
    eventually("the new port answers", async || {
        reqwest::get(format!("http://127.0.0.1:{free}/healthz"))
            .await
            .ok()
            .map(|_| ())
    })
    .await;
    client.ok("health", json!({})).await;
}

#[tokio::test]
async fn a_mounted_token_file_is_rotated_without_a_restart() {
    let mut settings = config("http://127.0.0.1:9/v1");
    settings["gateway"]["auth"] = json!({"mode": "token"});
    let mut gateway = TestGateway::prepare(&settings);
    let mounted = gateway.dir.path().join("token");
    fs::write(&mounted, "first-mounted-token\n").unwrap();
    let variable = "OPENCLAW_GATEWAY_TOKEN_FILE".to_owned();
    gateway.env.push((variable, mounted.display().to_string()));
    gateway.spawn();
    gateway.wait_ready().await;
    let client = reqwest::Client::builder().build().unwrap();
    let status = async |token: &str| {
        let answer = client.get(gateway.url("/v1/models")).bearer_auth(token).send().await;
        answer.unwrap().status().as_u16()
    };
    assert_eq!(status("first-mounted-token").await, 200);
    replace_file(&mounted, b"second-mounted-token\n");
    eventually("the new token is accepted", async || {
        (status("second-mounted-token").await == 200).then_some(())
    })
    .await;
    assert_eq!(status("first-mounted-token").await, 401);
    // A file that goes away changes nothing.
    fs::remove_file(&mounted).unwrap();
    eventually("the missing file is reported", async || {
        gateway.log().contains("OPENCLAW_GATEWAY_TOKEN_FILE").then_some(())
    })
    .await;
    assert_eq!(status("second-mounted-token").await, 200);
    let shown = gateway.command().args(["gateway", "ready"]).output().unwrap();
    assert!(shown.status.success(), "{shown:?}");
}

#[tokio::test]
async fn a_user_whom_the_proxy_may_no_longer_let_in_is_disconnected() {
    let rules = |users: Value| json!({"userHeader": "x-user", "allowUsers": users, "allowLoopback": true});
    let auth = |users: Value| json!({"mode": "trusted-proxy", "trustedProxy": rules(users)});
    let base = with(
        config("http://127.0.0.1:9/v1"),
        "gateway.trustedProxies",
        json!(["127.0.0.1"]),
    );
    let gateway = TestGateway::start(&with(base.clone(), "gateway.auth", auth(json!(["ann", "eve"])))).await;
    let mut params = connect_params(&["operator.read"]);
    params.as_object_mut().unwrap().remove("auth");
    let connect = async |user: &str| {
        let mut client = WsClient::open_with(gateway.port, &[("x-user", user)]).await;
        let answer = client.call("connect", params.clone()).await;
        (client, answer["ok"] == true)
    };
    let (mut eve, is_in) = connect("eve").await;
    assert!(is_in);
    gateway.write_config(&with(base, "gateway.auth", auth(json!(["ann"]))));
    assert_eq!(eve.wait_closed().await, (4001, "gateway auth changed".to_owned()));
    assert!(!connect("eve").await.1 && connect("ann").await.1);
}

#[tokio::test]
async fn a_change_of_two_listeners_is_made_whole_or_not_at_all() {
    let (reserved, occupied) = (Port::reserve(), std::net::TcpListener::bind("0.0.0.0:0").unwrap());
    let (free, taken) = (reserved.number(), occupied.local_addr().unwrap().port());
    let mut gateway = TestGateway::prepare(&json!({}));
    let settings = with(config("http://127.0.0.1:9/v1"), "gateway.port", json!(gateway.port));
    gateway.write_config(&settings);
    gateway.env.push(("OPENCLAW_GATEWAY_PORT".to_owned(), String::new()));
    gateway.spawn_without_port();
    gateway.wait_ready().await;
    let moved = with(settings, "gateway.port", json!(free));
    let management = json!({"enabled": true, "port": taken});
    gateway.write_config(&with(moved, "gateway.management", management));
    eventually("the change is refused", async || {
        gateway.log().contains("config reload skipped").then_some(())
    })
    .await;
    let probe = |port: u16| reqwest::get(format!("http://127.0.0.1:{port}/healthz"));
    assert!(
        probe(free).await.is_err(),
        "the new port answers although the change was refused"
    );
    assert_eq!(probe(gateway.port).await.unwrap().status(), 200);
    drop(occupied);
    gateway.signal("HUP");
    eventually("the change is made once it can be", async || {
        (probe(free).await.is_ok() && probe(taken).await.is_ok()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_mounted_provider_key_is_used_and_rotated_without_a_restart() {
    let model = ModelDouble::start().await;
    let key = json!({"source": "env", "provider": "default", "id": "MOUNTED_API_KEY"});
    let settings = with(config(&model.base_url()), "models.providers.double.apiKey", key);
    let mut gateway = TestGateway::prepare(&settings);
    let mounted = gateway.dir.path().join("key");
    fs::write(&mounted, "sk-first\n").unwrap();
    let variable = "MOUNTED_API_KEY_FILE".to_owned();
    gateway.env.push((variable, mounted.display().to_string()));
    gateway.spawn();
    gateway.wait_ready().await;
    assert_eq!(gateway.chat(&user_says("one")).await.0, 200);
    assert_eq!(model.seen().last().unwrap().key, "sk-first");
    replace_file(&mounted, b"sk-second\n");
    eventually("the new key is used", async || {
        gateway.chat(&user_says("two")).await;
        (model.seen().last()?.key == "sk-second").then_some(())
    })
    .await;
}
