//! Documents as text that a model can read.
//!
//! A PDF is a program for an old machine, and whoever wrote it may mean harm: streams that unpack to gigabytes, forms that
//! draw themselves. No library survives all of them, so one process reads one file, under limits of its own; when it
//! dies, a document cannot be read, and that is all.

mod pdf;
mod reader;
pub mod worker;

use serde::{Deserialize, Serialize};

pub use self::reader::Reader;
#[cfg(test)]
pub(crate) use self::reader::tests::pdf as pdf_of;

/// How much of a document is read.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Most characters.
    pub chars: usize,
    /// Most pages.
    pub pages: usize,
}

/// What a worker says of a file, one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct PdfText {
    /// Pages of the file.
    total: usize,
    /// Texts of the first ones.
    pages: Vec<String>,
}
