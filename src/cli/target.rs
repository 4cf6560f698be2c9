//! Which gateway a command talks to, with which credentials, and how that is told to people.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use url::{Host, Url};

use super::client::identity::IdentityFolder;
use super::client::tls::Trust;
use super::client::{CallError, Endpoint};
use super::exit::Failure;
use super::local::Local;
use crate::base::Secret;
use crate::config::TlsFiles;

/// Options of every command that talks to a gateway.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetArgs {
    /// Gateway WebSocket URL (default: configured remote, else this machine)
    #[arg(long, value_name = "url")]
    pub url: Option<String>,
    /// Gateway token
    #[arg(long, value_name = "token")]
    pub token: Option<String>,
    /// Gateway password
    #[arg(long, value_name = "password")]
    pub password: Option<String>,
}

/// Where the address came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `--url`.
    Flag,
    /// `OPENCLAW_GATEWAY_URL`.
    Env,
    /// `gateway.remote.url`.
    Remote,
    /// The gateway of this machine.
    Local,
    /// The same, because remote mode names no address.
    LocalFallback,
}

impl Source {
    /// As shown in error blocks.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Flag => "cli --url",
            Self::Env => "env OPENCLAW_GATEWAY_URL",
            Self::Remote => "config gateway.remote.url",
            Self::Local => "local loopback",
            Self::LocalFallback => "missing gateway.remote.url (fallback local)",
        }
    }
}

/// A resolved gateway.
#[derive(Debug, Clone)]
pub struct Target {
    /// Address and credentials.
    pub endpoint: Endpoint,
    /// Where the address came from.
    pub source: Source,
    config_path: PathBuf,
    bind: Option<String>,
}

impl Target {
    /// Resolves address and credentials.
    ///
    /// Address: `--url`, then `OPENCLAW_GATEWAY_URL`, then `gateway.remote.url` in remote mode, then loopback.
    /// Credentials: flags, then environment, then config. An address given by flag gets only credentials given by flag,
    /// and one of another machine given by a variable only those of flags and variables, so that a typing error never
    /// sends the secret of this machine's gateway to a stranger.
    ///
    /// # Errors
    /// A usage failure that says what to add.
    pub fn resolve(args: &TargetArgs, local: &Local) -> Result<Self, Failure> {
        let (url, source) = address(args, local);
        Self::build(args, local, &url, source)
    }

    /// The gateway of this machine, whatever else is configured, with this machine's credentials.
    ///
    /// # Errors
    /// As `resolve`.
    pub fn loopback(local: &Local) -> Result<Self, Failure> {
        Self::build(&TargetArgs::default(), local, &loopback_url(local), Source::Local)
    }

    fn build(args: &TargetArgs, local: &Local, url: &str, source: Source) -> Result<Self, Failure> {
        let token = given(args.token.as_deref());
        let password = given(args.password.as_deref());
        if source == Source::Flag && token.is_none() && password.is_none() {
            let message = "gateway url override requires explicit credentials";
            let text = format!(
                "{message}\nFix: pass --token or --password together with --url.\nConfig: {}",
                local.config_path().display()
            );
            return Err(Failure::with_text("USAGE", message, text));
        }
        let parsed = Url::parse(url)
            .map_err(|error| Failure::usage(format!("gateway url {url:?} is not a valid address: {error}")))?;
        refuse_plaintext(&parsed, local)?;
        let (token, password) = if token.is_some() || password.is_some() {
            (token, password)
        } else if source == Source::Env && !is_loopback(&parsed) {
            of_environment(local)
        } else {
            stored_credentials(local)
        };
        Ok(Self {
            endpoint: Endpoint {
                trust: trust(source, local)?,
                url: parsed,
                token,
                password,
                identity: Some(IdentityFolder::of_state(&local.paths.state_dir)),
            },
            source,
            config_path: local.config_path().to_path_buf(),
            bind: matches!(source, Source::Local | Source::LocalFallback).then(|| local.bind_mode()),
        })
    }

    /// The address as shown, without a trailing slash.
    pub fn url(&self) -> &str {
        self.endpoint.url.as_str().trim_end_matches('/')
    }

    /// The lines that say what was tried.
    pub fn details(&self) -> String {
        let mut text = format!(
            "Gateway target: {}\nSource: {}\nConfig: {}",
            self.url(),
            self.source.label(),
            self.config_path.display()
        );
        if let Some(bind) = &self.bind {
            text.push_str("\nBind: ");
            text.push_str(bind);
        }
        text
    }

    /// The block that every command prints when a call fails.
    pub fn explain(&self, error: &CallError) -> Failure {
        let headline = error.headline();
        let mut text = String::new();
        if let Some(refusal) = error.refusal() {
            text.push_str("gateway connect failed: GatewayClientRequestError: ");
            text.push_str(&refusal.message);
            text.push('\n');
        }
        let body = self.explain_body(error);
        if let Some(class) = error.class() {
            text.push_str(class);
            text.push_str(": ");
        }
        text.push_str(&body);
        let message = match error {
            CallError::Unreachable(reason) => reason.clone(),
            _ => error.refusal().map_or(headline, |refusal| refusal.message.clone()),
        };
        Failure::with_text(&error.code(), message, text)
    }

    /// The same as `explain` for commands that put their own words before the block.
    pub fn explain_as(&self, error: &CallError, prefix: &str) -> Failure {
        let mut failure = self.explain(error);
        // The refusal stays on its own line, before the prefix.
        match error.refusal().and_then(|_| failure.text.split_once('\n')) {
            Some((first, rest)) => failure.text = format!("{first}\n{prefix}{rest}"),
            None => failure = failure.prefixed(prefix),
        }
        failure
    }

