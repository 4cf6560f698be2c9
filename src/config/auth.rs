//! Who may connect: from the file, the environment and the command line to [`ResolvedAuth`], and every refusal on the way.

use std::sync::LazyLock;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::bind::Listen;
use super::env::Env;
use super::error::{Refusal, StartError};
use super::overrides::StartOverrides;
use super::secrets::SecretTable;
use super::snapshot::{AuthMode, RateLimit, ResolvedAuth, TrustedProxy};
use super::surroundings::Surroundings;
use super::types::gateway::{BindMode, ControlUi, Gateway, GatewayAuth, RateLimitSection, TailscaleMode};
use super::types::{Config, SecretInput};
use crate::base::{Secret, net};

/// Keys the fingerprint of the shared secret, so that it is worthless outside this process.
static FINGERPRINT_KEY: LazyLock<[u8; 32]> = LazyLock::new(rand::random);

const PLACEHOLDER_TOKENS: [&str; 2] = ["change-me-now", "change-me-to-a-long-random-token"];
const PLACEHOLDER_PASSWORD: &str = "change-me-to-a-strong-password";

/// What authentication is resolved from.
pub struct Inputs<'a> {
    /// The typed file.
    pub config: &'a Config,
    /// The environment.
    pub env: &'a Env,
    /// The command line.
    pub overrides: &'a StartOverrides,
    /// Resolved references.
    pub secrets: &'a SecretTable,
    /// The token that was generated earlier, if any.
    pub generated: Option<&'a Secret>,
    /// Where the gateway listens.
    pub listen: &'a Listen,
    /// The machine.
    pub around: Surroundings,
}

/// Resolves authentication or says why the gateway must not serve like this.
pub fn resolve(inputs: &Inputs<'_>) -> Result<ResolvedAuth, StartError> {
    let gateway = &inputs.config.gateway;
    let auth = &gateway.auth;
    let token = Source::new(
        inputs.overrides.token.as_ref(),
        auth.token.as_ref(),
        inputs,
        "OPENCLAW_GATEWAY_TOKEN",
    );
    let password = Source::new(
        inputs.overrides.password.as_ref(),
        auth.password.as_ref(),
        inputs,
        "OPENCLAW_GATEWAY_PASSWORD",
    );
    let mode = mode(auth, inputs.overrides, &token, &password)?;
    let mut resolved = skeleton(gateway, mode, inputs.listen);
    match mode {
        AuthMode::None => {}
        AuthMode::Token => resolved.token = Some(shared_token(token, inputs.generated)?),
        AuthMode::Password => resolved.password = Some(shared_password(password)?),
        AuthMode::TrustedProxy => {
            if token.is_given() {
                return Err(Refusal::ProxyAndToken.into());
            }
            resolved.trusted_proxy = Some(trusted_proxy(gateway)?);
        }
    }
    if mode == AuthMode::None && inputs.listen.is_exposed() {
        let container = inputs.around.container;
        return Err(StartError::OpenBind {
            bind: inputs.listen.mode.as_str(),
            container,
        });
    }
    let tailscale = inputs.overrides.tailscale.unwrap_or(gateway.tailscale.mode);
    if tailscale == TailscaleMode::Funnel && mode != AuthMode::Password {
        return Err(Refusal::FunnelWithoutPassword.into());
    }
    hooks(inputs, &resolved)?;
    resolved.shared_generation = fingerprint(&resolved, gateway);
    Ok(resolved)
}

/// One credential of the gateway, from the first place that gives it.
struct Source {
    value: Result<Option<Secret>, String>,
    /// Whether the file or the command line gives it, as opposed to the environment.
    explicit: bool,
}

impl Source {
    fn new(flag: Option<&Secret>, file: Option<&SecretInput>, inputs: &Inputs<'_>, variable: &str) -> Self {
        if let Some(secret) = flag {
            return Self {
                value: Ok(Some(secret.clone())),
                explicit: true,
            };
        }
        match file.map(|input| inputs.secrets.get(input)) {
            None | Some(Ok(None)) => Self {
                value: Ok(inputs.env.get(variable).map(Secret::new)),
                explicit: false,
            },
            Some(value) => Self { value, explicit: true },
        }
    }

    /// Whether anything is configured, resolvable or not.
    const fn is_given(&self) -> bool {
        !matches!(self.value, Ok(None))
    }
}

fn mode(
    auth: &GatewayAuth,
    overrides: &StartOverrides,
    token: &Source,
    password: &Source,
) -> Result<AuthMode, StartError> {
    if let Some(mode) = overrides.auth.or_else(|| auth.mode.map(AuthMode::from)) {
        return Ok(mode);
    }
    match (token.is_given(), password.is_given()) {
        (true, true) if token.explicit && password.explicit => Err(Refusal::AmbiguousMode.into()),
        (_, true) => Ok(AuthMode::Password),
        _ => Ok(AuthMode::Token),
    }
}

fn shared_token(source: Source, generated: Option<&Secret>) -> Result<Secret, StartError> {
    let token = source.value.map_err(Refusal::SecretUnavailable)?;
    let token = token
        .or_else(|| generated.cloned())
        .ok_or(StartError::NeedsGeneratedToken)?;
    if PLACEHOLDER_TOKENS.iter().any(|known| token.matches(known)) {
        return Err(Refusal::Placeholder {
            what: "token",
            variable: "OPENCLAW_GATEWAY_TOKEN",
            key: "gateway.auth.token",
        }
        .into());
    }
    Ok(token)
}

