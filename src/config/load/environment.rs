//! What a configuration adds to the environment before `${NAME}` is looked at. It only fills: whatever is set already wins.

use std::time::Duration;

use serde_json::Value;

use crate::config::env::Env;
use crate::config::shell_env::ShellEnv;

/// The variables of the `env` section, directly in it or under `vars`.
pub(super) fn fill_from_section(env: &mut Env, tree: &Value) {
    let Some(section) = tree.get("env").and_then(Value::as_object) else {
        return;
    };
    let vars = section.get("vars").and_then(Value::as_object).into_iter().flatten();
    let direct = section
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "vars" | "shellEnv"));
    for (name, value) in vars.chain(direct) {
        if let Some(text) = value.as_str() {
            env.fill(name, text);
        }
    }
}

/// What the login shell knows, if `env.shellEnv` or `OPENCLAW_LOAD_SHELL_ENV` asks for it.
///
/// # Errors
/// Why the shell could not be asked; nothing was filled.
pub(super) fn fill_from_shell(env: &mut Env, tree: &Value, shell: &ShellEnv) -> Result<(), String> {
    let asked = |key: &str| tree.get("env")?.get("shellEnv")?.get(key);
    let enabled = asked("enabled").and_then(Value::as_bool) == Some(true);
    if !enabled && !env.is_truthy("OPENCLAW_LOAD_SHELL_ENV") {
        return Ok(());
    }
    let from_env = || env.get("OPENCLAW_SHELL_ENV_TIMEOUT_MS")?.parse().ok();
    let timeout = asked("timeoutMs").and_then(Value::as_u64).or_else(from_env);
    shell.fill(env, timeout.map(Duration::from_millis))
}
