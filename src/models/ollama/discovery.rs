//! Finds an Ollama server on this machine, or where `OLLAMA_HOST` says, so that a gateway without any configured provider
//! can answer for real.

use std::time::Duration;

use reqwest::{Method, Request};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use super::API;
use crate::config::{ModelEntry, ProviderSettings, RestPolicy};
use crate::models::body::read_whole;
use crate::models::http::HttpClients;

/// Provider id of a discovered server.
pub const ID: &str = "ollama";

/// Ollama's own port.
const PORT: u16 = 11434;

/// A server on the same machine or the same container network answers a list within this time or is not there.
const DEADLINE: Duration = Duration::from_millis(300);

/// Ollama does not say how large a model's window is set; its own default is small, so the estimate is too.
const CONTEXT_WINDOW: u64 = 32_768;

const MAX_TOKENS: u64 = 8_192;

const MAX_LIST_BYTES: usize = 1024 * 1024;

#[derive(Debug, Deserialize)]
struct Tags {
    models: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    name: String,
}

/// Asks the Ollama server for its models; `host` is `OLLAMA_HOST` as Ollama's own programs understand it. `None`: no
/// server, no models, or not in time. Takes at most 300 ms.
pub async fn discover(http: &HttpClients, host: Option<&str>) -> Option<ProviderSettings> {
    discover_at(http, &address(host.unwrap_or_default())?).await
}

/// The base address for a host with or without scheme and port. An address to listen on means this machine.
fn address(host: &str) -> Option<String> {
    let host = host.trim();
    let bare = !host.contains("://");
    let text = match host {
        "" => "http://127.0.0.1".to_owned(),
        host if bare => format!("http://{host}"),
        host => host.to_owned(),
    };
    let mut url = Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let authority = host.split('/').next().unwrap_or_default();
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    if bare && port.is_none_or(|port| port.parse::<u16>().is_err()) {
        url.set_port(Some(PORT)).ok()?;
    }
    if matches!(url.host_str()?, "0.0.0.0" | "[::]") {
        url.set_host(Some("127.0.0.1")).ok()?;
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

async fn discover_at(http: &HttpClients, address: &str) -> Option<ProviderSettings> {
    let url = Url::parse(&format!("{address}/api/tags")).ok()?;
    let asking = async {
        let response = http.send(Request::new(Method::GET, url)).await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        read_whole(response, MAX_LIST_BYTES, None).await.ok()
    };
    let body = timeout(DEADLINE, asking).await.ok()??;
    let tags: Tags = serde_json::from_slice(&body).ok()?;
    // Embedding models are listed like any other and cannot chat.
    let models: Vec<ModelEntry> = tags
        .models
        .into_iter()
        .filter(|tag| !tag.name.contains("embed"))
        .map(|tag| entry(tag.name))
        .collect();
    if models.is_empty() {
        return None;
    }
    tracing::info!(target: "models", models = models.len(), "found Ollama at {address}");
    Some(ProviderSettings {
        id: ID.to_owned(),
        base_url: address.to_owned(),
        api: API.to_owned(),
        api_key: Ok(None),
        key_is_bearer: false,
        headers: Vec::new(),
        idle_timeout: None,
        overrides: Vec::new(),
        accounts: Vec::new(),
        rest: RestPolicy::default(),
        models,
    })
}

fn entry(id: String) -> ModelEntry {
    ModelEntry {
        name: id.clone(),
        id,
        reasoning: false,
        input: vec!["text".to_owned()],
        context_window: CONTEXT_WINDOW,
        is_window_known: true,
        max_tokens: MAX_TOKENS,
        cost: [0.0; 4],
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    async fn serve(body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/api/tags", get(move || async move { body }));
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    #[tokio::test]
    async fn a_local_server_becomes_a_provider_with_its_chat_models() {
        let address = serve(r#"{"models":[{"name":"llama3.2:latest","size":1},{"name":"nomic-embed-text"}]}"#).await;
        let settings = discover_at(&HttpClients::new(), &address).await.unwrap();
        assert_eq!(settings.base_url, address);
        assert_eq!(settings.api, "ollama");
        let ids: Vec<&str> = settings.models.iter().map(|model| model.id.as_str()).collect();
        assert_eq!(ids, ["llama3.2:latest"]);
    }

    #[test]
    fn the_host_variable_is_read_as_ollama_reads_it() {
        for (host, expected) in [
            ("", "http://127.0.0.1:11434"),
            ("ollama", "http://ollama:11434"),
            ("10.0.0.7:80", "http://10.0.0.7"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("http://ollama:11434/", "http://ollama:11434"),
            ("https://models.example/ollama", "https://models.example/ollama"),
        ] {
            assert_eq!(address(host).as_deref(), Some(expected), "{host}");
        }
        for host in ["ftp://x", "http://", "a b"] {
            assert_eq!(address(host), None, "{host}");
        }
    }

    #[tokio::test]
    async fn nothing_is_found_where_nothing_useful_answers() {
        let http = HttpClients::new();
        for body in ["not json", r#"{"models":[]}"#] {
            let address = serve(body).await;
            assert!(discover_at(&http, &address).await.is_none(), "{body}");
        }
        assert!(discover_at(&http, "http://127.0.0.1:1").await.is_none());
    }
}
