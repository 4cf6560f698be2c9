//! Keys from the login shell (`env.shellEnv`): for people whose keys are set in a profile that services do not read.
//!
//! The shell is asked once per process; a reload uses the same answer. Only well-known names are taken, and only those
//! that nothing else sets.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use super::env::Env;

/// Names that are taken.
const NAMES: [&str; 16] = [
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_OAUTH_TOKEN",
    "GEMINI_API_KEY",
    "ZAI_API_KEY",
    "OPENROUTER_API_KEY",
    "AI_GATEWAY_API_KEY",
    "MINIMAX_API_KEY",
    "SYNTHETIC_API_KEY",
    "ELEVENLABS_API_KEY",
    "TELEGRAM_BOT_TOKEN",
    "DISCORD_BOT_TOKEN",
    "SLACK_BOT_TOKEN",
    "SLACK_APP_TOKEN",
    "OPENCLAW_GATEWAY_TOKEN",
    "OPENCLAW_GATEWAY_PASSWORD",
];

/// How long the shell may take, unless configured.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(15_000);
/// Most that the shell may print.
const MOST_OUTPUT: u64 = 1024 * 1024;

type Answer = Result<Vec<(String, String)>, String>;

/// The shell's answer, once it was asked; clones share it.
#[derive(Clone, Default)]
pub struct ShellEnv(Arc<OnceLock<Answer>>);

impl fmt::Debug for ShellEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShellEnv([redacted])")
    }
}

impl ShellEnv {
    /// Fills names that `env` lacks. Blocking; the first call starts the shell.
    ///
    /// # Errors
    /// Why the shell could not be asked; nothing was filled.
    pub fn fill(&self, env: &mut Env, timeout: Option<Duration>) -> Result<(), String> {
        let shell = env.get("SHELL").unwrap_or("/bin/sh").to_owned();
        let answer = self
            .0
            .get_or_init(|| ask(&shell, env, timeout.unwrap_or(DEFAULT_TIMEOUT)));
        for (name, value) in answer.as_ref().map_err(Clone::clone)? {
            env.fill(name, value);
        }
        Ok(())
    }
}

fn ask(shell: &str, env: &Env, timeout: Duration) -> Answer {
    if !Path::new(shell).is_absolute() {
        return Err(format!("the login shell \"{shell}\" (SHELL) is not an absolute path"));
    }
    let mut child = Command::new(shell)
        .args(["-l", "-c", "env -0"])
        .env_clear()
        .envs(env.iter())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("the login shell {shell} cannot be started: {error}"))?;
    let (sender, receiver) = sync_channel(1);
    if let Some(stdout) = child.stdout.take() {
        // On its own thread, because reading has no deadline of its own.
        thread::spawn(move || {
            let mut output = Vec::new();
            let read = stdout.take(MOST_OUTPUT).read_to_end(&mut output);
            // Nobody may be waiting any more.
            sender.try_send(read.map(|_| output)).unwrap_or_default();
        });
    }
    let output = receiver.recv_timeout(timeout);
    // It has answered or is too late; either way it must not linger.
    drop(child.kill());
    drop(child.wait());
    match output {
        Ok(Ok(output)) => Ok(wanted(&output)),
        Ok(Err(error)) => Err(format!("the login shell {shell} cannot be read: {error}")),
        Err(_) => Err(format!(
            "the login shell {shell} did not answer within {} ms (env.shellEnv.timeoutMs)",
            timeout.as_millis()
        )),
    }
}

/// The wanted variables among those of `env -0`; what a profile prints before them belongs to no name.
fn wanted(output: &[u8]) -> Vec<(String, String)> {
    output
        .split(|byte| *byte == 0)
        .filter_map(|entry| std::str::from_utf8(entry).ok()?.split_once('='))
        .map(|(name, value)| (name.rsplit('\n').next().unwrap_or(name), value))
        .filter(|(name, value)| NAMES.contains(name) && !value.trim().is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn shell(folder: &Path, script: &str) -> String {
        let path = folder.join("shell");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn env(shell: &str) -> Env {
        [("SHELL", shell), ("PATH", "/usr/bin:/bin"), ("GEMINI_API_KEY", "mine")]
            .into_iter()
            .collect()
    }

    #[test]
    fn known_names_are_taken_once_and_never_replace_what_is_set() {
        let folder = tempfile::tempdir().unwrap();
        let asked = folder.path().join("asked");
        let script = format!(
            "echo welcome; echo x >> {}; OPENAI_API_KEY=from-shell GEMINI_API_KEY=theirs OTHER=no exec env -0",
            asked.display()
        );
        let known = ShellEnv::default();
        for _ in 0..2 {
            let mut env = env(&shell(folder.path(), &script));
            known.clone().fill(&mut env, None).unwrap();
            assert_eq!(env.get("OPENAI_API_KEY"), Some("from-shell"));
            assert_eq!(env.get("GEMINI_API_KEY"), Some("mine"));
            assert_eq!(env.get("OTHER"), None);
        }
        assert_eq!(std::fs::read_to_string(asked).unwrap(), "x\n");
    }

    #[test]
    fn a_shell_that_hangs_is_given_up_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let shell = shell(folder.path(), "exec sleep 60");
        let mut env = env(&shell);
        let error = ShellEnv::default()
            .fill(&mut env, Some(Duration::from_millis(100)))
            .unwrap_err();
        assert!(error.contains(&shell) && error.contains("100 ms"), "{error}");
    }
}
