//! Where to listen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::env::Env;
use super::error::Refusal;
use super::overrides::{StartOverrides, env_port};
use super::surroundings::Surroundings;
use super::types::gateway::{BindMode, Gateway, Management, TailscaleMode};
use crate::base::net;

/// Port when nothing says otherwise.
pub const DEFAULT_PORT: u16 = 18789;
/// Port of the management listener when nothing says otherwise.
pub const DEFAULT_MANAGEMENT_PORT: u16 = 9464;

/// Where to listen, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Bind mode in force.
    pub mode: BindMode,
    /// Port.
    pub port: u16,
    /// Addresses to bind, the one to show first. The second, if any, may fail to bind without harm.
    pub addresses: Vec<SocketAddr>,
    /// Addresses of the management listener, as above; none if it is off.
    pub management: Vec<SocketAddr>,
}

impl Listen {
    /// Whether other machines can reach it.
    pub fn is_exposed(&self) -> bool {
        self.addresses.iter().any(|address| !address.ip().is_loopback())
    }
}

/// Resolves mode, port and addresses.
pub fn resolve(
    gateway: &Gateway,
    overrides: &StartOverrides,
    env: &Env,
    around: Surroundings,
) -> Result<Listen, Refusal> {
    let tailscale = overrides.tailscale.unwrap_or(gateway.tailscale.mode);
    let mode = overrides
        .bind
        .or(gateway.bind)
        .unwrap_or(match (tailscale, around.container) {
            (TailscaleMode::Off, true) => BindMode::Auto,
            _ => BindMode::Loopback,
        });
    let port = overrides
        .port
        .or_else(|| env.get("OPENCLAW_GATEWAY_PORT").and_then(env_port))
        .or(gateway.port)
        .unwrap_or(DEFAULT_PORT);
    let ips = addresses(mode, gateway.custom_bind_host.as_deref(), around)?;
    let listen = Listen {
        mode,
        port,
        addresses: ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect(),
        management: management(&gateway.management, env, around)?,
    };
    if tailscale != TailscaleMode::Off && listen.is_exposed() {
        return Err(Refusal::TailscaleBind);
    }
    Ok(listen)
}

fn addresses(mode: BindMode, custom: Option<&str>, around: Surroundings) -> Result<Vec<IpAddr>, Refusal> {
    match mode {
        BindMode::Loopback => loopback(),
        BindMode::Lan => Ok(everywhere(around)),
        BindMode::Auto if around.container => Ok(everywhere(around)),
        BindMode::Auto => loopback(),
        BindMode::Tailnet => match std::fs::read_to_string("/proc/net/fib_trie") {
            Ok(table) => match net::tailnet_address(&table) {
                Some(address) => Ok(vec![IpAddr::V4(address)]),
                None => loopback(),
            },
            Err(_) => loopback(),
        },
        BindMode::Custom => {
            let text = custom
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .ok_or(Refusal::CustomHostMissing)?;
            let address: Ipv4Addr = text.parse().map_err(|_| Refusal::CustomHostInvalid(text.to_owned()))?;
            if !net::can_bind(IpAddr::V4(address)) {
                return Err(Refusal::CustomHostForeign(text.to_owned()));
            }
            Ok(vec![IpAddr::V4(address)])
        }
    }
}

/// Every address. In a container IPv6 too: what reaches it is decided outside, and a cluster may have nothing else.
fn everywhere(around: Surroundings) -> Vec<IpAddr> {
    let v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    if around.container {
        vec![v4, IpAddr::V6(Ipv6Addr::UNSPECIFIED)]
    } else {
        vec![v4]
    }
}

fn loopback() -> Result<Vec<IpAddr>, Refusal> {
    let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let bindable: Vec<IpAddr> = both.into_iter().filter(|address| net::can_bind(*address)).collect();
    if bindable.is_empty() {
        Err(Refusal::NoLoopback)
    } else {
        Ok(bindable)
    }
}

/// The management listener: on if the file says so, or if it says nothing and `OPENCLAW_MANAGEMENT_PORT` is set.
pub fn management(section: &Management, env: &Env, around: Surroundings) -> Result<Vec<SocketAddr>, Refusal> {
    let from_env = env.get("OPENCLAW_MANAGEMENT_PORT").and_then(env_port);
    if !section.enabled.unwrap_or(from_env.is_some()) {
        return Ok(Vec::new());
    }
    let port = section.port.or(from_env).unwrap_or(DEFAULT_MANAGEMENT_PORT);
    let ips = match section.bind.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => vec![text.parse().map_err(|_| Refusal::ManagementBind(text.to_owned()))?],
        None => everywhere(around),
    };
    Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}
