//! What kind of machine this is, as far as defaults depend on it.

use std::path::Path;

use super::env::Env;

/// Facts about the machine; found once at start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether this is a container.
    pub container: bool,
}

impl Surroundings {
    /// Looks at the environment and, below `root` (`/`), at the marks that container engines leave.
    pub fn detect(env: &Env, root: &Path) -> Self {
        let marks = [".dockerenv", "run/.containerenv", "var/run/.containerenv"];
        let container = env.get("KUBERNETES_SERVICE_HOST").is_some()
            || env.get("container").is_some()
            || marks.iter().any(|mark| root.join(mark).exists())
            || std::fs::read_to_string(root.join("proc/1/cgroup")).is_ok_and(|text| names_an_engine(&text));
        Self { container }
    }
}

fn names_an_engine(cgroup: &str) -> bool {
    ["/docker/", "cri-containerd-", "/containerd/", "/kubepods", "/libpod-"]
        .iter()
        .any(|part| cgroup.contains(part))
        || cgroup
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == "lxc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_recognised_by_any_of_their_marks() {
        let dir = tempfile::tempdir().unwrap();
        let none = Env::default();
        assert!(!Surroundings::detect(&none, dir.path()).container);
        let pod: Env = [("KUBERNETES_SERVICE_HOST", "10.0.0.1")].into_iter().collect();
        assert!(Surroundings::detect(&pod, dir.path()).container);
        std::fs::create_dir_all(dir.path().join("proc/1")).unwrap();
        std::fs::write(dir.path().join("proc/1/cgroup"), "0::/\n").unwrap();
        assert!(!Surroundings::detect(&none, dir.path()).container);
        std::fs::write(dir.path().join("proc/1/cgroup"), "1:name=x:/docker/abc\n").unwrap();
        assert!(Surroundings::detect(&none, dir.path()).container);
    }
}
