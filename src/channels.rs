//! Chat channels: the registry that knows every account and its state.
//!
//! `webchat` is the one channel so far: it lives inside the gateway and is connected whenever the gateway serves.

use crate::domain::channel::{ChannelAccountStatus, Channels};

/// Every channel account of this gateway.
#[derive(Debug, Default, Clone, Copy)]
pub struct ChannelRegistry;

impl Channels for ChannelRegistry {
    fn status(&self) -> Vec<ChannelAccountStatus> {
        vec![ChannelAccountStatus {
            channel: "webchat".to_owned(),
            account: "default".to_owned(),
            enabled: true,
            configured: true,
            running: true,
            connected: true,
            last_error: None,
        }]
    }
}
