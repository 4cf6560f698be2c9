//! Where things are: home, state folder, config file. Pure except for looking whether candidates exist.

use std::path::{Path, PathBuf};

use super::env::Env;
use super::error::StartError;

/// Resolved locations, all absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The working folder at start.
    pub cwd: PathBuf,
    /// Home folder.
    pub home: PathBuf,
    /// State folder.
    pub state_dir: PathBuf,
    /// Config file, whether it exists or not.
    pub config: PathBuf,
    /// Whether the state folder is the default one and not named by the environment.
    pub default_state: bool,
}

const STATE_NAMES: [&str; 2] = [".openclaw", ".clawdbot"];
const FILE_NAMES: [&str; 2] = ["openclaw.json", "clawdbot.json"];

impl Paths {
    /// Applies the rules of upstream: explicit variables first, then what exists, then the default.
    pub fn resolve(env: &Env, cwd: &Path) -> Self {
        let home = home(env, cwd);
        let at = |text: &str| absolute(&expand_home(text, &home), cwd);
        let explicit_state = env.get("OPENCLAW_STATE_DIR").map(at);
        let default_state = explicit_state.is_none();
        let state_dir = explicit_state.unwrap_or_else(|| {
            let candidates = STATE_NAMES.map(|name| home.join(name));
            candidates
                .iter()
                .find(|path| path.exists())
                .cloned()
                .unwrap_or_else(|| home.join(".openclaw"))
        });
        let config = env.get("OPENCLAW_CONFIG_PATH").map(at).unwrap_or_else(|| {
            let mut folders = vec![state_dir.clone()];
            if default_state {
                folders.extend(STATE_NAMES.map(|name| home.join(name)));
            }
            let candidates = folders
                .iter()
                .flat_map(|folder| FILE_NAMES.map(|name| folder.join(name)));
            candidates
                .into_iter()
                .find(|path| path.exists())
                .unwrap_or_else(|| state_dir.join("openclaw.json"))
        });
        Self {
            cwd: cwd.to_owned(),
            home,
            state_dir,
            config,
            default_state,
        }
    }

    /// A path of the configuration: `~` is the home folder, relative paths start at the working folder.
    pub fn expand(&self, text: &str) -> PathBuf {
        absolute(&expand_home(text, &self.home), &self.cwd)
    }

    /// Where the gateway's generated token is kept.
    pub fn generated_token(&self) -> PathBuf {
        self.state_dir.join("gateway-token")
    }

    /// Where the last good configuration is kept.
    pub fn last_good(&self) -> PathBuf {
        self.state_dir.join("config.last-good")
    }
}

fn home(env: &Env, cwd: &Path) -> PathBuf {
    let meaningful = |value: &&str| *value != "undefined" && *value != "null";
    let system = ["HOME", "USERPROFILE"]
        .iter()
        .find_map(|name| env.get(name).filter(meaningful))
        .map(PathBuf::from);
    match env.get("OPENCLAW_HOME").filter(meaningful) {
        Some(text) => absolute(&expand_home(text, system.as_deref().unwrap_or(cwd)), cwd),
        None => absolute(&system.unwrap_or_else(|| cwd.to_owned()), cwd),
    }
}

fn expand_home(text: &str, home: &Path) -> PathBuf {
    match text.strip_prefix('~') {
        Some("") => home.to_owned(),
        Some(rest) => rest
            .strip_prefix(['/', '\\'])
            .map_or_else(|| PathBuf::from(text), |rest| home.join(rest)),
        None => PathBuf::from(text),
    }
}

fn absolute(path: &Path, cwd: &Path) -> PathBuf {
    normalize(&cwd.join(path))
}

