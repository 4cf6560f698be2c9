//! `/v1/responses`: create (whole, streamed, in the background, over a WebSocket), read, cancel, delete, compact.
//!
//! A response is on disk before its client hears that it is complete. Whose it is, is part of its key: nobody else finds it.

mod background;
mod compact;
mod create;
mod keep;
mod prepare;
mod socket;
mod stored;
mod stream;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};

pub(super) use self::background::Background;
pub(super) use self::socket::accept;
use super::agent_call::Keys;
use super::surface::Exchange;
use super::{Body, fault};
use crate::domain::{AuthMethod, Principal, Scope};

const KEYS: Keys = Keys {
    user: "openresponses-user",
    single: "openresponses",
};

/// What is under `/v1/responses`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    /// `POST /v1/responses`
    Create,
    /// `POST /v1/responses/compact`
    Compact,
    /// `GET` and `DELETE /v1/responses/{id}`
    One(&'a str),
    /// `POST /v1/responses/{id}/cancel`
    Cancel(&'a str),
    /// `GET /v1/responses/{id}/input_items`
    InputItems(&'a str),
}

impl<'a> Endpoint<'a> {
    /// The endpoint of the path below `/v1/responses/`.
    pub(super) fn below(rest: &'a str) -> Option<Self> {
        if rest == "compact" {
            return Some(Self::Compact);
        }
        let (id, action) = rest.split_once('/').unwrap_or((rest, ""));
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        match action {
            _ if !is_id => None,
            "" if !rest.ends_with('/') => Some(Self::One(id)),
            "cancel" => Some(Self::Cancel(id)),
            "input_items" => Some(Self::InputItems(id)),
            _ => None,
        }
    }

    /// The path in metrics.
    pub(super) const fn template(self) -> &'static str {
        match self {
            Self::Create => "/v1/responses",
            Self::Compact => "/v1/responses/compact",
            Self::One(_) => "/v1/responses/{id}",
            Self::Cancel(_) => "/v1/responses/{id}/cancel",
            Self::InputItems(_) => "/v1/responses/{id}/input_items",
        }
    }

    /// Methods that it takes.
    pub(super) const fn allow(self) -> &'static str {
        match self {
            Self::Create | Self::Compact | Self::Cancel(_) => "POST",
            Self::One(_) => "GET, DELETE",
            Self::InputItems(_) => "GET",
        }
    }
}

/// Answers one request.
pub(super) async fn handle<B>(
    exchange: &Exchange<'_>,
    endpoint: Endpoint<'_>,
    method: &Method,
    query: &str,
    headers: &HeaderMap,
    body: B,
) -> Response<Body>
where
    B: http_body::Body<Data = Bytes>,
{
    let scope = if method == Method::GET {
        Scope::Read
    } else {
        Scope::Write
    };
    let answer = match endpoint {
        Endpoint::Create => return create::handle(exchange, headers, body).await,
        Endpoint::Compact => return compact::handle(exchange, headers, body).await,
        Endpoint::One(id) | Endpoint::Cancel(id) | Endpoint::InputItems(id) => {
            let owner = match exchange.authorize(headers, scope) {
                Ok(principal) => owner(&principal),
                Err(refusal) => return *refusal,
            };
            let stored = stored::Request {
                exchange,
                owner: &owner,
                id,
                query,
            };
            match endpoint {
                Endpoint::Cancel(_) => stored.cancel().await,
                Endpoint::InputItems(_) => stored.input_items().await,
                _ if method == Method::DELETE => stored.delete().await,
                _ => stored.get().await,
            }
        }
    };
    answer.unwrap_or_else(|refusal| fault::shape_a(&refusal))
}

/// Who a response belongs to. Everybody with the shared secret is one owner; behind a proxy every user is one.
fn owner(principal: &Principal) -> String {
    match (principal.method, &principal.user, &principal.device) {
        (AuthMethod::TrustedProxy, Some(user), _) => format!("user:{user}"),
        (AuthMethod::DeviceToken, _, Some(device)) => format!("device:{}", device.as_str()),
        (AuthMethod::None, ..) => "open".to_owned(),
        _ => "shared".to_owned(),
    }
}
