//! Commands that do not exist here: upstream's are named as such, typing errors get the nearest command.

use std::ffi::OsString;

use crate::cli::exit::Failure;

/// Upstream's command words that this program does not have, with what to do instead where there is something.
const UPSTREAM: [(&str, &str, &str); 72] = [
    ("openclaw", "acp", ""),
    ("openclaw", "agent", "use `openclaw gateway call agent --expect-final`"),
    ("openclaw", "agents", "use `openclaw gateway call agents.list`"),
    (
        "openclaw",
        "approvals",
        "use `openclaw gateway call exec.approval.list`",
    ),
    ("openclaw", "backup", ""),
    ("openclaw", "browser", ""),
    ("openclaw", "capability", ""),
    ("openclaw", "chat", ""),
    ("openclaw", "clawbot", ""),
    ("openclaw", "commitments", ""),
    (
        "openclaw",
        "configure",
        "edit the file that `openclaw config file` names",
    ),
    ("openclaw", "crestodian", ""),
    ("openclaw", "cron", "use `openclaw gateway call cron.list`"),
    ("openclaw", "daemon", "use `openclaw gateway`"),
    (
        "openclaw",
        "dashboard",
        "open the address that `openclaw gateway status` shows",
    ),
    ("openclaw", "devices", "use `openclaw gateway call device.pair.list`"),
    ("openclaw", "directory", ""),
    ("openclaw", "dns", ""),
    ("openclaw", "docs", "see https://docs.openclaw.ai"),
    (
        "openclaw",
        "doctor",
        "use `openclaw config validate` and `openclaw gateway status`",
    ),
    ("openclaw", "exec-policy", ""),
    ("openclaw", "hooks", ""),
    ("openclaw", "infer", ""),
    ("openclaw", "mcp", ""),
    ("openclaw", "memory", ""),
    ("openclaw", "message", "use `openclaw gateway call send`"),
    ("openclaw", "migrate", ""),
    ("openclaw", "models", "use `openclaw gateway call models.list`"),
    ("openclaw", "node", ""),
    ("openclaw", "nodes", "use `openclaw gateway call node.list`"),
    ("openclaw", "onboard", "edit the file that `openclaw config file` names"),
    ("openclaw", "operator", ""),
    ("openclaw", "pairing", ""),
    ("openclaw", "plugins", ""),
    ("openclaw", "proxy", ""),
    ("openclaw", "qr", ""),
    ("openclaw", "reset", ""),
    ("openclaw", "sandbox", ""),
    ("openclaw", "secrets", "use `openclaw gateway call secrets.reload`"),
    ("openclaw", "security", ""),
    ("openclaw", "sessions", "use `openclaw gateway call sessions.list`"),
    ("openclaw", "setup", "edit the file that `openclaw config file` names"),
    ("openclaw", "skills", "use `openclaw gateway call skills.status`"),
    ("openclaw", "system", "use `openclaw gateway call system-presence`"),
    ("openclaw", "tasks", ""),
    ("openclaw", "terminal", ""),
    ("openclaw", "tui", ""),
    ("openclaw", "uninstall", ""),
    ("openclaw", "update", "replace the binary or the image"),
    ("openclaw", "voicecall", ""),
    ("openclaw", "webhooks", ""),
    ("openclaw gateway", "diagnostics", ""),
    ("openclaw gateway", "discover", ""),
    (
        "openclaw gateway",
        "install",
        "run `openclaw gateway` under your supervisor or in a container",
    ),
    (
        "openclaw gateway",
        "restart",
        "restart it with your supervisor or container",
    ),
    (
        "openclaw gateway",
        "stability",
        "use `openclaw gateway call diagnostics.stability`",
    ),
    (
        "openclaw gateway",
        "start",
        "run `openclaw gateway` under your supervisor or in a container",
    ),
    (
        "openclaw gateway",
        "stop",
        "stop it with your supervisor, or send it SIGTERM",
    ),
    ("openclaw gateway", "uninstall", "remove it from your supervisor"),
    (
        "openclaw gateway",
        "usage-cost",
        "use `openclaw gateway call usage.cost`",
    ),
    (
        "openclaw channels",
        "add",
        "edit the file that `openclaw config file` names",
    ),
    ("openclaw channels", "capabilities", ""),
    ("openclaw channels", "list", "use `openclaw channels status`"),
    ("openclaw channels", "login", ""),
    (
        "openclaw channels",
        "logout",
        "use `openclaw gateway call channels.logout`",
    ),
    ("openclaw channels", "logs", "use `openclaw logs`"),
    (
        "openclaw channels",
        "remove",
        "edit the file that `openclaw config file` names",
    ),
    ("openclaw channels", "resolve", ""),
    (
        "openclaw config",
        "patch",
        "edit the file that `openclaw config file` names",
    ),
    ("openclaw config", "schema", "use `openclaw gateway call config.schema`"),
    (
        "openclaw config",
        "set",
        "edit the file that `openclaw config file` names",
    ),
    (
        "openclaw config",
        "unset",
        "edit the file that `openclaw config file` names",
    ),
];

const AVAILABLE: [(&str, &[&str]); 4] = [
    (
        "openclaw",
        &[
            "gateway",
            "status",
            "health",
            "logs",
            "channels",
            "config",
            "completion",
        ],
    ),
    ("openclaw gateway", &["run", "status", "probe", "call", "health"]),
    ("openclaw channels", &["status"]),
    ("openclaw config", &["file", "get", "validate"]),
];

/// How alike two words must be for a suggestion.
const SIMILAR: f64 = 0.7;

/// The failure for `words` after `parent`.
pub fn failure(parent: &str, words: &[OsString]) -> Failure {
    let word = words
        .first()
        .map_or_else(String::new, |word| word.to_string_lossy().into_owned());
    let known = UPSTREAM
        .iter()
        .find(|(family, name, _)| *family == parent && *name == word);
    if let Some((_, _, instead)) = known {
        let advice = if instead.is_empty() {
            String::new()
        } else {
            format!("; {instead}")
        };
        return Failure::new(
            "NOT_AVAILABLE",
            format!("{parent} {word}: not available in this build{advice}"),
        );
    }
    let nearest = AVAILABLE
        .iter()
        .filter(|(family, _)| *family == parent)
        .flat_map(|(_, names)| names.iter())
        .map(|name| (strsim::jaro_winkler(name, &word), name))
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let advice = nearest.map_or_else(
        || format!("run `{parent} --help` for the list"),
        |(_, name)| format!("did you mean `{parent} {name}`?"),
    );
    Failure::new(
        "UNKNOWN_COMMAND",
        format!("{parent}: unknown command '{word}'; {advice}"),
    )
}
