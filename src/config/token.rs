//! The gateway token that is generated when none is configured. It lives in the state folder, never in the config file.

use std::io;

use super::paths::Paths;
use crate::base::Secret;
use crate::base::fs::{ReadError, create_private, create_private_dir, read_capped};

/// Why there is no generated token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It exists and cannot be used.
    #[error("cannot read the generated gateway token: {0}")]
    Read(#[from] ReadError),
    /// It exists and is empty or no text.
    #[error("the generated gateway token in {0} is empty; delete the file to get a new one")]
    Empty(std::path::PathBuf),
    /// It cannot be kept.
    #[error(
        "cannot write the generated gateway token to {path}: {source}; configure gateway.auth.token or make the state folder writable"
    )]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Reads `<state>/gateway-token`, or creates it (48 hex digits, mode 0600). The flag says whether it is new. If two
/// processes start at once, both get the same one.
pub fn read_or_create(paths: &Paths) -> Result<(Secret, bool), TokenError> {
    if let Some(token) = read(paths)? {
        return Ok((token, false));
    }
    let path = paths.generated_token();
    let write = |source: io::Error| TokenError::Write {
        path: path.clone(),
        source,
    };
    create_private_dir(&paths.state_dir).map_err(write)?;
    let token = hex::encode(rand::random::<[u8; 24]>());
    match create_private(&path, format!("{token}\n").as_bytes()) {
        Ok(()) => Ok((Secret::new(token), true)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match read(paths)? {
            Some(token) => Ok((token, false)),
            None => Err(TokenError::Empty(path)),
        },
        Err(error) => Err(write(error)),
    }
}

/// The generated token, if there is one.
pub fn read(paths: &Paths) -> Result<Option<Secret>, TokenError> {
    let path = paths.generated_token();
    match read_capped(&path, 4096) {
        Ok(bytes) => match String::from_utf8(bytes).map(|text| text.trim().to_owned()) {
            Ok(text) if !text.is_empty() => Ok(Some(Secret::new(text))),
            _ => Err(TokenError::Empty(path)),
        },
        Err(ReadError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::env::Env;

    #[test]
    fn a_token_is_made_once_and_then_kept() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("deep/state");
        let env: Env = [("OPENCLAW_STATE_DIR", state.to_str().unwrap())].into_iter().collect();
        let paths = Paths::resolve(&env, dir.path());
        let (first, new) = read_or_create(&paths).unwrap();
        assert!(new);
        assert_eq!(first.expose().len(), 48);
        let (second, new) = read_or_create(&paths).unwrap();
        assert!(!new);
        assert_eq!(first, second);
        std::fs::write(paths.generated_token(), " \n").unwrap();
        assert!(matches!(read_or_create(&paths), Err(TokenError::Empty(_))));
    }
}
