use std::path::Path;

use serde_json::json;

use super::*;
use crate::config::load::load;
use crate::config::redact::SENTINEL;
use crate::config::{Env, Paths, StartOverrides, Surroundings};

struct Scene {
    dir: tempfile::TempDir,
    input: LoadInput,
}

fn sample() -> Value {
    json!({
        "gateway": {"mode": "local", "bind": "loopback", "auth": {"mode": "token", "token": "tok-0123456789"}},
        "models": {"providers": {"p": {"baseUrl": "http://h/v1", "apiKey": "${KEY}", "models": [{"id": "m"}]}}},
        "agents": {"defaults": {"skipBootstrap": true}, "list": [{"id": "main", "default": true, "name": "Main"}, {"id": "b"}]},
    })
}

impl Scene {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("openclaw.json");
        std::fs::write(&file, text).unwrap();
        let env: Env = [
            ("HOME", dir.path().to_str().unwrap()),
            ("OPENCLAW_STATE_DIR", dir.path().join("state").to_str().unwrap()),
            ("OPENCLAW_CONFIG_PATH", file.to_str().unwrap()),
            ("KEY", "key-from-env-1234"),
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
        Self { dir, input }
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn known(&self) -> Vec<Arc<Snapshot>> {
        load(&self.input, None)
            .map(|loaded| loaded.snapshot)
            .into_iter()
            .collect()
    }

    fn hash(&self) -> String {
        hex::encode(Sha256::digest(std::fs::read(&self.input.paths.config).unwrap()))
    }

    fn propose(&self, change: &Change) -> Result<Proposed, EditError> {
        propose(&self.input, change, Some(&self.hash()), &self.known())
    }

    fn patch(&self, patch: &Value) -> Result<Value, EditError> {
        self.written(&Change::Merge {
            raw: patch.to_string(),
            replace: Vec::new(),
        })
    }

    fn set(&self, tree: &Value) -> Result<Value, EditError> {
        self.written(&Change::Replace { raw: tree.to_string() })
    }

    fn written(&self, change: &Change) -> Result<Value, EditError> {
        match self.propose(change)? {
            Proposed::Same(_) => Ok(Value::from("same")),
            Proposed::New(proposal) => Ok(serde_json::from_slice(&proposal.bytes).unwrap()),
        }
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_patch_merges_deletes_and_finds_elements_by_id() {
    let scene = Scene::new(&sample().to_string());
    let patch = json!({
        "agents": {
            "defaults": {"skipBootstrap": null},
            "list": [{"id": "main", "name": null, "workspace": "/w"}, {"id": "new", "name": null}],
        },
        "ui": {"seamColor": "#00ff00", "assistant": {"name": null}},
    });
    let mut expected = sample();
    expected["agents"] = json!({
        "defaults": {},
        "list": [{"id": "main", "default": true, "workspace": "/w"}, {"id": "b"}, {"id": "new"}],
    });
    expected["ui"] = json!({"seamColor": "#00ff00", "assistant": {}});
    assert_eq!(scene.patch(&patch), Ok(expected));
}

#[test]
fn arrays_are_replaced_where_the_caller_says_so_or_clears_them() {
    let scene = Scene::new(&sample().to_string());
    let raw = json!({"agents": {"list": [{"id": "only"}]}}).to_string();
    let replace = vec!["agents.list".to_owned()];
    let written = scene.written(&Change::Merge { raw, replace }).unwrap();
    assert_eq!(written["agents"]["list"], json!([{"id": "only"}]));
    let cleared = scene.patch(&json!({"agents": {"list": []}})).unwrap();
    assert_eq!(cleared["agents"]["list"], json!([]));
}

#[test]
fn what_changes_nothing_is_not_written() {
    let scene = Scene::new("{gateway: {mode: 'local', bind: 'loopback', auth: {token: 't0123456789'}}, /* c */}");
    assert_eq!(scene.patch(&json!({"gateway": {"mode": "local"}})), Ok(json!("same")));
    assert_eq!(scene.patch(&json!({})), Ok(json!("same")));
}

#[test]
fn an_edited_view_keeps_secrets_placeholders_and_no_defaults() {
    let scene = Scene::new(&sample().to_string());
    let snapshot = scene.known().remove(0);
    let shown = crate::config::view::view(&snapshot, true);
    for view in ["parsed", "sourceConfig", "config"] {
        let mut edited = shown[view].clone();
        assert_eq!(edited["gateway"]["auth"]["token"], SENTINEL, "{view}");
        edited["agents"]["list"][1]["name"] = json!("B");
        edited["commands"]["native"] = json!(false);
        let mut expected = sample();
        expected["agents"]["list"][1]["name"] = json!("B");
        expected["commands"] = json!({"native": false});
        assert_eq!(scene.set(&edited), Ok(expected), "{view}");
    }
}

#[test]
fn defaults_that_are_written_down_on_purpose_stay() {
    let scene = Scene::new(&sample().to_string());
    let mut tree = sample();
    tree["messages"] = json!({"ackReactionScope": "group-mentions"});
    assert_eq!(scene.set(&tree), Ok(tree));
}

#[test]
fn agents_that_the_view_shows_elsewhere_are_not_lost() {
    let mut file = sample();
    file["agents"] = json!({"entries": {"x": {"name": "X"}}});
    let scene = Scene::new(&file.to_string());
    let snapshot = scene.known().remove(0);
    let mut edited = crate::config::view::config(&snapshot);
    edited["ui"] = json!({"seamColor": "#00ff00"});
    let written = scene.set(&edited).unwrap();
    assert_eq!(written["agents"], file["agents"]);
    edited["agents"]["list"][0]["name"] = json!("Y");
    let written = scene.set(&edited).unwrap();
    assert_eq!(written["agents"]["list"], json!([{"id": "x", "name": "Y"}]));
}

#[test]
fn the_base_must_be_the_file_as_it_is() {
    let scene = Scene::new(&sample().to_string());
    let change = Change::Replace { raw: "{".to_owned() };
    let known = scene.known();
    let with = |hash| propose(&scene.input, &change, hash, &known).unwrap_err();
    assert_eq!(with(None), EditError::BaseHashRequired);
    assert_eq!(with(Some("bad")), EditError::BaseHashStale);
    assert!(matches!(with(Some(&scene.hash())), EditError::Syntax(_)));
}

#[test]
fn syntax_errors_name_the_character_and_its_place() {
    let scene = Scene::new(&sample().to_string());
    let error = |raw: &str| {
        scene
            .propose(&Change::Replace { raw: raw.to_owned() })
            .unwrap_err()
            .to_string()
    };
    assert_eq!(error("{not json"), "SyntaxError: JSON5: invalid character 'j' at 1:6");
    assert_eq!(error("{gateway:"), "SyntaxError: JSON5: invalid end of input at 1:10");
    let patch = Change::Merge {
        raw: "[1]".to_owned(),
        replace: Vec::new(),
    };
    assert_eq!(scene.propose(&patch).unwrap_err(), EditError::PatchNotObject);
}

#[test]
fn everything_wrong_is_reported_and_the_text_names_three() {
    let scene = Scene::new(&sample().to_string());
    let mut tree = sample();
    tree["nope"] = json!(1);
    tree["gateway"]["port"] = json!("x");
    tree["gateway"]["bogus"] = json!(1);
    tree["gateway"]["bind"] = json!("nowhere");
    let error = scene.set(&tree).unwrap_err();
    assert_eq!(error.issues().len(), 4);
    let shown = error.to_string();
    assert!(shown.starts_with("invalid config: gateway."), "{shown}");
    assert!(shown.ends_with(" (+1 more issue)"), "{shown}");
}

#[test]
fn sentinels_without_an_original_are_no_data() {
    let scene = Scene::new(&sample().to_string());
    let error = scene
        .patch(&json!({"gateway": {"auth": {"password": SENTINEL}}}))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Sentinel value \"{SENTINEL}\" in key gateway.auth.password is not valid as real data")
    );
}

#[test]
fn a_change_that_loses_most_of_the_file_or_the_mode_is_rejected() {
    let mut large = sample();
    large["agents"]["defaults"]["systemPromptOverride"] = json!("x".repeat(2_000));
    let scene = Scene::new(&large.to_string());
    let error = scene.set(&sample()).unwrap_err();
    let EditError::Rejected { reason, .. } = &error else {
        panic!("{error}")
    };
    assert!(reason.starts_with("size-drop:"), "{reason}");
    assert!(error.to_string().ends_with("code=CONFIG_WRITE_REJECTED"), "{error}");
    let error = scene.patch(&json!({"gateway": {"mode": null}})).unwrap_err();
    assert!(error.to_string().contains("(gateway-mode-removed)"), "{error}");
}

#[test]
fn a_reference_that_does_not_resolve_is_refused_unless_it_was_broken_before() {
    let scene = Scene::new(&sample().to_string());
    let reference = |id: &str| json!({"source": "env", "provider": "default", "id": id});
    let patch = json!({"models": {"providers": {"p": {"apiKey": reference("ABSENT_KEY")}}}});
    let error = scene.patch(&patch).unwrap_err().to_string();
    assert!(
        error.starts_with("invalid config: active SecretRef resolution failed (env:default:ABSENT_KEY: "),
        "{error}"
    );
    let patch = json!({"gateway": {"auth": {"token": reference("ABSENT_TOKEN")}}});
    let error = scene.patch(&patch).unwrap_err();
    assert!(
        matches!(&error, EditError::Secrets(reason) if reason.contains("ABSENT_TOKEN")),
        "{error}"
    );
    let mut broken = sample();
    broken["models"]["providers"]["p"]["apiKey"] = reference("ABSENT_KEY");
    scene.file("openclaw.json", &broken.to_string());
    scene.patch(&json!({"ui": {"seamColor": "#00ff00"}})).unwrap();
}

#[test]
fn included_parts_are_not_flattened() {
    let mut file = sample();
    file["agents"] = json!({"$include": "./agents.json5"});
    let scene = Scene::new(&file.to_string());
    scene.file("agents.json5", "{list: [{id: 'main', name: 'Main'}]}");
    let change_inside = json!({"agents": {"list": [{"id": "main", "name": "Other"}]}});
    let error = scene.patch(&change_inside).unwrap_err();
    let expected = EditError::Included {
        path: "agents".to_owned(),
        file: "./agents.json5".to_owned(),
    };
    assert_eq!(error, expected);
    let mut view = scene.known().remove(0).runtime.clone();
    view["ui"] = json!({"seamColor": "#00ff00"});
    let mut beside = file.clone();
    beside["ui"] = json!({"seamColor": "#00ff00"});
    assert_eq!(scene.set(&view), Ok(beside.clone()));
    assert_eq!(scene.patch(&json!({"ui": {"seamColor": "#00ff00"}})), Ok(beside));
    view["agents"]["list"][0]["name"] = json!("Other");
    assert_eq!(scene.set(&view).unwrap_err(), expected);
    let unchanged = json!({"agents": {"list": [{"id": "main", "name": "Main"}]}});
    assert_eq!(scene.patch(&unchanged), Ok(json!("same")));
    let replaced = scene.patch(&json!({"agents": null})).unwrap();
    assert_eq!(replaced.get("agents"), None);
    assert!(text(&scene.input.paths.config).contains("$include"));
}

#[test]
fn a_broken_file_can_be_replaced_and_not_patched() {
    let scene = Scene::new(&sample().to_string());
    let known = scene.known();
    scene.file("openclaw.json", "{broken");
    let hash = scene.hash();
    let patch = Change::Merge {
        raw: "{}".to_owned(),
        replace: Vec::new(),
    };
    let error = propose(&scene.input, &patch, Some(&hash), &known).unwrap_err();
    assert_eq!(error, EditError::FileInvalid);
    let whole = Change::Replace {
        raw: sample().to_string(),
    };
    assert!(matches!(
        propose(&scene.input, &whole, Some(&hash), &known),
        Ok(Proposed::New(_))
    ));
}
