use super::*;
use serde_json::json;
use std::path::Path;

struct Scene {
    dir: tempfile::TempDir,
    env: Env,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let env = [
            ("HOME", dir.path().to_str().unwrap()),
            ("KEY", " key-1 "),
            ("EMPTY", " "),
        ]
        .into_iter()
        .collect();
        Self { dir, env }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn table(&self, providers: Value, refs: Value, previous: Option<&SecretTable>) -> SecretTable {
        let settings: Secrets = serde_json::from_value(json!({ "providers": providers })).unwrap();
        let paths = Paths::resolve(&self.env, self.dir.path());
        SecretTable::resolve(&refs, &settings, &self.env, &paths, previous)
    }

    fn one(&self, provider: Value, id: &str) -> Result<String, String> {
        let source = provider["source"].clone();
        let reference = json!({"source": source, "provider": "p", "id": id});
        let table = self.table(json!({ "p": provider }), json!({ "k": reference }), None);
        let shown = self.dir.path().to_str().unwrap();
        read(&table, &reference).map_err(|text| text.replace(shown, "<dir>"))
    }
}

fn read(table: &SecretTable, reference: &Value) -> Result<String, String> {
    let input: SecretInput = serde_json::from_value(reference.clone()).unwrap();
    table
        .get(&input)
        .map(|secret| secret.map_or_else(String::new, |secret| secret.expose().to_owned()))
}

#[test]
fn variables_are_trimmed_and_may_be_restricted() {
    let scene = Scene::new();
    let env = |id: &str| json!({"source": "env", "id": id});
    let table = scene.table(json!({}), json!([env("KEY"), env("EMPTY")]), None);
    assert_eq!(read(&table, &env("KEY")), Ok("key-1".to_owned()));
    assert_eq!(
        read(&table, &env("EMPTY")),
        Err("Environment variable \"EMPTY\" is missing or empty.".to_owned())
    );
    let restricted = scene.one(json!({"source": "env", "allowlist": ["OTHER"]}), "KEY");
    assert!(
        restricted
            .unwrap_err()
            .contains("is not in secrets.providers.p.allowlist")
    );
    let unknown = scene.table(json!({}), json!({"source": "file", "provider": "f", "id": "/x"}), None);
    let reference = json!({"source": "file", "provider": "f", "id": "/x"});
    assert_eq!(
        read(&unknown, &reference),
        Err("Secret provider \"f\" is not configured (ref: file:f:/x).".to_owned())
    );
}

#[cfg(unix)]
#[test]
fn files_are_read_by_pointer_or_whole_and_must_be_private() {
    let scene = Scene::new();
    let json = scene.file("s.json", "\u{feff}{\"a\": {\"b/c\": \"deep\", \"n\": 1}}", 0o600);
    let file = |path: &str| json!({"source": "file", "path": path});
    assert_eq!(scene.one(file(&json), "/a/b~1c"), Ok("deep".to_owned()));
    assert_eq!(
        scene.one(file(&json), "/a/x"),
        Err("JSON pointer segment \"x\" does not exist.".to_owned())
    );
    assert!(
        scene
            .one(file(&json), "/a/n")
            .unwrap_err()
            .contains("does not name a string")
    );
    let single = scene.file("v", "plain value\r\n", 0o600);
    let whole = |path: &str| json!({"source": "file", "path": path, "mode": "singleValue"});
    assert_eq!(scene.one(whole(&single), "value"), Ok("plain value".to_owned()));
    assert!(
        scene
            .one(whole(&single), "other")
            .unwrap_err()
            .contains("the id must be \"value\"")
    );
    let open = scene.file("open", "x", 0o644);
    assert_eq!(
        scene.one(whole(&open), "value"),
        Err("secrets.providers.p.path permissions are too open: <dir>/open (want 0600)".to_owned())
    );
    let lifted = json!({"source": "file", "path": open, "mode": "singleValue", "allowInsecurePath": true});
    assert_eq!(scene.one(lifted, "value"), Ok("x".to_owned()));
    assert!(
        scene
            .one(whole("relative"), "value")
            .unwrap_err()
            .contains("must be an absolute path")
    );
    assert!(
        scene
            .one(whole(&scene.path("none")), "value")
            .unwrap_err()
            .contains("does not exist: <dir>/none")
    );
    let capped = json!({"source": "file", "path": single, "mode": "singleValue", "maxBytes": 3});
    assert!(
        scene
            .one(capped, "value")
            .unwrap_err()
            .contains("is larger than 3 bytes")
    );
}

#[cfg(unix)]
#[test]
fn a_secret_volume_is_accepted_and_a_link_out_of_it_is_not() {
    use std::os::unix::fs::symlink;
    let scene = Scene::new();
    let volume = scene.dir.path().join("volume");
    std::fs::create_dir_all(volume.join("..v1")).unwrap();
    scene.file("volume/..v1/token", "from-volume\n", 0o644);
    symlink("..v1", volume.join("..data")).unwrap();
    symlink("..data/token", volume.join("token")).unwrap();
    scene.file("outside", "no", 0o600);
    symlink("../outside", volume.join("leak")).unwrap();
    let whole = |path: &Path| json!({"source": "file", "path": path.to_str().unwrap(), "mode": "singleValue"});
    assert_eq!(
        scene.one(whole(&volume.join("token")), "value"),
        Ok("from-volume".to_owned())
    );
    let refused = scene.one(whole(&volume.join("leak")), "value").unwrap_err();
    assert!(
        refused.contains("must not be a symlink that leaves its folder"),
        "{refused}"
    );
}

