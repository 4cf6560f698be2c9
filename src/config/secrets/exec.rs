//! Secrets from a program: one bounded question and answer over stdin and stdout, no shell.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::env::Env;
use super::super::paths::Paths;
use super::super::types::SecretInput;
use super::super::types::secrets::SecretProvider;
use crate::base::Secret;

const DEFAULT_TIMEOUT_MS: u64 = 5_000;
const DEFAULT_MAX_BYTES: u64 = 1024 * 1024;
/// Parts of output between the reader and us; a program that writes faster waits.
const QUEUE: usize = 16;

/// Asks for all ids at once; one result per id, in order.
pub(super) fn ask(
    alias: &str,
    provider: &SecretProvider,
    ids: &[&str],
    env: &Env,
    paths: &Paths,
    max_batch: u32,
) -> Vec<Result<Secret, String>> {
    match run(alias, provider, ids, env, paths, max_batch) {
        Ok(output) => ids
            .iter()
            .map(|id| answer(alias, provider, ids.len(), &output, id))
            .collect(),
        Err(reason) => ids.iter().map(|_| Err(reason.clone())).collect(),
    }
}

fn run(
    alias: &str,
    provider: &SecretProvider,
    ids: &[&str],
    env: &Env,
    paths: &Paths,
    max_batch: u32,
) -> Result<String, String> {
    let program = program(alias, provider, paths)?;
    let question = json!({ "protocolVersion": 1, "provider": alias, "ids": ids }).to_string();
    if question.len() > usize::try_from(max_batch).unwrap_or(usize::MAX) {
        return Err(format!(
            "Exec provider \"{alias}\" request is larger than {max_batch} bytes."
        ));
    }
    let mut command = Command::new(&program);
    command
        .args(&provider.args)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(folder) = program.parent() {
        command.current_dir(folder);
    }
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    for name in &provider.pass_env {
        if let Some(value) = env.raw(name) {
            command.env(name, value);
        }
    }
    for (name, value) in &provider.env {
        if let SecretInput::Text(value) = value {
            command.env(name, value);
        }
    }
    let mut child = command
        .spawn()
        .map_err(|error| format!("Exec provider \"{alias}\" could not be started: {error}."))?;
    let output = converse(alias, provider, &mut child, question);
    if output.is_err() {
        end(&mut child);
    }
    output
}

/// Ends the program with whatever it started. It may have ended by itself; either way nothing must linger.
fn end(child: &mut Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group};
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        group.and_then(|group| kill_process_group(group, Signal::KILL).ok());
    }
    drop(child.kill());
    drop(child.wait());
}

fn converse(alias: &str, provider: &SecretProvider, child: &mut Child, question: String) -> Result<String, String> {
    let limit = Duration::from_millis(provider.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS));
    let silence = provider.no_output_timeout_ms.map_or(limit, Duration::from_millis);
    let deadline = Instant::now() + limit;
    let late = || format!("Exec provider \"{alias}\" timed out after {}ms.", limit.as_millis());
    if let Some(mut stdin) = child.stdin.take() {
        // On its own thread: a program that does not read must not hold us up. A broken pipe is its own decision.
        std::thread::spawn(move || drop(stdin.write_all(question.as_bytes())));
    }
    let parts = child.stdout.take().map(reader).ok_or_else(late)?;
    let most = provider.max_output_bytes.unwrap_or(DEFAULT_MAX_BYTES);
    let mut output = Vec::new();
    loop {
        let wait = deadline.saturating_duration_since(Instant::now()).min(silence);
        match parts.recv_timeout(wait) {
            Ok(part) => output.extend_from_slice(&part),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => return Err(late()),
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!(
                    "Exec provider \"{alias}\" wrote nothing for {}ms.",
                    silence.as_millis()
                ));
            }
        }
        if u64::try_from(output.len()).unwrap_or(u64::MAX) > most {
            return Err(format!("Exec provider \"{alias}\" wrote more than {most} bytes."));
        }
    }
    // Output is closed; the end itself is only polled for because it has no deadline of its own.
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => return Err(late()),
            Err(error) => return Err(format!("Exec provider \"{alias}\" was lost: {error}.")),
        }
    };
    match status.code() {
        Some(0) => String::from_utf8(output).map_err(|_| format!("Exec provider \"{alias}\" returned binary data.")),
        Some(code) => Err(format!("Exec provider \"{alias}\" exited with code {code}.")),
        None => Err(format!("Exec provider \"{alias}\" was ended by a signal.")),
    }
}