    /// Headline, details and causes, without the class name.
    pub fn explain_body(&self, error: &CallError) -> String {
        let headline = error.headline();
        match error {
            CallError::Request(_) | CallError::Local(_) => headline,
            CallError::Closed { code, .. } if *code != super::client::error::ABNORMAL_CLOSURE => {
                format!("{headline}\n{}", self.details())
            }
            CallError::Timeout(_) => format!("{headline}\n{}", self.details()),
            // A refused connection says no more than its headline; a TLS or name error does.
            CallError::Unreachable(reason) if !reason.starts_with("connect ECONNREFUSED") => {
                format!("{headline}\n{}\nReason: {reason}\n{CAUSES}", self.details())
            }
            CallError::Unreachable(_) | CallError::Closed { .. } => {
                format!("{headline}\n{}\n{CAUSES}", self.details())
            }
        }
    }
}

const CAUSES: &str = "
Possible causes:
- Gateway not yet ready to accept connections (retry after a moment)
- TLS mismatch (connecting with ws:// to a wss:// gateway, or vice versa)
- Gateway crashed or was terminated unexpectedly
Run `openclaw doctor` for diagnostics.";

/// A timeout option in milliseconds.
///
/// # Errors
/// A usage failure for 0.
pub fn timeout_of(ms: u64) -> Result<Duration, Failure> {
    if ms == 0 {
        return Err(Failure::usage("--timeout must be a positive number of milliseconds"));
    }
    Ok(Duration::from_millis(ms))
}

fn given(value: Option<&str>) -> Option<Secret> {
    value.map(str::trim).filter(|value| !value.is_empty()).map(Secret::new)
}

fn address(args: &TargetArgs, local: &Local) -> (String, Source) {
    if let Some(url) = args.url.as_deref().map(str::trim).filter(|url| !url.is_empty()) {
        return (url.to_owned(), Source::Flag);
    }
    if let Some(url) = local.env().get("OPENCLAW_GATEWAY_URL") {
        return (url.to_owned(), Source::Env);
    }
    let remote = local.mode() == "remote";
    if let Some(url) = local.text("gateway.remote.url").filter(|_| remote) {
        return (url, Source::Remote);
    }
    let source = if remote { Source::LocalFallback } else { Source::Local };
    (loopback_url(local), source)
}

fn loopback_url(local: &Local) -> String {
    let scheme = if local.is_true("gateway.tls.enabled") {
        "wss"
    } else {
        "ws"
    };
    format!("{scheme}://127.0.0.1:{}", local.port())
}

fn of_environment(local: &Local) -> (Option<Secret>, Option<Secret>) {
    let find = |variable: &str| local.env().get(variable).map(Secret::new);
    (find("OPENCLAW_GATEWAY_TOKEN"), find("OPENCLAW_GATEWAY_PASSWORD"))
}

fn stored_credentials(local: &Local) -> (Option<Secret>, Option<Secret>) {
    let remote = local.mode() == "remote";
    let sections = if remote {
        ["gateway.remote", "gateway.auth"]
    } else {
        ["gateway.auth", "gateway.remote"]
    };
    let find = |name: &str| {
        sections
            .iter()
            .find_map(|section| local.secret(&format!("{section}.{name}")))
    };
    let (token, password) = of_environment(local);
    let token = token.or_else(|| find("token"));
    let password = password.or_else(|| find("password"));
    if token.is_none() && password.is_none() && !remote {
        return (local.generated_token(), None);
    }
    (token, password)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// Credentials and chats must not cross a network in the clear.
fn refuse_plaintext(url: &Url, local: &Local) -> Result<(), Failure> {
    if url.scheme() != "ws" || is_loopback(url) {
        return Ok(());
    }
    let private = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_private() || ip.is_link_local(),
        Some(Host::Ipv6(ip)) => ip.is_unique_local() || ip.is_unicast_link_local(),
        Some(Host::Domain(_)) => true,
        None => false,
    };
    if private && local.env().is_truthy("OPENCLAW_ALLOW_INSECURE_PRIVATE_WS") {
        return Ok(());
    }
    let message = format!("{url} would send credentials unencrypted over the network");
    let text = format!(
        "{message}\nFix: use wss://, a tunnel to loopback, or (inside a trusted private network only) OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1."
    );
    Err(Failure::with_text("INSECURE_URL", message, text))
}

fn trust(source: Source, local: &Local) -> Result<Trust, Failure> {
    match source {
        Source::Local | Source::LocalFallback => {
            let certificate = local.text("gateway.tls.certPath").map_or_else(
                || TlsFiles::in_state_dir(&local.paths.state_dir, false).cert,
                |path| local.paths.expand(&path),
            );
            Ok(Trust::of_certificate_file(&certificate).unwrap_or_else(|| roots(local)))
        }
        Source::Remote => local.text("gateway.remote.tlsFingerprint").map_or_else(
            || Ok(roots(local)),
            |text| {
                Trust::parse_fingerprint(&text).ok_or_else(|| {
                    Failure::usage("gateway.remote.tlsFingerprint is not a SHA-256 fingerprint (64 hex digits)")
                })
            },
        ),
        Source::Flag | Source::Env => Ok(roots(local)),
    }
}

fn roots(local: &Local) -> Trust {
    let path = |name: &str| local.env().get(name).map(|value| Path::new(value).to_path_buf());
    Trust::Roots {
        bundle: path("SSL_CERT_FILE"),
        extra: path("NODE_EXTRA_CA_CERTS").into_iter().collect(),
    }
}