/// Whether the process exists and is no zombie that waits for its parent.
#[cfg(unix)]
fn is_at_work(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[cfg(unix)]
#[test]
fn a_program_answers_all_ids_at_once_and_is_bounded() {
    let scene = Scene::new();
    let answer = r#"#!/bin/sh
read question
echo "$question $PASSED $OWN $HOME" > "$(pwd)/asked"
echo '{"protocolVersion":1,"values":{"a":"va"},"errors":{"b":{"message":"secret detail"}}}'
"#;
    let program = scene.file("answer.sh", answer, 0o700);
    let provider = json!({"source": "exec", "command": program, "passEnv": ["KEY"], "env": {"OWN": "own"}});
    let ids = ["a", "b", "c"].map(|id| json!({"source": "exec", "provider": "p", "id": id}));
    let table = scene.table(json!({ "p": provider }), json!(ids), None);
    assert_eq!(read(&table, &ids[0]), Ok("va".to_owned()));
    assert_eq!(
        read(&table, &ids[1]),
        Err("Exec provider \"p\" reports an error for id \"b\".".to_owned())
    );
    assert_eq!(
        read(&table, &ids[2]),
        Err("Exec provider \"p\" response missing id \"c\".".to_owned())
    );
    let asked = std::fs::read_to_string(scene.path("asked")).unwrap();
    assert_eq!(
        asked.trim_end(),
        "{\"protocolVersion\":1,\"provider\":\"p\",\"ids\":[\"a\",\"b\",\"c\"]}  own"
    );

    let run = |name: &str, script: &str, extra: &[(&str, Value)]| {
        let program = scene.file(name, &format!("#!/bin/sh\n{script}\n"), 0o700);
        let mut provider = json!({"source": "exec", "command": program});
        for (key, value) in extra {
            provider[*key] = value.clone();
        }
        scene.one(provider, "a")
    };
    assert_eq!(
        run("fail.sh", "exit 3", &[]),
        Err("Exec provider \"p\" exited with code 3.".to_owned())
    );
    assert_eq!(
        run("text.sh", "echo hello", &[]),
        Err("Exec provider \"p\" returned invalid JSON.".to_owned())
    );
    assert_eq!(
        run("plain.sh", "echo hello", &[("jsonOnly", json!(false))]),
        Ok("hello".to_owned())
    );
    assert_eq!(
        run("slow.sh", "exec sleep 30", &[("timeoutMs", json!(100))]),
        Err("Exec provider \"p\" timed out after 100ms.".to_owned())
    );
    let family = "sleep 30 & echo $! > \"$(pwd)/child\"; wait";
    assert!(run("family.sh", family, &[("timeoutMs", json!(1_000))]).is_err());
    let child = std::fs::read_to_string(scene.path("child")).unwrap();
    let begin = std::time::Instant::now();
    while is_at_work(child.trim()) {
        assert!(
            begin.elapsed() < std::time::Duration::from_secs(10),
            "what it started lives on"
        );
        std::thread::yield_now();
    }
    let flood = run("flood.sh", "exec yes", &[("maxOutputBytes", json!(1000))]);
    assert_eq!(flood, Err("Exec provider \"p\" wrote more than 1000 bytes.".to_owned()));
    let writable = scene.file("w.sh", "#!/bin/sh\n", 0o722);
    let open = scene
        .one(json!({"source": "exec", "command": writable}), "a")
        .unwrap_err();
    assert!(open.contains("permissions are too open"), "{open}");
    let elsewhere = json!({"source": "exec", "command": program, "trustedDirs": ["/nonexistent"]});
    assert!(scene.one(elsewhere, "a").unwrap_err().contains("is not inside"));
}

#[cfg(unix)]
#[test]
fn a_value_survives_an_outage_of_the_same_source_only() {
    let scene = Scene::new();
    let path = scene.file("s", "v1", 0o600);
    let provider = json!({"p": {"source": "file", "path": path, "mode": "singleValue"}});
    let reference = json!({"source": "file", "provider": "p", "id": "value"});
    let first = scene.table(provider.clone(), reference.clone(), None);
    std::fs::remove_file(&path).unwrap();
    let outage = scene.table(provider, reference.clone(), Some(&first));
    assert_eq!(read(&outage, &reference), Ok("v1".to_owned()));
    assert_eq!(outage.degraded.len(), 1);
    assert!(!outage.differs(&first));
    let moved = json!({"p": {"source": "file", "path": scene.path("other"), "mode": "singleValue"}});
    assert!(read(&scene.table(moved, reference.clone(), Some(&first)), &reference).is_err());
}
