//! Who is there: the gateway itself, connected clients, clients that left a short while ago, and machines that announced
//! themselves with a system event.
//!
//! Entries are kept as JSON, and the whole list is cached per version, because it is read far more often than it changes.
//! A connection that names neither device nor instance can never be recognised again: while it lives, connections that
//! would read the same share one entry; when it left, it is shown in the next broadcast and then forgotten.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

/// Entries of machines that are not connected are kept this long.
const TTL_MS: i64 = 5 * 60 * 1_000;
/// Entries beside the gateway's own.
const MAX_ENTRIES: usize = 200;
/// Anonymous departures that wait for the next broadcast.
const MAX_GONE: usize = 20;
/// The cached list is renewed after this time, because entries expire and the gateway's own timestamp moves.
const CACHE: Duration = Duration::from_secs(5);

/// What the gateway tells about itself.
#[derive(Debug, Clone, Default)]
pub struct GatewayFacts {
    /// Host name.
    pub host: String,
    /// Address of the main interface.
    pub ip: Option<String>,
    /// Version of the program.
    pub version: String,
    /// Operating system and release.
    pub platform: String,
    /// `Linux`, `Mac`, ...
    pub device_family: String,
    /// Processor architecture.
    pub model_identifier: String,
}

impl GatewayFacts {
    /// Asks the operating system.
    pub fn detect() -> Self {
        let line = |path: &str| {
            std::fs::read_to_string(path)
                .map(|text| text.trim().to_owned())
                .ok()
                .filter(|text| !text.is_empty())
        };
        let release = line("/proc/sys/kernel/osrelease");
        Self {
            host: line("/proc/sys/kernel/hostname")
                .or_else(|| line("/etc/hostname"))
                .unwrap_or_else(|| "gateway".to_owned()),
            ip: main_address().map(|ip| ip.to_string()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            platform: release.map_or_else(
                || std::env::consts::OS.to_owned(),
                |release| format!("{} {release}", std::env::consts::OS),
            ),
            device_family: match std::env::consts::OS {
                "linux" => "Linux",
                "macos" => "Mac",
                "windows" => "Windows",
                other => other,
            }
            .to_owned(),
            model_identifier: match std::env::consts::ARCH {
                "x86_64" => "x64",
                "aarch64" => "arm64",
                other => other,
            }
            .to_owned(),
        }
    }
}

/// The address that packets to the outside would carry. Connecting a datagram socket sends nothing.
fn main_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

/// An entry as clients see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PresenceEntry {
    /// Display name, else client id or host name.
    pub host: String,
    /// Address, unless the client is on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Client version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Kind of device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// Hardware model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_identifier: Option<String>,
    /// Client mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Seconds since the person last touched the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_input_seconds: Option<u64>,
    /// IANA time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Paired device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// Granted scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Free labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// `self`, `connect`, `disconnect`, `periodic`, ...
    pub reason: String,
    /// One line for people.
    pub text: String,
    /// When it was last heard of, ms.
    pub ts: i64,
}

/// A connected client to track.
#[derive(Debug, Clone)]
pub struct ClientPresence {
    /// What is shown; `reason` and `ts` are set by the table.
    pub entry: PresenceEntry,
}

/// A machine that announced itself (`system-event`).
#[derive(Debug, Clone, Default)]
pub struct SystemNote {
    /// What is shown; fields that are missing are taken from `entry.text`.
    pub entry: PresenceEntry,
}

#[derive(Debug)]
struct Row {
    entry: PresenceEntry,
    json: String,
    /// Live connections behind it.
    live: usize,
}

#[derive(Debug)]
struct Cache {
    at: Instant,
    list: Arc<RawValue>,
}

/// The table. Owned by the hub, which locks it.
#[derive(Debug, Default)]
pub(super) struct PresenceTable {
    gateway: GatewayFacts,
    rows: HashMap<String, Row>,
    gone: Vec<String>,
    cache: Option<Cache>,
}

impl PresenceTable {
    pub(super) fn new(gateway: GatewayFacts) -> Self {
        Self {
            gateway,
            ..Self::default()
        }
    }

    /// Adds a connection; returns the key to give to `left`.
    pub(super) fn joined(&mut self, client: ClientPresence, now_ms: i64) -> String {
        let mut entry = client.entry;
        entry.reason = "connect".to_owned();
        let key = key_of(&entry);
        entry.ts = now_ms;
        let live = self.rows.get(&key).map_or(0, |row| row.live) + 1;
        self.put(key.clone(), entry, live, now_ms);
        key
    }

    /// One connection of this entry ended.
    pub(super) fn left(&mut self, key: &str, now_ms: i64) {
        let Some(row) = self.rows.get_mut(key) else { return };
        row.live = row.live.saturating_sub(1);
        let live = row.live;
        let mut entry = row.entry.clone();
        entry.reason = "disconnect".to_owned();
        entry.ts = now_ms;
        if is_anonymous(&entry) {
            if self.gone.len() < MAX_GONE {
                self.gone.push(to_json(&entry));
            }
            if live == 0 {
                self.rows.remove(key);
            }
            self.cache = None;
        } else if live == 0 {
            self.put(key.to_owned(), entry, 0, now_ms);
        }
    }

    /// A machine announced itself.
    pub(super) fn noted(&mut self, note: SystemNote, now_ms: i64) {
        let mut entry = note.entry;
        fill_from_text(&mut entry);
        entry.ts = now_ms;
        let key = if is_anonymous(&entry) {
            format!("host:{}", entry.host.to_lowercase())
        } else {
            key_of(&entry)
        };
        let live = self.rows.get(&key).map_or(0, |row| row.live);
        self.put(key, entry, live, now_ms);
    }

