//! Stored responses: read, cancel, delete, list the input.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::keep;
use super::prepare;
use crate::domain::{Fault, FaultKind};
use crate::http::surface::Exchange;
use crate::http::{Body, reply};
use crate::models::client::responses::with_ids;
use crate::store::StoredResponse;
use crate::wire::openai::responses::{Deleted, ItemPage};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// One request about one response.
pub(super) struct Request<'a> {
    pub exchange: &'a Exchange<'a>,
    pub owner: &'a str,
    pub id: &'a str,
    pub query: &'a str,
}

impl Request<'_> {
    /// `GET /v1/responses/{id}`
    pub(super) async fn get(&self) -> Result<Response<Body>, Fault> {
        for (name, value) in self.params() {
            if matches!(&*name, "stream" | "starting_after") && value != "false" {
                let text = format!("`{name}` is not supported here: a stored response is read whole.");
                return Err(Fault::invalid(text).with_param(name.into_owned()));
            }
        }
        Ok(reply::json_bytes(StatusCode::OK, self.body().await?))
    }

    /// `POST /v1/responses/{id}/cancel`
    pub(super) async fn cancel(&self) -> Result<Response<Body>, Fault> {
        #[derive(Deserialize)]
        struct Kind {
            background: bool,
        }
        if !self.exchange.surface.background.cancel(self.owner, self.id).await {
            let body = self.body().await?;
            let in_background = serde_json::from_slice::<Kind>(&body).is_ok_and(|kind| kind.background);
            if !in_background {
                return Err(Fault::invalid("Cannot cancel a synchronous response."));
            }
        }
        Ok(reply::json_bytes(StatusCode::OK, self.body().await?))
    }

    /// `DELETE /v1/responses/{id}`
    pub(super) async fn delete(&self) -> Result<Response<Body>, Fault> {
        self.exchange.surface.background.cancel(self.owner, self.id).await;
        let store = &self.exchange.surface.ports.store;
        let existed = store.delete_response(self.owner, self.id).await;
        if !existed.map_err(|error| keep::fault(&error))? {
            return Err(self.not_found());
        }
        Ok(reply::json(StatusCode::OK, &Deleted::new(self.id)))
    }

    /// `GET /v1/responses/{id}/input_items`
    pub(super) async fn input_items(&self) -> Result<Response<Body>, Fault> {
        let page = Page::read(self.params())?;
        let response = self.stored().await?;
        let mut lists = match &response.previous {
            Some(previous) => prepare::prior(self.exchange, self.owner, previous).await?.lists,
            None => Vec::new(),
        };
        lists.push(response.input.into());
        let mut items: Vec<_> = lists.iter().flat_map(|list| with_ids(list)).collect();
        if page.is_descending {
            items.reverse();
        }
        let items: Vec<Listed<'_>> = items.iter().map(|(id, item)| (&**id, *item)).collect();
        let (page, has_more) = page.cut(&items)?;
        Ok(reply::json(StatusCode::OK, &ItemPage::new(page, has_more)))
    }

    async fn body(&self) -> Result<Bytes, Fault> {
        match self.exchange.surface.background.snapshot(self.owner, self.id) {
            Some(body) => Ok(body),
            None => Ok(self.stored().await?.body.into()),
        }
    }

    async fn stored(&self) -> Result<StoredResponse, Fault> {
        let found = self.exchange.surface.ports.store.response(self.owner, self.id).await;
        found
            .map_err(|error| keep::fault(&error))?
            .ok_or_else(|| self.not_found())
    }

    fn not_found(&self) -> Fault {
        Fault::new(
            FaultKind::NotFound,
            format!("Response with id '{}' not found.", self.id),
        )
        .with_param("id")
    }

    fn params(&self) -> url::form_urlencoded::Parse<'_> {
        url::form_urlencoded::parse(self.query.as_bytes())
    }
}

/// An item with its id.
type Listed<'a> = (&'a str, &'a RawValue);

/// Which part of a list.
struct Page {
    limit: usize,
    is_descending: bool,
    after: Option<String>,
    before: Option<String>,
}

impl Page {
    fn read(params: url::form_urlencoded::Parse<'_>) -> Result<Self, Fault> {
        let mut page = Self {
            limit: DEFAULT_LIMIT,
            is_descending: true,
            after: None,
            before: None,
        };
        for (name, value) in params {
            match &*name {
                "limit" => {
                    page.limit = value
                        .parse()
                        .ok()
                        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                        .ok_or_else(|| {
                            Fault::invalid(format!("`limit` must be between 1 and {MAX_LIMIT}.")).with_param("limit")
                        })?;
                }
                "order" => {
                    page.is_descending = match &*value {
                        "desc" => true,
                        "asc" => false,
                        _ => return Err(Fault::invalid("`order` must be asc or desc.").with_param("order")),
                    };
                }
                "after" => page.after = Some(value.into_owned()),
                "before" => page.before = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(page)
    }

    /// The part, and whether more follows it.
    fn cut<'i, 'a>(&self, items: &'i [Listed<'a>]) -> Result<(&'i [Listed<'a>], bool), Fault> {
        let place = |param: &str, wanted: &str| {
            items.iter().position(|(id, _)| *id == wanted).ok_or_else(|| {
                Fault::invalid(format!("`{param}`: no item with id '{wanted}' in this list.")).with_param(param)
            })
        };
        let start = match &self.after {
            Some(after) => place("after", after)? + 1,
            None => 0,
        };
        let end = match &self.before {
            Some(before) => place("before", before)?,
            None => items.len(),
        };
        let rest = items.get(start..end).unwrap_or_default();
        let page = rest.get(..self.limit).unwrap_or(rest);
        Ok((page, page.len() < rest.len()))
    }
}
