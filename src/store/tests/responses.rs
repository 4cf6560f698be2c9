//! Stored responses: chains, owners, retention.

use super::*;
use crate::store::{ResponseChain, ResponseRetention, StoredResponse};

fn response(id: &str, previous: Option<&str>) -> StoredResponse {
    StoredResponse {
        id: id.to_owned(),
        owner: "token".to_owned(),
        agent_id: "main".to_owned(),
        previous: previous.map(str::to_owned),
        input: format!("[\"input of {id}\"]"),
        body: format!("{{\"id\":\"{id}\"}}"),
    }
}

fn ids(chain: ResponseChain) -> Vec<String> {
    match chain {
        ResponseChain::Whole(found) => found.into_iter().map(|response| response.id).collect(),
        other => panic!("{other:?}"),
    }
}

const EVERYTHING: ResponseRetention = ResponseRetention {
    max_age_ms: i64::MAX,
    max_bytes: u64::MAX,
};

#[tokio::test]
async fn a_chain_is_found_by_its_end_and_only_by_its_owner() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    for (id, previous) in [("a", None), ("b", Some("a")), ("c", Some("b")), ("fork", Some("a"))] {
        store.put_response(response(id, previous), 1_000).await.unwrap();
    }
    assert_eq!(ids(store.response_chain("token", "c").await.unwrap()), ["a", "b", "c"]);
    assert_eq!(ids(store.response_chain("token", "fork").await.unwrap()), ["a", "fork"]);
    assert_eq!(
        store.response_chain("somebody", "c").await.unwrap(),
        ResponseChain::Missing("c".to_owned())
    );
    assert_eq!(store.response("somebody", "c").await.unwrap(), None);
    assert!(!store.delete_response("somebody", "c").await.unwrap());
    assert!(store.delete_response("token", "b").await.unwrap());
    assert!(!store.delete_response("token", "b").await.unwrap());
    assert_eq!(
        store.response_chain("token", "c").await.unwrap(),
        ResponseChain::Missing("b".to_owned())
    );
}

#[tokio::test]
async fn a_second_write_replaces_the_body_only() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.put_response(response("a", None), 1_000).await.unwrap();
    let mut done = response("a", None);
    done.body = "{\"status\":\"completed\"}".to_owned();
    store.put_response(done.clone(), 2_000).await.unwrap();
    assert_eq!(store.response("token", "a").await.unwrap(), Some(done));
}

#[tokio::test]
async fn a_thread_lives_as_long_as_it_is_continued() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.put_response(response("old", None), 1_000).await.unwrap();
    store.put_response(response("a", None), 1_000).await.unwrap();
    store.put_response(response("b", Some("a")), 9_000).await.unwrap();
    let limits = ResponseRetention {
        max_age_ms: 5_000,
        ..EVERYTHING
    };
    assert_eq!(store.prune_responses(limits, 10_000).await.unwrap(), 1);
    assert_eq!(store.response("token", "old").await.unwrap(), None);
    assert_eq!(ids(store.response_chain("token", "b").await.unwrap()), ["a", "b"]);
    assert_eq!(store.prune_responses(limits, 20_000).await.unwrap(), 2);
}

#[tokio::test]
async fn the_least_recent_threads_make_room() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    for (number, id) in ["a", "b", "c"].into_iter().enumerate() {
        let mut large = response(id, None);
        large.input = "x".repeat(1_000);
        store.put_response(large, i64::try_from(number).unwrap()).await.unwrap();
    }
    let limits = ResponseRetention {
        max_bytes: 2_500,
        ..EVERYTHING
    };
    assert_eq!(store.prune_responses(limits, 10).await.unwrap(), 1);
    assert_eq!(store.response("token", "a").await.unwrap(), None);
    assert!(store.response("token", "b").await.unwrap().is_some());
    assert!(store.delete_response("token", "b").await.unwrap());
    let limits = ResponseRetention {
        max_bytes: 1_100,
        ..EVERYTHING
    };
    assert_eq!(
        store.prune_responses(limits, 10).await.unwrap(),
        0,
        "b no longer counts"
    );
}
