//! Storage that fails under a running gateway, or is unusable from the start: full, read-only, back again.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::{TestGateway, config, user_says, user_says_as};
use crate::support::model::ModelDouble;

/// `nobody`: file permissions mean nothing to root.
const NOBODY: u32 = 65_534;

/// A small file system of its own, mounted as long as this lives.
struct Volume(PathBuf);

impl Volume {
    /// `None`, with the reason on stderr, if this process may not mount.
    fn mount(path: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "openclaw-test"])
            .arg(path)
            .output();
        match done {
            Ok(output) if output.status.success() => Some(Self(path.to_owned())),
            Ok(output) => {
                eprintln!(
                    "skipped, mounting is not allowed here: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                None
            }
            Err(error) => {
                eprintln!("skipped, there is no mount command: {error}");
                None
            }
        }
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.0)
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Takes all room that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        let mut size = 1 << 20;
        while size > 0 {
            if file.write_all(&vec![1; size]).is_err() {
                size /= 2;
            }
        }
        path
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// Gives everything below `path` to nobody, if this process is root; else it stays its own.
fn as_nobody(gateway: &mut TestGateway) {
    fn give(path: &Path) {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                give(&entry.unwrap().path());
            }
        }
    }
    let root = gateway.dir.path();
    if fs::metadata(root).unwrap().uid() == 0 {
        give(root);
        gateway.user = Some(NOBODY);
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A chat request that leaves something behind.
fn kept(text: &str) -> Value {
    user_says_as("ann", text)
}

async fn readiness(gateway: &TestGateway) -> (u16, String) {
    let answer = reqwest::get(gateway.url("/readyz")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn until_ready_is(gateway: &TestGateway, ready: bool) {
    eventually(&format!("readiness is {ready}"), async || {
        let (status, body) = readiness(gateway).await;
        assert_eq!(status == 503, body.contains("storage"), "{status} {body}");
        ((status == 200) == ready).then_some(())
    })
    .await;
}

async fn run_to_end(gateway: TestGateway) -> (Option<i32>, String, TestGateway) {
    tokio::task::spawn_blocking(move || {
        let (code, output) = gateway.run_to_end();
        (code, output, gateway)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_full_disk_refuses_what_must_be_kept_and_everything_works_again_when_there_is_room() {
    let model = ModelDouble::start().await;
    let mut gateway = TestGateway::prepare(&config(&model.base_url()));
    let Some(volume) = Volume::mount(&gateway.state_dir, "size=16m,mode=700") else {
        return;
    };
    gateway.spawn();
    gateway.wait_ready().await;
    assert_eq!(gateway.chat(&kept("before [[say:fine]]")).await.0, 200);

    let filler = volume.fill();
    until_ready_is(&gateway, false).await;
    let mut acknowledged = Vec::new();
    let mut client = gateway.operator().await;
    let refused = eventually("the disk is full for messages too", async || {
        let n = acknowledged.len();
        let text = format!("WS{n:03} {} [[say:ok]]", "x".repeat(40_000));
        let send = json!({"sessionKey": "agent:main:full", "message": text, "idempotencyKey": format!("full-{n}")});
        let answer = client.call("chat.send", send).await;
        if answer["ok"] == true {
            acknowledged.push(n);
            return None;
        }
        Some(answer["error"].clone())
    })
    .await;
    assert_eq!(refused["code"], "UNAVAILABLE", "{refused}");
    assert!(refused["message"].to_string().contains("stor"), "{refused}");
    let (status, body) = gateway.chat(&kept("while full [[say:no]]")).await;
    assert_eq!(status, 503, "{body}");
    assert!(
        model.seen_with("while full").is_empty(),
        "what is not on disk does not run"
    );
    let (status, body) = gateway.chat(&user_says("keeps nothing [[say:ok]]")).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(reqwest::get(gateway.url("/healthz")).await.unwrap().status(), 200);

    fs::remove_file(filler).unwrap();
    until_ready_is(&gateway, true).await;
    assert_eq!(gateway.chat(&kept("after [[say:fine again]]")).await.0, 200);
    gateway.crash_and_restart().await;
    let mut client = gateway.operator().await;
    let history = client
        .ok("chat.history", json!({"sessionKey": "agent:main:full", "limit": 200}))
        .await
        .to_string();
    for n in acknowledged {
        assert!(
            history.contains(&format!("WS{n:03}")),
            "acknowledged message {n} is gone"
        );
    }
    let history = client
        .ok("chat.history", json!({"sessionKey": "agent:main:openai-user:ann"}))
        .await
        .to_string();
    for text in ["before", "after", "fine again"] {
        assert!(history.contains(text), "{text}: {history}");
    }
    assert!(!history.contains("while full"), "{history}");
    gateway.signal("TERM");
    assert!(gateway.wait_exit().await.success());
    let database = rusqlite::Connection::open(gateway.state_dir.join("state.db")).unwrap();
    let verdict: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
}

#[tokio::test]
async fn a_read_only_state_directory_is_named_and_ends_the_start() {
    let gateway = TestGateway::prepare(&config("http://127.0.0.1:9/v1"));
    let Some(volume) = Volume::mount(&gateway.state_dir, "size=1m,mode=755") else {
        return;
    };
    volume.remount("ro");
    let (code, output, gateway) = run_to_end(gateway).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains(gateway.state_dir.to_str().unwrap()) && output.contains("OPENCLAW_STATE_DIR"),
        "{output}"
    );
    assert!(!output.contains("panicked"), "{output}");
}

#[tokio::test]
async fn a_state_directory_without_permission_is_named_and_ends_the_start() {
    let mut gateway = TestGateway::prepare(&config("http://127.0.0.1:9/v1"));
    fs::create_dir(&gateway.state_dir).unwrap();
    as_nobody(&mut gateway);
    mode(&gateway.state_dir, 0o500);
    let (code, output, gateway) = run_to_end(gateway).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains(gateway.state_dir.to_str().unwrap()) && output.contains("OPENCLAW_STATE_DIR"),
        "{output}"
    );
    mode(&gateway.state_dir, 0o700);
}

#[tokio::test]
async fn losing_and_regaining_write_permission_shows_in_readiness() {
    let model = ModelDouble::start().await;
    let mut gateway = TestGateway::prepare(&config(&model.base_url()));
    fs::create_dir(&gateway.state_dir).unwrap();
    as_nobody(&mut gateway);
    gateway.spawn();
    gateway.wait_ready().await;
    mode(&gateway.state_dir, 0o500);
    until_ready_is(&gateway, false).await;
    assert_eq!(reqwest::get(gateway.url("/healthz")).await.unwrap().status(), 200);
    mode(&gateway.state_dir, 0o700);
    until_ready_is(&gateway, true).await;
    assert_eq!(gateway.chat(&kept("after [[say:fine]]")).await.0, 200);
}

#[tokio::test]
async fn a_config_file_without_read_permission_is_named() {
    let mut gateway = TestGateway::prepare(&config("http://127.0.0.1:9/v1"));
    as_nobody(&mut gateway);
    mode(&gateway.config_path, 0o000);
    let (code, output, gateway) = run_to_end(gateway).await;
    assert_eq!(code, Some(78), "{output}");
    assert!(
        output.contains(gateway.config_path.to_str().unwrap()) && output.contains("ermission"),
        "{output}"
    );
    mode(&gateway.config_path, 0o600);
}
