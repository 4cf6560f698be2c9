//! Values that several keys or variables decide, as their users need them.

use std::time::Duration;

use super::snapshot::Snapshot;
use super::watch::DEFAULT_SETTLE;

impl Snapshot {
    /// Time a new WebSocket has for `connect`: environment, then file, then 15 s.
    pub fn handshake_timeout(&self) -> Duration {
        let from_env = self.env_number("OPENCLAW_HANDSHAKE_TIMEOUT_MS");
        Duration::from_millis(from_env.or(self.config.gateway.handshake_timeout_ms).unwrap_or(15_000))
    }

    /// Most connections of one address that are not authenticated yet.
    pub fn max_preauth_per_ip(&self) -> u32 {
        let from_env = self.env_number("OPENCLAW_MAX_PREAUTH_CONNECTIONS_PER_IP");
        from_env.and_then(|number| u32::try_from(number).ok()).unwrap_or(32)
    }

    /// Drain budget after SIGTERM.
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_millis(self.config.gateway.shutdown.grace_ms.unwrap_or(25_000))
    }

    /// Quiet time after a change of a watched file.
    pub fn settle(&self) -> Duration {
        self.config
            .gateway
            .reload
            .debounce_ms
            .map_or(DEFAULT_SETTLE, Duration::from_millis)
    }

    /// Whether the Control UI is served.
    pub fn control_ui_enabled(&self) -> bool {
        self.config.gateway.control_ui.enabled != Some(false)
    }

    fn env_number(&self, name: &str) -> Option<u64> {
        self.env.get(name)?.parse().ok().filter(|number| *number > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, snapshot_from_json5};

    #[test]
    fn the_environment_wins_and_nonsense_in_it_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let with = |value: &str| {
            let env: Env = [("OPENCLAW_HANDSHAKE_TIMEOUT_MS", value)].into_iter().collect();
            let text = "{gateway: {handshakeTimeoutMs: 2000, reload: {debounceMs: 10}}}";
            snapshot_from_json5(text, dir.path(), &env).unwrap()
        };
        assert_eq!(with("500").handshake_timeout(), Duration::from_millis(500));
        assert_eq!(with("soon").handshake_timeout(), Duration::from_millis(2000));
        assert_eq!(with("").settle(), Duration::from_millis(10));
        assert_eq!(with("").shutdown_grace(), Duration::from_secs(25));
    }
}
