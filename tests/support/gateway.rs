//! The built binary with temporary config, state and home.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::port::Port;
use super::ws::WsClient;
use super::{PATIENCE, eventually};

/// The shared token of every test gateway.
pub const TOKEN: &str = "test-token-0123456789abcdef";

/// A gateway process and its files.
pub struct TestGateway {
    pub dir: TempDir,
    pub port: u16,
    pub state_dir: PathBuf,
    pub config_path: PathBuf,
    pub extra_args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Runs the process as this user and group; only root may ask for it.
    pub user: Option<u32>,
    _port: Port,
    child: Option<Child>,
}

/// A config with one provider at `base_url`, agents `main` and `beta`, token auth.
pub fn config(base_url: &str) -> Value {
    let model = |id: &str| json!({"id": id, "name": id, "contextWindow": 128_000, "maxTokens": 4096, "input": ["text", "image"]});
    json!({
        "gateway": {
            "mode": "local", "bind": "loopback",
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {"chatCompletions": {"enabled": true}}},
        },
        "models": {"providers": {"double": {
            "baseUrl": base_url, "apiKey": "sk-double-secret-key-1", "api": "openai-completions",
            "models": [model("m1"), model("m2")],
        }}},
        "agents": {
            "defaults": {"model": {"primary": "double/m1"}},
            "list": [{"id": "main", "default": true}, {"id": "beta"}],
        },
    })
}

/// Sets `path` (dotted) in `config`.
pub fn with(mut config: Value, path: &str, value: Value) -> Value {
    let mut at = &mut config;
    for key in path.split('.') {
        at = at.as_object_mut().unwrap().entry(key).or_insert_with(|| json!({}));
    }
    *at = value;
    config
}

/// A configuration that serves `/v1/responses` too.
pub fn with_responses(config: Value) -> Value {
    with(config, "gateway.http.endpoints.responses", json!({"enabled": true}))
}

impl TestGateway {
    /// Files without a process.
    pub fn prepare(config: &Value) -> Self {
        let port = Port::reserve();
        let dir = tempfile::tempdir().unwrap();
        let state_dir = dir.path().join("state");
        let config_path = dir.path().join("openclaw.json");
        fs::create_dir_all(dir.path().join("home")).unwrap();
        fs::write(&config_path, serde_json::to_vec_pretty(config).unwrap()).unwrap();
        Self {
            port: port.number(),
            _port: port,
            state_dir,
            config_path,
            dir,
            extra_args: Vec::new(),
            env: Vec::new(),
            user: None,
            child: None,
        }
    }

    /// Starts a gateway and waits until it is ready.
    pub async fn start(config: &Value) -> Self {
        let mut gateway = Self::prepare(config);
        gateway.spawn();
        gateway.wait_ready().await;
        gateway
    }

    /// A command of the binary with this gateway's environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openclaw"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path().join("home"))
            .env("OPENCLAW_CONFIG_PATH", &self.config_path)
            .env("OPENCLAW_STATE_DIR", &self.state_dir)
            .env("OPENCLAW_GATEWAY_PORT", self.port.to_string())
            .envs(self.env.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            .current_dir(self.dir.path());
        if let Some(id) = self.user {
            command.uid(id).gid(id);
        }
        command
    }

    /// Starts the process; does not wait.
    pub fn spawn(&mut self) {
        let port = self.port.to_string();
        self.spawn_with(&["--port", &port]);
    }

    /// Starts the process with the port that config names.
    pub fn spawn_without_port(&mut self) {
        self.spawn_with(&[]);
    }

    fn spawn_with(&mut self, arguments: &[&str]) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .unwrap();
        let child = self
            .command()
            .arg("gateway")
            .args(arguments)
            .args(&self.extra_args)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Runs the process to its end, for starts that must fail. Returns exit code and output.
    pub fn run_to_end(&self) -> (Option<i32>, String) {
        let mut child = self
            .command()
            .arg("gateway")
            .args(["--port", &self.port.to_string()])
            .args(&self.extra_args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begin.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("the gateway started although it should refuse");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    }

    pub async fn wait_ready(&mut self) {
        let url = self.url("/readyz");
        eventually("gateway is ready", async || {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
                panic!("the gateway ended with {status}:\n{}", self.log());
            }
            let answer = reqwest::Client::builder()
                .build()
                .unwrap()
                .get(&url)
                .send()
                .await
                .ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn log_path(&self) -> PathBuf {
        self.dir.path().join("gateway.log")
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until it logged `text`, which comes a moment after what it tells of; returns everything it logged.
    pub async fn logged(&self, text: &str) -> String {
        eventually(&format!("the log says {text:?}"), async || {
            let log = self.log();
            log.contains(text).then_some(log)
        })
        .await
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends a signal by name (`TERM`, `KILL`, `INT`, `HUP`).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits for the process to end.
    pub async fn wait_exit(&mut self) -> ExitStatus {
        let status = eventually("gateway ends", async || {
            self.child.as_mut().unwrap().try_wait().unwrap()
        })
        .await;
        self.child = None;
        status
    }

    /// Kills it without warning and starts it again.
    pub async fn crash_and_restart(&mut self) {
        self.signal("KILL");
        self.wait_exit().await;
        self.spawn();
        self.wait_ready().await;
    }

    /// Replaces the config file by rename, as editors do.
    pub fn write_config(&self, config: &Value) {
        replace_file(&self.config_path, &serde_json::to_vec_pretty(config).unwrap());
    }

    /// An operator connection with all scopes.
    pub async fn operator(&self) -> WsClient {
        WsClient::operator(self.port).await
    }

    /// A chat completion; returns status and body.
    pub async fn chat(&self, body: &Value) -> (u16, Value) {
        let answer = self.post_chat(body).await;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
        (status, body)
    }

    /// A chat completion as the raw response.
    pub async fn post_chat(&self, body: &Value) -> reqwest::Response {
        reqwest::Client::builder()
            .build()
            .unwrap()
            .post(self.url("/v1/chat/completions"))
            .bearer_auth(TOKEN)
            .json(body)
            .send()
            .await
            .unwrap()
    }
}

/// Writes beside the target and renames over it.
pub fn replace_file(path: &Path, content: &[u8]) {
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, content).unwrap();
    fs::rename(&temporary, path).unwrap();
}

/// A chat request with one user message.
pub fn user_says(text: &str) -> Value {
    json!({"model": "openclaw", "messages": [{"role": "user", "content": text}]})
}

/// The same in the conversation of a user.
pub fn user_says_as(user: &str, text: &str) -> Value {
    let mut body = user_says(text);
    body["user"] = json!(user);
    body
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
        if std::thread::panicking() {
            eprintln!("--- gateway log ---\n{}", self.log());
        }
    }
}
