//! Model providers: dialects, registry, demo.

use std::sync::Arc;

use crate::config::{ModelEntry, ProviderSettings};
use crate::domain::model::{ModelProvider, ModelRef};

/// All usable providers of one snapshot.
#[derive(Debug, Default)]
pub struct Registry {}

/// A model as lists show it.
#[derive(Debug, Clone)]
pub struct CatalogEntry {
    /// `provider/model`.
    pub model: ModelRef,
    /// Facts about it.
    pub entry: ModelEntry,
}

impl Registry {
    /// Builds providers from settings; nothing is contacted.
    pub fn build(_providers: &[ProviderSettings], _http: &HttpClients) -> Self {
        Self {}
    }

    /// The provider of `model`, if configured.
    pub fn provider(&self, _id: &str) -> Option<Arc<dyn ModelProvider>> {
        None
    }

    /// Facts about `model`; providers may serve models that are not listed, so absence is no error.
    pub fn entry(&self, _model: &ModelRef) -> Option<&ModelEntry> {
        None
    }

    /// Every listed model, in config order.
    pub fn catalog(&self) -> Vec<CatalogEntry> {
        Vec::new()
    }

    /// The model to use when an agent names none: first listed model, else a discovered one, else the demo.
    pub fn default_model(&self) -> Option<ModelRef> {
        None
    }

    /// Parses `provider/model`, or a bare id that one provider lists.
    pub fn resolve(&self, _text: &str) -> Option<ModelRef> {
        None
    }
}

/// HTTP connection pools shared by all generations of the registry.
#[derive(Debug, Clone, Default)]
pub struct HttpClients {}