fn shared_password(source: Source) -> Result<Secret, StartError> {
    let password = source
        .value
        .map_err(Refusal::SecretUnavailable)?
        .ok_or(StartError::PasswordMissing)?;
    if password.matches(PLACEHOLDER_PASSWORD) {
        return Err(Refusal::Placeholder {
            what: "password",
            variable: "OPENCLAW_GATEWAY_PASSWORD",
            key: "gateway.auth.password",
        }
        .into());
    }
    Ok(password)
}

fn trusted_proxy(gateway: &Gateway) -> Result<TrustedProxy, Refusal> {
    if gateway.trusted_proxies.iter().all(|text| text.trim().is_empty()) {
        return Err(Refusal::NoProxies);
    }
    let section = gateway.auth.trusted_proxy.as_ref().ok_or(Refusal::NoProxyRules)?;
    let user_header = section.user_header.trim().to_ascii_lowercase();
    if user_header.is_empty() {
        return Err(Refusal::NoUserHeader);
    }
    let lower = |name: &String| name.trim().to_ascii_lowercase();
    Ok(TrustedProxy {
        user_header,
        required_headers: section
            .required_headers
            .iter()
            .map(lower)
            .filter(|name| !name.is_empty())
            .collect(),
        allow_users: section.allow_users.clone(),
        allow_loopback: section.allow_loopback,
    })
}

fn hooks(inputs: &Inputs<'_>, auth: &ResolvedAuth) -> Result<(), Refusal> {
    let hooks = &inputs.config.hooks;
    if !hooks.enabled {
        return Ok(());
    }
    // A reference that does not resolve only switches the hooks off.
    let Ok(token) = hooks.token.as_ref().map_or(Ok(None), |input| inputs.secrets.get(input)) else {
        return Ok(());
    };
    let token = token.ok_or(Refusal::HooksWithoutToken)?;
    if auth.token.as_ref().is_some_and(|gateway| *gateway == token) {
        return Err(Refusal::HooksToken);
    }
    Ok(())
}

fn skeleton(gateway: &Gateway, mode: AuthMode, listen: &Listen) -> ResolvedAuth {
    let ui = &gateway.control_ui;
    ResolvedAuth {
        mode,
        token: None,
        password: None,
        trusted_proxy: None,
        trusted_proxies: gateway
            .trusted_proxies
            .iter()
            .filter_map(|text| net::parse_block(text))
            .collect(),
        allow_real_ip_fallback: gateway.allow_real_ip_fallback,
        rate_limit: gateway.auth.rate_limit.as_ref().map(rate_limit),
        node_auto_approve: gateway
            .nodes
            .pairing
            .auto_approve_cidrs
            .iter()
            .filter_map(|block| net::parse_block(block))
            .collect(),
        allowed_origins: allowed_origins(gateway, listen),
        host_header_origin_fallback: ui.dangerously_allow_host_header_origin_fallback,
        control_ui_insecure_auth: ui.allow_insecure_auth,
        control_ui_device_auth_disabled: ui.dangerously_disable_device_auth,
        shared_generation: String::new(),
    }
}

fn rate_limit(section: &RateLimitSection) -> RateLimit {
    RateLimit {
        max_attempts: section.max_attempts.unwrap_or(10),
        window: Duration::from_millis(section.window_ms.unwrap_or(60_000)),
        lockout: Duration::from_millis(section.lockout_ms.unwrap_or(300_000)),
        exempt_loopback: section.exempt_loopback.unwrap_or(true),
    }
}

/// The configured origins; if there are none and the gateway is meant to be reached from elsewhere, this machine's own
/// (only in memory: the file is not written).
fn allowed_origins(gateway: &Gateway, listen: &Listen) -> Vec<String> {
    let configured = configured_origins(&gateway.control_ui);
    if !configured.is_empty() {
        return configured;
    }
    seeds(gateway, listen).unwrap_or_default()
}

fn configured_origins(ui: &ControlUi) -> Vec<String> {
    let all = ui.allowed_origins.iter().flatten();
    all.map(|origin| origin.trim().to_ascii_lowercase())
        .filter(|origin| !origin.is_empty())
        .collect()
}

/// The origins that are put in place of missing ones; `None` where upstream would not seed.
pub fn seeds(gateway: &Gateway, listen: &Listen) -> Option<Vec<String>> {
    let ui = &gateway.control_ui;
    let wanted = listen.mode != BindMode::Loopback
        && ui.enabled != Some(false)
        && !ui.dangerously_allow_host_header_origin_fallback
        && configured_origins(ui).is_empty();
    if !wanted {
        return None;
    }
    let port = listen.port;
    let mut origins = vec![format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}")];
    if listen.mode == BindMode::Custom
        && let Some(host) = &gateway.custom_bind_host
    {
        let own = format!("http://{}:{port}", host.trim());
        if !origins.contains(&own) {
            origins.push(own);
        }
    }
    Some(origins)
}

fn fingerprint(auth: &ResolvedAuth, gateway: &Gateway) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        // Length first, so that no two lists of parts run into each other.
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    };
    part(FINGERPRINT_KEY.as_slice());
    part(auth.mode.as_str().as_bytes());
    for secret in [&auth.token, &auth.password] {
        part(secret.as_ref().map_or("", |secret| secret.expose()).as_bytes());
    }
    for proxy in &gateway.trusted_proxies {
        part(proxy.trim().as_bytes());
    }
    // Who was let in by rules that no longer hold must come in anew.
    if let Some(rules) = &auth.trusted_proxy {
        for list in [&rules.required_headers, &rules.allow_users] {
            part(&list.len().to_le_bytes());
            list.iter().for_each(|text| part(text.as_bytes()));
        }
        part(rules.user_header.as_bytes());
        part(&[u8::from(rules.allow_loopback)]);
    }
    let mut text = hex::encode(hash.finalize());
    text.truncate(32);
    text
}
