//! `--dev --reset`: a development instance starts over.
//!
//! What was there is moved aside inside the state directory, not deleted: a flag typed in the wrong place must not cost
//! anybody's conversations. The lock is held meanwhile, so no gateway works on what is moved.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::fs::create_private_dir;
use crate::config::paths::Paths;

/// Where things are moved to, inside the state directory.
const ASIDE: &str = "trash";
/// Stays where it is: held by this process.
const LOCK: &str = "gateway.lock";

/// Moves the config file and everything in the state directory (credentials, sessions, workspaces) to
/// `trash/<now>` in the state directory; `None`: there was nothing. Workspaces that lie elsewhere are not touched.
///
/// # Errors
/// Something cannot be moved; what was moved before that stays moved.
pub(super) fn start_over(paths: &Paths, now_ms: i64) -> io::Result<Option<PathBuf>> {
    let aside = paths.state_dir.join(ASIDE).join(now_ms.to_string());
    let mut wanted: Vec<PathBuf> = fs::read_dir(&paths.state_dir)?
        .collect::<io::Result<Vec<_>>>()?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| !is_kept(path))
        .collect();
    if paths.config.exists() && !paths.config.starts_with(&paths.state_dir) {
        wanted.push(paths.config.clone());
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    create_private_dir(&aside)?;
    for path in wanted {
        let Some(name) = path.file_name() else { continue };
        move_file(&path, &aside.join(name))?;
    }
    Ok(Some(aside))
}

fn is_kept(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == ASIDE || name == LOCK)
}

/// A config file may lie on another file system, where it cannot be renamed.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            fs::copy(from, to)?;
            fs::remove_file(from)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;

    #[test]
    fn everything_but_the_lock_is_moved_aside() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        fs::create_dir_all(state.join("credentials")).unwrap();
        for file in ["state.db", "gateway.lock", "credentials/key"] {
            fs::write(state.join(file), file).unwrap();
        }
        let config = dir.path().join("openclaw.json");
        fs::write(&config, "{}").unwrap();
        let env: Env = [
            ("OPENCLAW_STATE_DIR", state.to_str().unwrap()),
            ("OPENCLAW_CONFIG_PATH", config.to_str().unwrap()),
        ]
        .into_iter()
        .collect();
        let paths = Paths::resolve(&env, dir.path());
        let aside = start_over(&paths, 7).unwrap().unwrap();
        assert_eq!(aside, state.join("trash/7"));
        assert_eq!(
            fs::read_to_string(aside.join("credentials/key")).unwrap(),
            "credentials/key"
        );
        assert!(aside.join("state.db").exists() && aside.join("openclaw.json").exists());
        assert!(state.join("gateway.lock").exists() && !config.exists() && !state.join("state.db").exists());
        assert_eq!(start_over(&paths, 8).unwrap(), None);
    }
}