fn reader(mut stdout: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(QUEUE);
    std::thread::spawn(move || {
        let mut buffer = [0_u8; 8192];
        while let Ok(count) = stdout.read(&mut buffer) {
            let part = buffer.get(..count).unwrap_or_default().to_vec();
            if count == 0 || sender.send(part).is_err() {
                break;
            }
        }
    });
    receiver
}

fn answer(alias: &str, provider: &SecretProvider, count: usize, output: &str, id: &str) -> Result<Secret, String> {
    let tree: Value = match serde_json::from_str(output) {
        Ok(tree @ Value::Object(_)) => tree,
        _ if !provider.json_only && count == 1 => {
            let text = output.strip_suffix('\n').unwrap_or(output);
            return non_empty(alias, id, text);
        }
        _ => return Err(format!("Exec provider \"{alias}\" returned invalid JSON.")),
    };
    if tree.get("protocolVersion").and_then(Value::as_u64) != Some(1) {
        return Err(format!(
            "Exec provider \"{alias}\" speaks another protocol version than 1."
        ));
    }
    if tree.get("errors").and_then(|errors| errors.get(id)).is_some() {
        // Its text is not repeated: it may hold what we must not log.
        return Err(format!("Exec provider \"{alias}\" reports an error for id \"{id}\"."));
    }
    match tree
        .get("values")
        .and_then(|values| values.get(id))
        .and_then(Value::as_str)
    {
        Some(text) => non_empty(alias, id, text),
        None => Err(format!("Exec provider \"{alias}\" response missing id \"{id}\".")),
    }
}

fn non_empty(alias: &str, id: &str, text: &str) -> Result<Secret, String> {
    if text.trim().is_empty() {
        return Err(format!(
            "Exec provider \"{alias}\" returned an empty value for id \"{id}\"."
        ));
    }
    Ok(Secret::new(text))
}

/// The program, if it may be run.
fn program(alias: &str, provider: &SecretProvider, paths: &Paths) -> Result<PathBuf, String> {
    let key = format!("secrets.providers.{alias}.command");
    let text = provider
        .command
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| format!("{key} is not set"))?;
    if !text.starts_with('~') && !Path::new(text).is_absolute() {
        return Err(format!("{key} must be an absolute path: {text}"));
    }
    let path = paths.expand(text);
    let shown = path.display();
    let metadata = std::fs::symlink_metadata(&path).map_err(|_| format!("{key} does not exist: {shown}"))?;
    if metadata.is_symlink() && !provider.allow_symlink_command {
        return Err(format!("{key} must not be a symlink: {shown}"));
    }
    let real = std::fs::canonicalize(&path).map_err(|error| format!("{key} cannot be used: {shown}: {error}"))?;
    let trusted = |folder: &String| std::fs::canonicalize(paths.expand(folder)).is_ok_and(|dir| real.starts_with(dir));
    if !provider.trusted_dirs.is_empty() && !provider.trusted_dirs.iter().any(trusted) {
        return Err(format!(
            "{key} is not inside secrets.providers.{alias}.trustedDirs: {shown}"
        ));
    }
    #[cfg(unix)]
    if !provider.allow_insecure_path {
        use std::os::unix::fs::MetadataExt;
        let target = std::fs::metadata(&real).map_err(|error| format!("{key} cannot be used: {shown}: {error}"))?;
        if target.mode() & 0o022 != 0 {
            return Err(format!("{key} permissions are too open: {shown}"));
        }
    }
    Ok(real)
}
