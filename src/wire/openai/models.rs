//! `GET /v1/models`.

use serde::Serialize;

/// A list of model objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelList {
    object: &'static str,
    /// In the order shown.
    pub data: Vec<ModelObject>,
}

/// One model object. What is called a model here is an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelObject {
    /// `openclaw`, `openclaw/default`, `openclaw/<agent>`.
    pub id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    permission: [(); 0],
}

impl ModelList {
    /// A list of these models.
    pub fn new(data: Vec<ModelObject>) -> Self {
        Self { object: "list", data }
    }
}

impl ModelObject {
    /// The object for this id. Agents have no date, so `created` is 0.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            object: "model",
            created: 0,
            owned_by: "openclaw",
            permission: [],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_the_known_shape() {
        let list = serde_json::to_string(&ModelList::new(vec![ModelObject::new("openclaw")])).unwrap();
        assert_eq!(
            list,
            r#"{"object":"list","data":[{"id":"openclaw","object":"model","created":0,"owned_by":"openclaw","permission":[]}]}"#
        );
    }
}
