//! A snapshot for tests of probes and surfaces: agents `main` (default) and `beta`, no authentication settings.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::base::AgentId;
use crate::config::types::Config;
use crate::config::{AgentProfile, AuthMode, ModelSelection, ResolvedAuth, Snapshot};

/// A snapshot whose source and runtime are `source`, with this authentication mode.
pub fn snapshot_from(source: Value, mode: AuthMode) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        generation: 1,
        hash: "0".repeat(64),
        loaded_at_ms: 0,
        path: PathBuf::new(),
        exists: true,
        raw: source.to_string(),
        parsed: source.clone(),
        runtime: source.clone(),
        source,
        config: Config::default(),
        warnings: Vec::new(),
        state_dir: PathBuf::new(),
        auth: auth(mode),
        providers: Vec::new(),
        agents: vec![agent("main", true), agent("beta", false)],
    })
}

/// Authentication settings of this mode without any secret.
pub fn auth(mode: AuthMode) -> ResolvedAuth {
    ResolvedAuth {
        mode,
        token: None,
        password: None,
        trusted_proxy: None,
        trusted_proxies: Vec::new(),
        allow_real_ip_fallback: false,
        rate_limit: None,
        allowed_origins: Vec::new(),
        host_header_origin_fallback: false,
        control_ui_insecure_auth: false,
        control_ui_device_auth_disabled: false,
        shared_generation: String::new(),
    }
}

fn agent(id: &str, is_default: bool) -> AgentProfile {
    AgentProfile {
        id: AgentId::new(id),
        is_default,
        name: None,
        identity_name: None,
        identity_emoji: None,
        identity_avatar: None,
        identity_theme: None,
        model: ModelSelection::default(),
        system_prompt: None,
        workspace: PathBuf::new(),
        run_timeout: None,
        thinking: None,
        context_messages: 120,
        allowed_models: Vec::new(),
    }
}
