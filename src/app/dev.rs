//! The development instance: a config file for people who have none yet.

use std::io;
use std::path::Path;

use crate::base::fs::{create_private, create_private_dir};

/// What a development instance starts with. Written once, then it is the user's file.
const DEV_CONFIG: &str = r#"// A development instance of the OpenClaw gateway. Change this file while the gateway runs.
{
  gateway: {
    mode: "local",
    bind: "loopback",
    http: { endpoints: { chatCompletions: { enabled: true }, responses: { enabled: true } } },
  },
  agents: { list: [{ id: "dev", default: true, name: "Dev" }] },
  // models: { providers: { mine: { baseUrl: "https://...", api: "openai-completions", apiKey: "...", models: [] } } },
}
"#;

/// Creates the config file of a development instance unless it exists. `true`: it is new.
pub(super) fn seed_config(path: &Path) -> io::Result<bool> {
    if let Some(folder) = path.parent() {
        create_private_dir(folder)?;
    }
    match create_private(path, DEV_CONFIG.as_bytes()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}
