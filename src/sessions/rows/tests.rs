use std::sync::Arc;

use super::*;

fn snapshot() -> Arc<Snapshot> {
    let text = "{agents: {list: [{id: 'main', default: true, model: 'mock/m1'}]}}";
    crate::config::snapshot_from_json5(text, Path::new("/state"), &crate::config::Env::default()).unwrap()
}

fn row() -> SessionRow {
    SessionRow {
        key: "agent:main:tmp1".into(),
        agent_id: "main".into(),
        session_id: "6c142b45-6dc2-47e6-8bea-f5d1ff628c6a".into(),
        created_at_ms: 1,
        session_started_at_ms: 1,
        updated_at_ms: 1_795_358_634_538,
        status: None,
        aborted_last_run: false,
        started_at_ms: None,
        ended_at_ms: None,
        message_count: 0,
        usage: [0; 4],
        last_prompt_tokens: 0,
        model: None,
        settings: Map::new(),
    }
}

#[test]
fn a_session_that_never_ran_shows_its_agents_model_and_no_usage() {
    let view = wire_row(&row(), &snapshot(), &Registry::default());
    assert_eq!(view["key"], "agent:main:tmp1");
    assert_eq!(view["kind"], "direct");
    assert_eq!((&view["modelProvider"], &view["model"]), (&json!("mock"), &json!("m1")));
    assert_eq!(view["totalTokensFresh"], false);
    assert_eq!(
        view["thinkingOptions"],
        json!(["off", "minimal", "low", "medium", "high"])
    );
    for absent in ["status", "inputTokens", "totalTokens", "startedAt", "label", "chatType"] {
        assert!(view.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn a_finished_session_shows_times_tokens_and_settings_but_no_override_internals() {
    let mut row = row();
    row.status = Some("done".into());
    row.started_at_ms = Some(1_000);
    row.ended_at_ms = Some(3_091);
    row.usage = [100, 5, 0, 0];
    row.last_prompt_tokens = 100;
    row.model = Some(("mock".into(), "m1".into()));
    for (name, value) in [
        ("label", "Temp one"),
        ("thinkingLevel", "low"),
        ("providerOverride", "mock"),
        ("modelOverride", "nosuch"),
    ] {
        row.settings.insert(name.into(), json!(value));
    }
    let view = wire_row(&row, &snapshot(), &Registry::default());
    assert_eq!(view["status"], "done");
    assert_eq!(view["runtimeMs"], 2_091);
    assert_eq!((&view["inputTokens"], &view["totalTokens"]), (&json!(100), &json!(100)));
    assert_eq!(
        (&view["label"], &view["displayName"]),
        (&json!("Temp one"), &json!("Temp one"))
    );
    assert_eq!(view["thinkingLevel"], "low");
    assert_eq!(view["model"], "nosuch");
    assert!(view.get("modelOverride").is_none());

    let entry = entry(&row, Path::new("/state/state.db"));
    assert_eq!(entry["modelOverride"], "nosuch");
    assert_eq!(
        entry["sessionFile"],
        "/state/state.db#6c142b45-6dc2-47e6-8bea-f5d1ff628c6a"
    );
}

#[test]
fn clearing_an_override_shows_the_agents_model_although_another_answered_last() {
    let mut row = row();
    row.model = Some(("mock".into(), "m2".into()));
    let resolved = resolved(&row.settings, &AgentId::new("main"), &snapshot(), &Registry::default());
    assert_eq!(resolved["model"], "m1");
    assert_eq!(
        session_model(&row, &snapshot(), &Registry::default()).unwrap().model,
        Arc::from("m2")
    );
}

#[test]
fn an_unfinished_run_has_no_end() {
    let mut row = row();
    row.status = Some("running".into());
    row.started_at_ms = Some(1_000);
    let view = wire_row(&row, &snapshot(), &Registry::default());
    assert_eq!(view["startedAt"], 1_000);
    assert!(view.get("endedAt").is_none() && view.get("runtimeMs").is_none());
}