    fn put(&mut self, key: String, entry: PresenceEntry, live: usize, now_ms: i64) {
        self.cache = None;
        let json = to_json(&entry);
        self.rows.insert(key, Row { entry, json, live });
        if self.rows.len() > MAX_ENTRIES {
            self.prune(now_ms);
        }
        while self.rows.len() > MAX_ENTRIES {
            let oldest = self
                .rows
                .iter()
                .min_by_key(|(_, row)| row.entry.ts)
                .map(|(key, _)| key.clone());
            match oldest {
                Some(key) => self.rows.remove(&key),
                None => return,
            };
        }
    }

    fn prune(&mut self, now_ms: i64) {
        self.rows
            .retain(|_, row| row.live > 0 || now_ms - row.entry.ts < TTL_MS);
    }

    /// The list: the gateway first, then the newest first.
    pub(super) fn list(&mut self, now_ms: i64) -> Arc<RawValue> {
        if let Some(cache) = self.cache.as_ref().filter(|cache| cache.at.elapsed() < CACHE) {
            return Arc::clone(&cache.list);
        }
        self.prune(now_ms);
        let list: Arc<RawValue> = raw(self.render(&[], now_ms));
        self.cache = Some(Cache {
            at: Instant::now(),
            list: Arc::clone(&list),
        });
        list
    }

    /// The payload of a `presence` event, with anonymous clients that left since the last one.
    pub(super) fn payload(&mut self, now_ms: i64) -> Arc<RawValue> {
        self.prune(now_ms);
        let gone = std::mem::take(&mut self.gone);
        raw(format!("{{\"presence\":{}}}", self.render(&gone, now_ms)))
    }

    fn render(&self, gone: &[String], now_ms: i64) -> String {
        let mut rows: Vec<&Row> = self.rows.values().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.entry.ts));
        let own = self.own(now_ms);
        let size: usize = rows.iter().map(|row| row.json.len() + 1).sum();
        let mut out = String::with_capacity(own.len() + size + gone.len() * 256 + 2);
        out.push('[');
        out.push_str(&own);
        for json in gone.iter().chain(rows.iter().map(|row| &row.json)) {
            out.push(',');
            out.push_str(json);
        }
        out.push(']');
        out
    }

    fn own(&self, now_ms: i64) -> String {
        let gateway = &self.gateway;
        let place = gateway.ip.as_ref().map(|ip| format!(" ({ip})")).unwrap_or_default();
        to_json(&PresenceEntry {
            host: gateway.host.clone(),
            ip: gateway.ip.clone(),
            version: Some(gateway.version.clone()),
            platform: Some(gateway.platform.clone()),
            device_family: Some(gateway.device_family.clone()),
            model_identifier: Some(gateway.model_identifier.clone()),
            mode: Some("gateway".to_owned()),
            reason: "self".to_owned(),
            text: format!(
                "Gateway: {}{place} · app {} · mode gateway · reason self",
                gateway.host, gateway.version
            ),
            ts: now_ms,
            ..PresenceEntry::default()
        })
    }
}

fn raw(json: String) -> Arc<RawValue> {
    Arc::from(RawValue::from_string(json).unwrap_or_else(|_| RawValue::NULL.to_owned()))
}

fn to_json(entry: &PresenceEntry) -> String {
    serde_json::to_string(entry).unwrap_or_default()
}

fn is_anonymous(entry: &PresenceEntry) -> bool {
    entry.device_id.is_none() && entry.instance_id.is_none()
}

/// Device before instance; an anonymous client is known by what it shows.
fn key_of(entry: &PresenceEntry) -> String {
    match (&entry.device_id, &entry.instance_id) {
        (Some(device), _) => format!("id:{}", device.to_lowercase()),
        (None, Some(instance)) => format!("id:{}", instance.to_lowercase()),
        (None, None) => {
            let mut shown = entry.clone();
            shown.ts = 0;
            format!("shown:{}", to_json(&shown))
        }
    }
}

/// Reads `Node: host (ip) · app 1.2 · last input 5s ago · mode ui · reason periodic`.
fn fill_from_text(entry: &mut PresenceEntry) {
    let text = entry.text.clone();
    let mut parts = text.split('·').map(str::trim);
    let first = parts.next().unwrap_or_default();
    let name = first.split_once(':').map_or(first, |(_, name)| name).trim();
    let (host, ip) = match name.split_once('(') {
        Some((host, ip)) => (host.trim(), ip.strip_suffix(')').map(str::trim)),
        None => (name, None),
    };
    if entry.host.is_empty() {
        entry.host = if host.is_empty() { "unknown" } else { host }.to_owned();
    }
    let missing = |slot: &mut Option<String>, value: Option<&str>| {
        if let (None, Some(value)) = (slot.as_ref(), value.filter(|value| !value.is_empty())) {
            *slot = Some(value.to_owned());
        }
    };
    missing(&mut entry.ip, ip);
    for part in parts {
        if let Some(version) = part.strip_prefix("app ") {
            missing(&mut entry.version, Some(version.trim()));
        } else if let Some(mode) = part.strip_prefix("mode ") {
            missing(&mut entry.mode, Some(mode.trim()));
        } else if let Some(reason) = part.strip_prefix("reason ") {
            if entry.reason.is_empty() {
                entry.reason = reason.trim().to_owned();
            }
        } else if let Some(seconds) = part
            .strip_prefix("last input ")
            .and_then(|rest| rest.strip_suffix("s ago"))
        {
            entry.last_input_seconds = entry.last_input_seconds.or_else(|| seconds.trim().parse().ok());
        }
    }
    if entry.reason.is_empty() {
        entry.reason = "event".to_owned();
    }
}
