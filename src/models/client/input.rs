//! What clients put into user messages, before links are followed and documents are read.

use std::sync::Arc;

use crate::domain::{Detail, Message, Part};

/// A piece of a user message as the client sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputPart {
    /// Something that models take as it is.
    Ready(Part),
    /// A document in the request.
    File {
        /// Its name.
        name: Option<String>,
        /// Media type as declared, without parameters.
        mime: String,
        /// Base64 with padding, without white space.
        data: Arc<str>,
    },
    /// Something to be fetched.
    Link {
        /// What is expected there.
        kind: LinkKind,
        /// `http` or `https` address, not checked.
        url: String,
        /// Name of the document, if the client gave one.
        name: Option<String>,
    },
}

/// What a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// An image, and how closely to look at it.
    Image(Option<Detail>),
    /// A document.
    File,
}

impl InputPart {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Part::Text(text.into()).into()
    }
}

impl From<Part> for InputPart {
    fn from(part: Part) -> Self {
        Self::Ready(part)
    }
}

/// The conversation of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialogue<P = Part> {
    /// `system` and `developer` texts, joined by an empty line.
    pub system: Option<String>,
    /// Everything before the current message. Tool calls and results in it are complete pairs.
    pub history: Vec<Message<P>>,
    /// The current message; empty if `tool_results` is not.
    pub input: Vec<P>,
    /// Results for the calls of the last assistant message in `history`.
    pub tool_results: Vec<Message<P>>,
}

impl<P> Default for Dialogue<P> {
    fn default() -> Self {
        Self {
            system: None,
            history: Vec::new(),
            input: Vec::new(),
            tool_results: Vec::new(),
        }
    }
}
