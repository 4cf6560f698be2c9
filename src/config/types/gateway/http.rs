//! `gateway.controlUi`, `gateway.http`, `gateway.tls`.

use schemars::JsonSchema;
use serde::Deserialize;

/// The browser interface.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ControlUi {
    /// Whether it is served; absent: yes.
    pub enabled: Option<bool>,
    /// Where; absent: `/`.
    pub base_path: Option<String>,
    /// Folder with its files; absent: those of this build.
    pub root: Option<String>,
    /// Origins that may connect from a browser.
    pub allowed_origins: Option<Vec<String>>,
    /// Accept an origin that equals the `Host` header.
    pub dangerously_allow_host_header_origin_fallback: bool,
    /// Allow sign-in without device identity where the browser offers no secure context.
    pub allow_insecure_auth: bool,
    /// Never ask the browser for a device identity.
    pub dangerously_disable_device_auth: bool,
    /// How embedded pages are confined; absent: `scripts`.
    pub embed_sandbox: Option<EmbedSandbox>,
    /// Whether pages of other hosts may be embedded.
    pub allow_external_embed_urls: bool,
}

/// How embedded pages are confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EmbedSandbox {
    /// No scripts.
    Strict,
    /// Scripts, foreign origin.
    Scripts,
    /// Scripts, same origin.
    Trusted,
}

/// HTTP endpoints and headers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpSection {
    /// Endpoints that are off unless switched on.
    pub endpoints: Endpoints,
    /// Response headers.
    pub security_headers: SecurityHeaders,
}

/// Endpoints that are off unless switched on.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoints {
    /// `POST /v1/chat/completions`, and with it the model list and embeddings.
    pub chat_completions: ChatCompletions,
    /// `POST /v1/responses`.
    pub responses: Responses,
}

/// `POST /v1/chat/completions`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ChatCompletions {
    /// Whether it is served.
    pub enabled: bool,
    /// Largest body; absent: 20 MiB.
    #[schemars(range(min = 1))]
    pub max_body_bytes: Option<u64>,
    /// Most images of one request; absent: 8.
    pub max_image_parts: Option<u32>,
    /// Most image bytes of one request; absent: 20 MiB.
    #[schemars(range(min = 1))]
    pub max_total_image_bytes: Option<u64>,
    /// Rules for images.
    pub images: MediaRules,
    /// Origins of web pages that may call it, `*` for all; absent: none.
    pub allowed_origins: Option<Vec<String>>,
}

/// `POST /v1/responses`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Responses {
    /// Whether it is served.
    pub enabled: bool,
    /// Largest body; absent: 20 MiB.
    #[schemars(range(min = 1))]
    pub max_body_bytes: Option<u64>,
    /// Most URLs of one request; absent: 8.
    pub max_url_parts: Option<u32>,
    /// Rules for images.
    pub images: MediaRules,
    /// Rules for files.
    pub files: FileRules,
    /// Origins of web pages that may call it, `*` for all; absent: none.
    pub allowed_origins: Option<Vec<String>>,
}

/// Rules for images in requests.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MediaRules {
    /// Whether URLs are fetched.
    pub allow_url: Option<bool>,
    /// Hosts that may be fetched from; absent: any public one.
    pub url_allowlist: Option<Vec<String>>,
    /// Media types.
    pub allowed_mimes: Option<Vec<String>>,
    /// Largest item.
    #[schemars(range(min = 1))]
    pub max_bytes: Option<u64>,
    /// Most redirects.
    pub max_redirects: Option<u32>,
    /// Longest fetch, ms.
    #[schemars(range(min = 1))]
    pub timeout_ms: Option<u64>,
}

/// Rules for files in requests.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FileRules {
    /// Whether URLs are fetched.
    pub allow_url: Option<bool>,
    /// Hosts that may be fetched from; absent: any public one.
    pub url_allowlist: Option<Vec<String>>,
    /// Media types.
    pub allowed_mimes: Option<Vec<String>>,
    /// Largest item.
    #[schemars(range(min = 1))]
    pub max_bytes: Option<u64>,
    /// Most redirects.
    pub max_redirects: Option<u32>,
    /// Longest fetch, ms.
    #[schemars(range(min = 1))]
    pub timeout_ms: Option<u64>,
    /// Most characters of text taken from one file.
    #[schemars(range(min = 1))]
    pub max_chars: Option<u64>,
    /// Rules for PDFs.
    pub pdf: PdfRules,
}

/// Rules for PDFs in requests.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PdfRules {
    /// Most pages read; absent: 4.
    #[schemars(range(min = 1))]
    pub max_pages: Option<u32>,
}

/// Response headers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SecurityHeaders {
    /// Value of that header, or `false`.
    pub strict_transport_security: Option<TextOrFalse>,
}

/// A text, or `false` to switch off.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TextOrFalse {
    /// `false`.
    Switch(bool),
    /// The text.
    Text(String),
}

/// TLS on the listener.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Tls {
    /// Whether the listener speaks TLS.
    pub enabled: bool,
    /// Whether a missing certificate is made; absent: yes.
    pub auto_generate: Option<bool>,
    /// Certificate chain, PEM; absent: in the state folder.
    pub cert_path: Option<String>,
    /// Private key, PEM; absent: in the state folder.
    pub key_path: Option<String>,
    /// Certificate authority, PEM. Watched, and not used: clients are not asked for certificates.
    pub ca_path: Option<String>,
}
