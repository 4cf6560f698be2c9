//! The text of a PDF. Runs in a worker: the library panics, recurses and allocates as the file says.

use pdf_extract::{Document, PlainTextOutput, output_doc_page};

use super::{Extent, PdfText};

/// The texts of the first pages, together at most so many characters and the rest of the last page. `None`: it cannot be
/// read.
pub(super) fn read(content: &[u8], extent: Extent) -> Option<PdfText> {
    let mut document = Document::load_mem(content).ok()?;
    // Many files are locked against changes only, with an empty password for readers.
    if document.is_encrypted() {
        document.decrypt("").ok()?;
    }
    let numbers: Vec<u32> = document.get_pages().into_keys().collect();
    let mut pages = Vec::new();
    let mut chars = 0;
    for number in numbers.iter().take(extent.pages) {
        if chars > extent.chars {
            break;
        }
        let mut text = String::new();
        output_doc_page(&document, &mut PlainTextOutput::new(&mut text), *number).ok()?;
        let text = text.trim().to_owned();
        chars += text.chars().count();
        pages.push(text);
    }
    Some(PdfText {
        total: numbers.len(),
        pages,
    })
}
