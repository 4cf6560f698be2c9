use super::*;
use crate::config::{Env, Paths, StartError, StartOverrides, Surroundings};

struct Scene {
    dir: tempfile::TempDir,
    input: LoadInput,
    reloader: Reloader,
    current: std::sync::Arc<Snapshot>,
}

fn text(mode: &str, more: &str) -> String {
    format!("{{gateway: {{mode: 'local', bind: 'loopback', auth: {{token: 't'}}, reload: {{mode: '{mode}'}}, {more}}}")
}

impl Scene {
    fn new(mode: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("openclaw.json");
        std::fs::write(&file, text(mode, "}")).unwrap();
        let env: Env = [
            ("HOME", dir.path().to_str().unwrap()),
            ("OPENCLAW_STATE_DIR", dir.path().to_str().unwrap()),
            ("OPENCLAW_CONFIG_PATH", file.to_str().unwrap()),
        ]
        .into_iter()
        .collect();
        let input = LoadInput {
            paths: Paths::resolve(&env, dir.path()),
            env,
            overrides: StartOverrides::default(),
            around: Surroundings::default(),
            generated_token: None,
            generation: 1,
            loaded_at_ms: 0,
            shell: crate::config::shell_env::ShellEnv::default(),
        };
        let current = load(&input, None).unwrap().snapshot;
        Self {
            reloader: Reloader::new(&current),
            dir,
            input,
            current,
        }
    }

    fn write(&self, text: &str) {
        std::fs::write(self.dir.path().join("openclaw.json"), text).unwrap();
    }

    fn evaluate(&mut self) -> Reload {
        let outcome = self.reloader.evaluate(&self.input, &self.current);
        if let Reload::Apply { loaded, .. } = &outcome {
            self.current = std::sync::Arc::clone(&loaded.snapshot);
        }
        outcome
    }
}

#[test]
fn an_unchanged_file_is_unchanged_and_a_change_is_applied_with_its_paths() {
    let mut scene = Scene::new("hybrid");
    assert!(matches!(scene.evaluate(), Reload::Unchanged));
    scene.write(&text("hybrid", "port: 2000}, agents: {list: [{id: 'x'}]}"));
    let Reload::Apply { changed, rebind, .. } = scene.evaluate() else {
        panic!()
    };
    assert_eq!(
        (changed, rebind),
        (vec!["gateway.port".to_owned(), "agents".to_owned()], true)
    );
    assert!(matches!(scene.evaluate(), Reload::Unchanged));
    scene.write(&text("hybrid", "port: 2000}, agents: {list: [{id: 'x'}]} /* note */"));
    let Reload::Apply { changed, rebind, .. } = scene.evaluate() else {
        panic!("the hash must follow the file")
    };
    assert_eq!((changed, rebind), (Vec::new(), false));
}

#[test]
fn hot_mode_ignores_a_new_port_and_then_applies_other_changes() {
    let mut scene = Scene::new("hot");
    scene.write(&text("hot", "port: 2000}"));
    let Reload::Ignored { reason, .. } = scene.evaluate() else {
        panic!()
    };
    assert_eq!(
        reason,
        "config reload requires gateway restart; hot mode ignoring (gateway.port)"
    );
    scene.write(&text("hot", "port: 2000}, agents: {list: [{id: 'x'}]}"));
    let Reload::Apply { changed, .. } = scene.evaluate() else {
        panic!()
    };
    assert_eq!(changed, ["agents"]);
}

#[test]
fn off_mode_applies_nothing() {
    let mut scene = Scene::new("off");
    scene.write(&text("off", "}, agents: {list: [{id: 'x'}]}"));
    let Reload::Ignored { reason, changed, .. } = scene.evaluate() else {
        panic!()
    };
    assert_eq!(
        (reason.as_str(), changed),
        (
            "config reload disabled (gateway.reload.mode=off)",
            vec!["agents".to_owned()]
        )
    );
}

#[test]
fn a_broken_or_missing_file_changes_nothing_and_its_repair_is_noticed() {
    let mut scene = Scene::new("hybrid");
    scene.write("{gateway: {bogus: 1}, nope: 1}");
    let Reload::Broken(error) = scene.evaluate() else {
        panic!()
    };
    assert_eq!(
        error.error.one_line(),
        "gateway: Unrecognized key: \"bogus\", : Unrecognized key: \"nope\""
    );
    scene.write(&text("hybrid", "}"));
    assert!(matches!(scene.evaluate(), Reload::Apply { changed, .. } if changed.is_empty()));
    std::fs::remove_file(scene.dir.path().join("openclaw.json")).unwrap();
    let Reload::Broken(error) = scene.evaluate() else {
        panic!()
    };
    assert_eq!(error.error, StartError::MissingConfig);
    assert_eq!(error.error.one_line(), "config file not found");
    assert!(
        scene
            .reloader
            .watched()
            .iter()
            .any(|file| file.path.ends_with("openclaw.json"))
    );
    scene.input.overrides.allow_unconfigured = true;
    assert!(
        matches!(scene.evaluate(), Reload::Broken(_)),
        "settings are not dropped with the file"
    );
}

#[test]
fn a_half_written_file_is_looked_at_again() {
    let mut scene = Scene::new("hybrid");
    scene.write("{gateway: {mode: 'lo");
    let file = scene.dir.path().join("openclaw.json");
    let whole = text("hybrid", "}, agents: {list: [{id: 'x'}]}");
    let writer = std::thread::spawn(move || {
        std::thread::sleep(SETTLE / 3);
        std::fs::write(file, whole).unwrap();
    });
    let outcome = scene.evaluate();
    writer.join().unwrap();
    assert!(matches!(outcome, Reload::Apply { changed, .. } if changed == ["agents"]));
}

#[test]
fn a_change_that_could_not_be_applied_is_tried_again_with_all_that_it_takes() {
    let mut scene = Scene::new("hybrid");
    scene.write(&text("hybrid", "port: 4123}"));
    for _ in 0..2 {
        let Reload::Apply { changed, rebind, .. } = scene.evaluate() else {
            panic!()
        };
        assert_eq!((changed.as_slice(), rebind), (&["gateway.port".to_owned()][..], true));
        scene.reloader.retry();
    }
}

#[test]
fn a_port_in_an_env_file_moves_the_listener_too() {
    let mut scene = Scene::new("hybrid");
    std::fs::write(scene.dir.path().join(".env"), "OPENCLAW_GATEWAY_PORT=4123\n").unwrap();
    let Reload::Apply {
        loaded,
        changed,
        rebind,
    } = scene.evaluate()
    else {
        panic!()
    };
    assert_eq!((changed, rebind, loaded.snapshot.listen.port), (Vec::new(), true, 4123));
}
