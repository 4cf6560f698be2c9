//! Whole commands: arguments in, both streams and the exit code out, against a gateway double or none.

mod double;
mod down;
mod follow;
mod help;
mod local;
mod refused;
mod run;
mod secure;
mod up;

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;

use super::Step;
use super::interpret;
use super::printer::{Look, Printer};
use crate::config::Env;
use crate::settings::RunSettings;

/// An instance on this machine: a state directory with a config file.
struct Instance {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

/// What a command left behind.
#[derive(Debug)]
struct Ran {
    exit: Option<u8>,
    settings: Option<RunSettings>,
    out: String,
    err: String,
}

#[derive(Clone, Default)]
struct Captured(Rc<RefCell<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Instance {
    fn with_config(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("openclaw.json"), config).unwrap();
        let env = [
            ("HOME", dir.path()),
            ("OPENCLAW_STATE_DIR", dir.path()),
            ("OPENCLAW_CONFIG_PATH", &dir.path().join("openclaw.json")),
        ]
        .map(|(name, path)| (name.to_owned(), path.display().to_string()))
        .to_vec();
        Self { dir, env }
    }

    /// A local gateway with a token on `port`.
    fn on_port(port: u16) -> Self {
        Self::with_config(&format!(
            r#"{{ gateway: {{ mode: "local", port: {port}, bind: "loopback", auth: {{ mode: "token", token: "test-token-value" }} }} }}"#
        ))
    }

    fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn config_path(&self) -> PathBuf {
        self.dir.path().join("openclaw.json")
    }

    fn state_dir(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, words: &[&str]) -> Ran {
        let out = Captured::default();
        self.run_into(words, Box::new(out.clone()), &out)
    }

    /// Runs with another stdout; `out` is what it is read back from.
    fn run_into(&self, words: &[&str], stdout: Box<dyn Write>, out: &Captured) -> Ran {
        let err = Captured::default();
        let mut printer = Printer::new(stdout, Box::new(err.clone()), Look::default());
        let argv = std::iter::once("openclaw")
            .chain(words.iter().copied())
            .map(OsString::from);
        let env: Env = self.env.iter().cloned().collect();
        let (exit, settings) = match interpret(argv, env, &mut printer) {
            Step::Gateway(settings) => (None, Some(*settings)),
            Step::Done(exit) => (Some(printer.finish(exit).code()), None),
        };
        Ran {
            exit,
            settings,
            out: self.masked(&out.text()),
            err: self.masked(&err.text()),
        }
    }

    fn masked(&self, text: &str) -> String {
        text.replace(&self.config_path().display().to_string(), "<config>")
            .replace(&self.state_dir().display().to_string(), "<state>")
    }
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("stdout is not JSON ({error}): {}", self.out))
    }

    /// The same transcript with the port masked.
    fn masked_port(mut self, port: u16) -> Self {
        self.out = self.out.replace(&port.to_string(), "<port>");
        self.err = self.err.replace(&port.to_string(), "<port>");
        self
    }

    fn transcript(&self) -> String {
        format!(
            "exit={}\n--- stdout ---\n{}--- stderr ---\n{}",
            self.exit.unwrap_or_default(),
            self.out,
            self.err
        )
    }
}

/// A port of loopback on which nobody listens.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Compares with a fixture; `UPDATE_FIXTURES=1` writes it instead.
fn assert_golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/cli")
        .join(name);
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{name} differs from its fixture");
}
