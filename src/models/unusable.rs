//! A provider that is configured but cannot be called; every call says why.

use std::pin::Pin;
use std::sync::Arc;

use crate::domain::model::{CallError, CallErrorClass, ModelCall, ModelProvider, ModelStream};

use super::failure::call_error;

/// Stands in for a provider of an unknown dialect, without its key, or with a bad address.
#[derive(Debug)]
pub struct Unusable {
    id: Arc<str>,
    reason: String,
}

impl Unusable {
    /// `reason` is public: it names what is wrong and what would be right.
    pub fn new(id: Arc<str>, reason: impl Into<String>) -> Self {
        Self {
            id,
            reason: reason.into(),
        }
    }
}

impl ModelProvider for Unusable {
    fn id(&self) -> &str {
        &self.id
    }

    fn api(&self) -> &'static str {
        "none"
    }

    fn call<'a>(
        &'a self,
        _call: &'a ModelCall,
    ) -> Pin<Box<dyn Future<Output = Result<ModelStream, CallError>> + Send + 'a>> {
        Box::pin(async { Err(call_error(CallErrorClass::NotConfigured, self.reason.clone())) })
    }
}
