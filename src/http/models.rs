//! `GET /v1/models` and `GET /v1/models/{id}`. What is called a model here is an agent.

use http::{Response, StatusCode};

use super::{Body, fault, reply};
use crate::config::Snapshot;
use crate::domain::{Fault, FaultKind};
use crate::wire::openai::models::{ModelList, ModelObject};

/// Ids in the order shown: the two aliases, the default agent, the others.
fn ids(snapshot: &Snapshot) -> Vec<String> {
    let mut ids = vec!["openclaw".to_owned(), "openclaw/default".to_owned()];
    let default = snapshot.default_agent();
    for agent in std::iter::once(default).chain(snapshot.agents.iter().map(|agent| &agent.id)) {
        let id = format!("openclaw/{agent}");
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// The list.
pub(super) fn list(snapshot: &Snapshot) -> Response<Body> {
    let list = ModelList::new(ids(snapshot).into_iter().map(ModelObject::new).collect());
    reply::json(StatusCode::OK, &list)
}

/// One object; `encoded` is the rest of the path.
pub(super) fn get(snapshot: &Snapshot, encoded: &str) -> Response<Body> {
    if encoded.is_empty() {
        return fault::shape_a(&Fault::invalid("Missing model id."));
    }
    let Some(id) = percent_decoded(encoded) else {
        return fault::shape_a(&Fault::invalid("Invalid model id encoding."));
    };
    if ids(snapshot).contains(&id) {
        reply::json(StatusCode::OK, &ModelObject::new(id))
    } else {
        fault::shape_a(&unknown(&id))
    }
}

/// The fault for a model that does not exist.
pub(super) fn unknown(id: &str) -> Fault {
    Fault::new(FaultKind::NotFound, format!("Model '{id}' not found."))
        .with_code("model_not_found")
        .with_param("model")
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::AuthMode;
    use crate::health::fixtures::snapshot_from;

    #[test]
    fn aliases_come_first_and_agents_once() {
        assert_eq!(
            ids(&snapshot_from(json!({}), AuthMode::Token)),
            ["openclaw", "openclaw/default", "openclaw/main", "openclaw/beta"]
        );
    }

    #[test]
    fn ids_are_found_encoded_or_not() {
        let snapshot = snapshot_from(json!({}), AuthMode::Token);
        for (path, status) in [
            ("openclaw", 200),
            ("openclaw%2Fbeta", 200),
            ("openclaw/beta", 200),
            ("openclaw/nope", 404),
            ("gpt-4o", 404),
            ("", 400),
            ("%E0%A4%A", 400),
            ("%+1", 400),
        ] {
            assert_eq!(get(&snapshot, path).status(), status, "{path}");
        }
    }
}
