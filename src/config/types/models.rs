//! `models`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::SecretInput;

/// Model providers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Models {
    /// Whether the built-in catalogue is kept beside the configured providers.
    pub mode: ModelsMode,
    /// Providers by id.
    pub providers: BTreeMap<String, Provider>,
}

/// Whether the built-in catalogue is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelsMode {
    /// Configured providers are added.
    #[default]
    Merge,
    /// Only configured providers exist.
    Replace,
}

/// One provider.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Provider {
    /// Start of its URLs.
    #[schemars(length(min = 1))]
    pub base_url: Option<String>,
    /// Credential.
    pub api_key: Option<SecretInput>,
    /// Kind of credential.
    pub auth: Option<ProviderAuth>,
    /// Dialect; absent: `openai-completions`.
    pub api: Option<Api>,
    /// Context window of models that state none, tokens.
    #[schemars(range(min = 1))]
    pub context_window: Option<u64>,
    /// Largest answer of models that state none, tokens.
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u64>,
    /// Longest silence in a stream, seconds.
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<u64>,
    /// Extra request headers.
    pub headers: BTreeMap<String, SecretInput>,
    /// Whether the credential goes into `Authorization`.
    pub auth_header: Option<bool>,
    /// Request details.
    pub request: ProviderRequest,
    /// Models it serves.
    pub models: Vec<Model>,
}

/// Request details.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProviderRequest {
    /// Extra request headers; these win over `headers`.
    pub headers: BTreeMap<String, SecretInput>,
    /// Whether private addresses may be called.
    pub allow_private_network: Option<bool>,
}

/// Kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderAuth {
    /// A key.
    ApiKey,
    /// Signed requests.
    AwsSdk,
    /// A token that is refreshed.
    Oauth,
    /// A bearer token.
    Token,
}

/// Dialect of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// OpenAI chat completions and everything compatible.
    OpenaiCompletions,
    /// OpenAI responses.
    OpenaiResponses,
    /// OpenAI responses as the Codex service speaks them.
    OpenaiCodexResponses,
    /// OpenAI responses on Azure.
    AzureOpenaiResponses,
    /// Anthropic messages.
    AnthropicMessages,
    /// Gemini.
    GoogleGenerativeAi,
    /// GitHub Copilot.
    GithubCopilot,
    /// Bedrock.
    BedrockConverseStream,
    /// Ollama's own API.
    Ollama,
    /// The built-in demo.
    Demo,
}

impl Api {
    /// The name in config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiCompletions => "openai-completions",
            Self::OpenaiResponses => "openai-responses",
            Self::OpenaiCodexResponses => "openai-codex-responses",
            Self::AzureOpenaiResponses => "azure-openai-responses",
            Self::AnthropicMessages => "anthropic-messages",
            Self::GoogleGenerativeAi => "google-generative-ai",
            Self::GithubCopilot => "github-copilot",
            Self::BedrockConverseStream => "bedrock-converse-stream",
            Self::Ollama => "ollama",
            Self::Demo => "demo",
        }
    }
}

/// One model.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// The provider's id of it.
    #[schemars(length(min = 1))]
    pub id: String,
    /// Display name; absent: the id.
    #[serde(default)]
    pub name: Option<String>,
    /// Dialect, if not the provider's.
    #[serde(default)]
    pub api: Option<Api>,
    /// Start of its URLs, if not the provider's.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Whether it reasons.
    #[serde(default)]
    pub reasoning: bool,
    /// What it reads; absent: text.
    #[serde(default)]
    pub input: Option<Vec<Modality>>,
    /// Price, USD per million tokens.
    #[serde(default)]
    pub cost: Cost,
    /// Context window, tokens; absent: 200000.
    #[schemars(range(min = 1))]
    #[serde(default)]
    pub context_window: Option<u64>,
    /// Largest answer, tokens; absent: 8192, at most the window.
    #[schemars(range(min = 1))]
    #[serde(default)]
    pub max_tokens: Option<u64>,
    /// Extra request headers.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretInput>,
}

/// What a model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Text.
    Text,
    /// Pictures.
    Image,
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
}

impl Modality {
    /// The name in config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }
}

/// Price, USD per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Cost {
    /// Prompt.
    pub input: f64,
    /// Answer.
    pub output: f64,
    /// Prompt read from the provider's cache.
    pub cache_read: f64,
    /// Prompt written to the provider's cache.
    pub cache_write: f64,
}
