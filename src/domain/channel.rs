//! The status port of chat channels. Adapters implement it; probes and `channels.status` read it.

/// State of one channel account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelAccountStatus {
    /// Channel id (`webchat`, `telegram`, ...).
    pub channel: String,
    /// Account id (`default`).
    pub account: String,
    /// Whether config enables it.
    pub enabled: bool,
    /// Whether it has what it needs to run.
    pub configured: bool,
    /// Whether its task runs.
    pub running: bool,
    /// Whether it is connected to its service.
    pub connected: bool,
    /// The last error, if it is failing.
    pub last_error: Option<String>,
}

impl ChannelAccountStatus {
    /// Whether a probe should count it as healthy.
    pub fn is_healthy(&self) -> bool {
        !self.enabled || (self.running && self.connected)
    }
}

/// Live channels.
pub trait Channels: Send + Sync {
    /// Status of every account, in display order.
    fn status(&self) -> Vec<ChannelAccountStatus>;
}
