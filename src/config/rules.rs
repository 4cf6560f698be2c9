//! What a changed key takes: nothing, a live change, or a new listener.
//!
//! Everything is applied in the running process. Upstream's "restart" means here: the listener is bound anew, which is
//! what the modes `hot` and `off` are there to prevent.

use super::types::gateway::ReloadMode;

/// What a changed key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It is read when needed, or only by clients.
    None,
    /// Parts of the gateway are rebuilt.
    Hot,
    /// The listener is bound anew.
    Restart,
}

/// First match wins; a rule covers its path and everything below.
const RULES: &[(&str, Effect)] = &[
    ("gateway.port", Effect::Restart),
    ("gateway.bind", Effect::Restart),
    ("gateway.customBindHost", Effect::Restart),
    ("gateway.tls.enabled", Effect::Restart),
    ("gateway.tailscale", Effect::Restart),
    ("gateway.management", Effect::Restart),
    ("gateway.mode", Effect::Restart),
    ("gateway.remote", Effect::None),
    ("gateway.reload", Effect::None),
    ("meta", Effect::None),
    ("ui", Effect::None),
    ("$schema", Effect::None),
];

/// What a change of `path` takes.
pub fn effect(path: &str) -> Effect {
    let below = |prefix: &str| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if let Some((_, effect)) = RULES.iter().find(|(prefix, _)| below(prefix)) {
        return *effect;
    }
    // A whole section that comes or goes takes what its most demanding key takes.
    let above = |rule: &str| rule.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    RULES
        .iter()
        .filter(|(rule, _)| above(rule))
        .map(|(_, effect)| *effect)
        .max()
        .unwrap_or(Effect::Hot)
        .max(Effect::Hot)
}

/// A change, judged by `gateway.reload.mode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing is applied; the text is the log line.
    Ignore(String),
    /// The new snapshot is applied.
    Apply {
        /// Whether the listener is bound anew.
        rebind: bool,
    },
}

/// Decides about a change of these paths.
pub fn plan(mode: ReloadMode, changed: &[String]) -> Plan {
    let demanding: Vec<&str> = changed
        .iter()
        .map(String::as_str)
        .filter(|path| effect(path) == Effect::Restart)
        .collect();
    match mode {
        ReloadMode::Off => Plan::Ignore("config reload disabled (gateway.reload.mode=off)".to_owned()),
        ReloadMode::Hot if !demanding.is_empty() => Plan::Ignore(format!(
            "config reload requires gateway restart; hot mode ignoring ({})",
            demanding.join(", ")
        )),
        ReloadMode::Hot => Plan::Apply { rebind: false },
        ReloadMode::Restart => Plan::Apply {
            rebind: changed.iter().any(|path| effect(path) != Effect::None),
        },
        ReloadMode::Hybrid => Plan::Apply {
            rebind: !demanding.is_empty(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listener_keys_are_demanding() {
        assert_eq!(effect("gateway.port"), Effect::Restart);
        assert_eq!(effect("gateway.tls.certPath"), Effect::Hot);
        assert_eq!(effect("gateway.tls"), Effect::Restart);
        assert_eq!(effect("gateway.auth.token"), Effect::Hot);
        assert_eq!(effect("agents.list"), Effect::Hot);
        assert_eq!(effect("gateway.reload.mode"), Effect::None);
        assert_eq!(effect("gateway.portal"), Effect::Hot);
    }

    #[test]
    fn the_mode_decides() {
        let paths = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        let both = paths(&["agents.list", "gateway.port"]);
        assert_eq!(plan(ReloadMode::Hybrid, &both), Plan::Apply { rebind: true });
        assert_eq!(
            plan(ReloadMode::Hybrid, &paths(&["agents.list"])),
            Plan::Apply { rebind: false }
        );
        let Plan::Ignore(line) = plan(ReloadMode::Hot, &both) else {
            panic!()
        };
        assert_eq!(
            line,
            "config reload requires gateway restart; hot mode ignoring (gateway.port)"
        );
        assert_eq!(
            plan(ReloadMode::Hot, &paths(&["agents.list"])),
            Plan::Apply { rebind: false }
        );
        assert!(matches!(plan(ReloadMode::Off, &paths(&["ui"])), Plan::Ignore(_)));
        assert_eq!(
            plan(ReloadMode::Restart, &paths(&["agents.list"])),
            Plan::Apply { rebind: true }
        );
    }
}
