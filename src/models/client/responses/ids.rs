//! Ids of responses and their items. An item's id names its response, so that a reference to an item finds it without an
//! index.

use uuid::Uuid;

const RESPONSE: &str = "resp_";
/// Hexadecimal digits of a response's number.
const DIGITS: usize = 32;

/// Makes the ids of one response.
#[derive(Debug, Clone)]
pub struct IdMaker {
    /// `resp_<number>`
    id: String,
}

impl IdMaker {
    /// Ids of a new response.
    pub fn random() -> Self {
        Self::of(Uuid::new_v4())
    }

    /// Ids of the response with this number.
    pub fn of(number: Uuid) -> Self {
        Self {
            id: format!("{RESPONSE}{}", number.simple()),
        }
    }

    /// The response's own id.
    pub fn response(&self) -> &str {
        &self.id
    }

    /// The item at `index` of the output; `prefix` tells its type.
    pub fn output(&self, prefix: &str, index: usize) -> String {
        format!("{prefix}_{}_{index}", self.number())
    }

    /// The item at `index` of the input.
    pub fn input(&self, prefix: &str, index: usize) -> String {
        format!("{prefix}_{}_in{index}", self.number())
    }

    fn number(&self) -> &str {
        self.id.strip_prefix(RESPONSE).unwrap_or_default()
    }
}

/// The id of the response that an item of ours belongs to.
pub fn response_of_item(item_id: &str) -> Option<String> {
    let number = item_id.split('_').nth(1)?;
    let is_number = number.len() == DIGITS && number.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_number.then(|| format!("{RESPONSE}{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_leads_to_its_response() {
        let ids = IdMaker::random();
        assert_eq!(response_of_item(&ids.output("msg", 3)).as_deref(), Some(ids.response()));
        assert_eq!(response_of_item(&ids.input("fc", 0)).as_deref(), Some(ids.response()));
        for foreign in [
            "msg_1",
            "msg",
            "",
            "msg_67ccd3acc8d48190a77525dc6de64b4104becb25c45c1d41",
        ] {
            assert_eq!(response_of_item(foreign), None, "{foreign}");
        }
    }
}
