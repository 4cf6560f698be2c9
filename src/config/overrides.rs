//! What the command line says over the file.

use super::error::StartError;
use super::snapshot::AuthMode;
use super::types::gateway::{BindMode, TailscaleMode};
use crate::base::Secret;

/// Flags of `openclaw gateway`, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartOverrides {
    /// `--port`.
    pub port: Option<u16>,
    /// `--bind`.
    pub bind: Option<BindMode>,
    /// `--auth`.
    pub auth: Option<AuthMode>,
    /// `--token`.
    pub token: Option<Secret>,
    /// `--password` or the content of `--password-file`.
    pub password: Option<Secret>,
    /// `--tailscale`.
    pub tailscale: Option<TailscaleMode>,
    /// `--allow-unconfigured`.
    pub allow_unconfigured: bool,
}

/// Flags of `openclaw gateway` as typed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags<'a> {
    /// `--port`.
    pub port: Option<&'a str>,
    /// `--bind`.
    pub bind: Option<&'a str>,
    /// `--auth`.
    pub auth: Option<&'a str>,
    /// `--token`.
    pub token: Option<&'a str>,
    /// `--password`.
    pub password: Option<&'a str>,
    /// `--password-file`.
    pub password_file: Option<&'a str>,
    /// `--tailscale`.
    pub tailscale: Option<&'a str>,
    /// `--ws-log`.
    pub ws_log: Option<&'a str>,
    /// `--allow-unconfigured`.
    pub allow_unconfigured: bool,
    /// `--dev` after the word `gateway`.
    pub dev: bool,
    /// `--reset`.
    pub reset: bool,
}

impl StartOverrides {
    /// Checks the flags; the error has upstream's text and exit code 1. Reads `--password-file`.
    pub fn parse(flags: &Flags<'_>) -> Result<Self, StartError> {
        let wrong = |text: &str| StartError::Flag(text.to_owned());
        let port = flags
            .port
            .map(|text| {
                text.trim()
                    .parse::<u16>()
                    .ok()
                    .filter(|port| *port > 0)
                    .ok_or_else(|| wrong("Invalid port"))
            })
            .transpose()?;
        let bind = flags.bind.map(parse_bind).transpose()?;
        let auth = flags.auth.map(parse_auth).transpose()?;
        let tailscale = flags.tailscale.map(parse_tailscale).transpose()?;
        if flags
            .ws_log
            .is_some_and(|style| !matches!(style, "auto" | "full" | "compact"))
        {
            return Err(wrong("Invalid --ws-log (use \"auto\", \"full\", \"compact\")"));
        }
        if flags.reset && !flags.dev {
            return Err(wrong("Use --reset with --dev."));
        }
        let password = match (flags.password, flags.password_file) {
            (Some(_), Some(_)) => return Err(wrong("Use either --password or --password-file.")),
            (Some(text), None) => Some(text.to_owned()),
            (None, Some(path)) => Some(password_file(path)?),
            (None, None) => None,
        };
        Ok(Self {
            port,
            bind,
            auth,
            token: secret(flags.token),
            password: secret(password.as_deref()),
            tailscale,
            allow_unconfigured: flags.allow_unconfigured,
        })
    }
}

fn secret(text: Option<&str>) -> Option<Secret> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(Secret::new)
}

fn password_file(path: &str) -> Result<String, StartError> {
    let bytes = crate::base::fs::read_capped(std::path::Path::new(path), 64 * 1024)
        .map_err(|error| StartError::Flag(format!("Failed to read --password-file: {error}")))?;
    String::from_utf8(bytes)
        .map_err(|_| StartError::Flag(format!("Failed to read --password-file: {path} is not text")))
}

fn parse_bind(text: &str) -> Result<BindMode, StartError> {
    let all = [
        BindMode::Loopback,
        BindMode::Lan,
        BindMode::Tailnet,
        BindMode::Auto,
        BindMode::Custom,
    ];
    let names = "Invalid --bind (use \"loopback\", \"lan\", \"tailnet\", \"auto\", or \"custom\")";
    all.into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or_else(|| StartError::Flag(names.to_owned()))
}

fn parse_auth(text: &str) -> Result<AuthMode, StartError> {
    let all = [
        AuthMode::None,
        AuthMode::Token,
        AuthMode::Password,
        AuthMode::TrustedProxy,
    ];
    let names = "Invalid --auth (use \"none\", \"token\", \"password\", or \"trusted-proxy\")";
    all.into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or_else(|| StartError::Flag(names.to_owned()))
}

fn parse_tailscale(text: &str) -> Result<TailscaleMode, StartError> {
    let all = [TailscaleMode::Off, TailscaleMode::Serve, TailscaleMode::Funnel];
    let names = "Invalid --tailscale (use \"off\", \"serve\", or \"funnel\")";
    all.into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or_else(|| StartError::Flag(names.to_owned()))
}

/// A port as `OPENCLAW_GATEWAY_PORT` may give it: `18789`, `host:18789`, `[v6]:18789`. Anything else is ignored.
pub fn env_port(text: &str) -> Option<u16> {
    let text = text.trim();
    let digits = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:")?.1,
        None => match text.split_once(':') {
            Some((host, port)) if !host.is_empty() && !port.contains(':') => port,
            Some(_) => return None,
            None => text,
        },
    };
    digits.parse().ok().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(flags: Flags<'_>) -> String {
        let error = StartOverrides::parse(&flags).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        error.to_string()
    }

    #[test]
    fn wrong_flags_are_refused_in_upstreams_words() {
        assert_eq!(
            refusal(Flags {
                port: Some("abc"),
                ..Flags::default()
            }),
            "Invalid port"
        );
        assert!(
            refusal(Flags {
                bind: Some("foo"),
                ..Flags::default()
            })
            .starts_with("Invalid --bind (use \"loopback\"")
        );
        assert!(
            refusal(Flags {
                auth: Some("foo"),
                ..Flags::default()
            })
            .starts_with("Invalid --auth (use \"none\"")
        );
        assert!(
            refusal(Flags {
                tailscale: Some("x"),
                ..Flags::default()
            })
            .starts_with("Invalid --tailscale (use")
        );
        assert!(
            refusal(Flags {
                ws_log: Some("x"),
                ..Flags::default()
            })
            .starts_with("Invalid --ws-log (use")
        );
        assert_eq!(
            refusal(Flags {
                reset: true,
                ..Flags::default()
            }),
            "Use --reset with --dev."
        );
        let both = Flags {
            password: Some("a"),
            password_file: Some("b"),
            ..Flags::default()
        };
        assert_eq!(refusal(both), "Use either --password or --password-file.");
    }

    #[test]
    fn the_port_variable_may_carry_a_host() {
        assert_eq!(env_port("18790"), Some(18790));
        assert_eq!(env_port("host:1"), Some(1));
        assert_eq!(env_port("[::1]:2"), Some(2));
        for text in ["::1:3", "x", "0", "70000", ":4"] {
            assert_eq!(env_port(text), None, "{text}");
        }
    }
}
