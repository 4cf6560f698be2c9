//! Where the listener's certificate is.

use std::path::{Path, PathBuf};

use super::paths::Paths;
use super::types::gateway::http::Tls;

/// The files of `gateway.tls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// Whether a self-signed pair is made if both are missing.
    pub auto_generate: bool,
}

impl TlsFiles {
    /// The configured files, where they are configured; `None`: TLS is off.
    pub fn of(section: &Tls, paths: &Paths) -> Option<Self> {
        if !section.enabled {
            return None;
        }
        let mut files = Self::in_state_dir(&paths.state_dir, section.auto_generate != Some(false));
        if let Some(cert) = &section.cert_path {
            files.cert = paths.expand(cert);
        }
        if let Some(key) = &section.key_path {
            files.key = paths.expand(key);
        }
        Some(files)
    }

    /// The files in the state directory.
    pub fn in_state_dir(state_dir: &Path, auto_generate: bool) -> Self {
        let folder = state_dir.join("gateway").join("tls");
        Self {
            cert: folder.join("gateway-cert.pem"),
            key: folder.join("gateway-key.pem"),
            auto_generate,
        }
    }

    /// Whether both files are there, or can be made.
    pub fn can_be_had(&self) -> bool {
        match (self.cert.exists(), self.key.exists()) {
            (true, true) => true,
            (false, false) => self.auto_generate,
            _ => false,
        }
    }
}
