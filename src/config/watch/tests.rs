#![cfg(unix)]

use super::*;
use std::os::unix::fs::symlink;

struct Scene {
    dir: tempfile::TempDir,
    watcher: Watcher,
    files: Vec<PathBuf>,
    cancel: CancellationToken,
}

fn seen(files: &[PathBuf]) -> Vec<WatchedFile> {
    let digest = |path: &PathBuf| std::fs::read(path).ok().map(|bytes| Sha256::digest(&bytes).into());
    files
        .iter()
        .map(|path| WatchedFile {
            path: path.clone(),
            digest: digest(path),
        })
        .collect()
}

impl Scene {
    fn new(names: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let files: Vec<PathBuf> = names.iter().map(|name| dir.path().join(name)).collect();
        let cancel = CancellationToken::new();
        let watcher = Watcher::start(
            seen(&files),
            Duration::from_millis(20),
            &TaskTracker::new(),
            cancel.clone(),
        );
        Self {
            dir,
            watcher,
            files,
            cancel,
        }
    }

    /// The change is reported well before the slow poll would find it.
    async fn expect_change(&mut self, what: &str) {
        let waited = tokio::time::timeout(Duration::from_millis(2500), self.watcher.changed()).await;
        assert_eq!(waited.ok().flatten(), Some(()), "{what}");
    }

    /// Once this returns, folders are watched: the update makes the task look at everything.
    async fn ready(&mut self) {
        let mut files = seen(&self.files);
        files[0].digest = Some([7; 32]);
        self.watcher.control().update(files, Duration::from_millis(20));
        self.expect_change("a digest that differs is reported at once").await;
    }
}

fn put_volume(dir: &Path, version: u32, text: &str, keep: bool) {
    let name = format!("..v{version}");
    std::fs::create_dir(dir.join(&name)).unwrap();
    std::fs::write(dir.join(&name).join("conf"), text).unwrap();
    let old = std::fs::read_link(dir.join("..data")).ok();
    symlink(&name, dir.join("..data_tmp")).unwrap();
    std::fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    if old.is_none() {
        symlink("..data/conf", dir.join("conf")).unwrap();
    }
    if let Some(old) = old.filter(|_| !keep) {
        std::fs::remove_dir_all(dir.join(old)).unwrap();
    }
}

#[tokio::test]
async fn every_way_of_changing_a_file_is_noticed() {
    let mut scene = Scene::new(&["conf", "later/deep"], |dir| {
        std::fs::write(dir.join("conf"), "1").unwrap()
    });
    scene.ready().await;
    let conf = scene.dir.path().join("conf");
    for round in 0..3 {
        std::fs::write(&conf, format!("in place {round}")).unwrap();
        scene.expect_change("in-place write").await;
        std::fs::write(scene.dir.path().join("new"), format!("renamed {round}")).unwrap();
        std::fs::rename(scene.dir.path().join("new"), &conf).unwrap();
        scene.expect_change("rename over").await;
    }
    std::fs::remove_file(&conf).unwrap();
    scene.expect_change("deletion").await;
    std::fs::write(&conf, "back").unwrap();
    scene.expect_change("creation").await;
    std::fs::create_dir(scene.dir.path().join("later")).unwrap();
    std::fs::write(scene.dir.path().join("later/deep"), "x").unwrap();
    scene.expect_change("a file in a folder that did not exist").await;
    scene.cancel.cancel();
    assert_eq!(scene.watcher.changed().await, None);
}

#[tokio::test]
async fn a_volume_swap_is_noticed_whether_the_old_target_stays_or_goes() {
    let mut scene = Scene::new(&["conf"], |dir| put_volume(dir, 1, "one", false));
    scene.ready().await;
    for (version, keep) in [(2, false), (3, true), (4, true), (5, false)] {
        put_volume(scene.dir.path(), version, &format!("text {version}"), keep);
        scene.expect_change("swap").await;
    }
}

#[tokio::test]
async fn other_files_and_equal_content_are_no_change() {
    let mut scene = Scene::new(&["conf"], |dir| std::fs::write(dir.join("conf"), "1").unwrap());
    scene.ready().await;
    std::fs::write(scene.dir.path().join("other"), "x").unwrap();
    std::fs::write(scene.dir.path().join("conf"), "1").unwrap();
    let nothing = tokio::time::timeout(Duration::from_millis(300), scene.watcher.changed()).await;
    assert!(nothing.is_err());
    let more = scene.dir.path().join("other");
    scene.files.push(more.clone());
    scene.ready().await;
    std::fs::write(more, "y").unwrap();
    scene.expect_change("a file that was added").await;
}