/// Resolves `.` and `..` by text, without looking at the file system.
pub(crate) fn normalize(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Applies the root options `--profile NAME` and `--dev` to the environment, before paths are resolved.
pub fn apply_profile(env: &mut Env, profile: Option<&str>, dev: bool, cwd: &Path) -> Result<(), StartError> {
    let name = match (profile, dev) {
        (Some(_), true) => return Err(StartError::Flag("Cannot combine --dev with --profile".to_owned())),
        (Some(name), false) => name,
        (None, true) => "dev",
        (None, false) => return Ok(()),
    };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Err(StartError::Flag(
            "Invalid --profile (use letters, digits, \"-\" and \"_\" only)".to_owned(),
        ));
    }
    env.set("OPENCLAW_PROFILE", name);
    let home = home(env, cwd);
    let suffix = if name.eq_ignore_ascii_case("default") {
        String::new()
    } else {
        format!("-{name}")
    };
    let folder = home.join(format!(".openclaw{suffix}"));
    env.fill("OPENCLAW_STATE_DIR", &folder.to_string_lossy());
    let state = env
        .get("OPENCLAW_STATE_DIR")
        .map_or_else(|| folder.clone(), PathBuf::from);
    env.fill("OPENCLAW_CONFIG_PATH", &state.join("openclaw.json").to_string_lossy());
    if dev {
        env.fill("OPENCLAW_GATEWAY_PORT", "19001");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        pairs.iter().copied().collect()
    }

    #[test]
    fn explicit_variables_win_and_tilde_is_the_home_folder() {
        let env = env(&[
            ("HOME", "/h"),
            ("OPENCLAW_HOME", "~/own"),
            ("OPENCLAW_STATE_DIR", "~/s"),
            ("OPENCLAW_CONFIG_PATH", "c/../conf.json"),
        ]);
        let paths = Paths::resolve(&env, Path::new("/w"));
        assert_eq!(paths.home, Path::new("/h/own"));
        assert_eq!(paths.state_dir, Path::new("/h/own/s"));
        assert_eq!(paths.config, Path::new("/w/conf.json"));
        assert!(!paths.default_state);
    }

    #[test]
    fn without_variables_the_older_folder_is_used_only_if_it_exists() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap().to_owned();
        let env = env(&[("HOME", &home), ("OPENCLAW_HOME", "undefined")]);
        let fresh = Paths::resolve(&env, Path::new("/w"));
        assert_eq!(fresh.config, dir.path().join(".openclaw/openclaw.json"));
        std::fs::create_dir(dir.path().join(".clawdbot")).unwrap();
        std::fs::write(dir.path().join(".clawdbot/clawdbot.json"), "{}").unwrap();
        let older = Paths::resolve(&env, Path::new("/w"));
        assert_eq!(older.state_dir, dir.path().join(".clawdbot"));
        assert_eq!(older.config, dir.path().join(".clawdbot/clawdbot.json"));
    }

    #[test]
    fn a_profile_moves_state_and_config_and_dev_moves_the_port() {
        let mut dev = env(&[("HOME", "/h")]);
        apply_profile(&mut dev, None, true, Path::new("/w")).unwrap();
        assert_eq!(dev.get("OPENCLAW_PROFILE"), Some("dev"));
        assert_eq!(dev.get("OPENCLAW_GATEWAY_PORT"), Some("19001"));
        assert_eq!(
            Paths::resolve(&dev, Path::new("/w")).config,
            Path::new("/h/.openclaw-dev/openclaw.json")
        );
        let mut set = env(&[("HOME", "/h"), ("OPENCLAW_STATE_DIR", "/s")]);
        apply_profile(&mut set, Some("rescue"), false, Path::new("/w")).unwrap();
        assert_eq!(set.get("OPENCLAW_CONFIG_PATH"), Some("/s/openclaw.json"));
        let refusal = apply_profile(&mut set, Some("a"), true, Path::new("/w")).unwrap_err();
        assert_eq!(refusal.to_string(), "Cannot combine --dev with --profile");
        assert!(apply_profile(&mut set, Some("../x"), false, Path::new("/w")).is_err());
    }
}
