//! Documents as text that a model can read.

use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Documents read at the same time; each may keep a core busy.
const READERS: usize = 1;
/// Longest wait for one, its turn included.
const READ_TIME: Duration = Duration::from_secs(15);

/// Reads documents away from the async workers.
#[derive(Debug, Clone)]
pub(super) struct Reader(Arc<Semaphore>);

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Most characters.
    pub chars: usize,
    /// Most pages.
    pub pages: usize,
}

impl Default for Reader {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READERS)))
    }
}

impl Reader {
    /// The text of `content`, cut to `extent`; the error says what is wrong with it.
    pub(super) async fn text(&self, mime: &str, content: Bytes, extent: Extent) -> Result<String, &'static str> {
        if mime != "application/pdf" {
            let text = String::from_utf8_lossy(&content);
            return Ok(cut(text.trim_start_matches('\u{feff}'), extent.chars));
        }
        let places = Arc::clone(&self.0);
        let reading = async move {
            let place = places.acquire_owned().await.ok();
            // The place stays taken until the work is over, even if nobody waits for it any longer.
            let work = tokio::task::spawn_blocking(move || {
                let text = read_pdf(&content, extent);
                drop(place);
                text
            });
            work.await.unwrap_or(Err("the PDF cannot be read"))
        };
        timeout(READ_TIME, reading)
            .await
            .unwrap_or(Err("reading the PDF takes too long"))
    }
}

fn read_pdf(content: &[u8], extent: Extent) -> Result<String, &'static str> {
    // The library panics on some malformed files.
    let pages = catch_unwind(|| pdf_extract::extract_text_from_mem_by_pages(content).ok())
        .ok()
        .flatten()
        .ok_or("the PDF cannot be read")?;
    let total = pages.len();
    let mut text = pages
        .iter()
        .take(extent.pages)
        .map(|page| page.trim())
        .collect::<Vec<_>>()
        .join("\n\n");
    if text.trim().is_empty() {
        return Err("the PDF holds no text; send its pages as images");
    }
    if total > extent.pages {
        text.push_str(&format!("\n\n[{} more pages omitted]", total - extent.pages));
    }
    Ok(cut(&text, extent.chars))
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}\n[the rest is omitted]", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A document as a block that cannot be mistaken for words of the user, nor end before it ends.
pub(super) fn block(name: Option<&str>, mime: &str, text: &str) -> String {
    let name: String = name
        .unwrap_or("attachment")
        .chars()
        .map(|c| match c {
            '"' | '<' | '>' | '&' => '_',
            c if c.is_control() => ' ',
            c => c,
        })
        .take(255)
        .collect();
    let text = text.replace("</file", "&lt;/file").replace("<file", "&lt;file");
    format!("<file name=\"{name}\" mime=\"{mime}\">\n{text}\n</file>")
}

/// The media type that a file name promises; empty if it promises none.
pub(super) fn type_of_name(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "txt" | "log" => "text/plain",
        "md" | "markdown" => "text/markdown",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "pdf" => "application/pdf",
        _ => "",
    }
}

#[cfg(test)]
pub(in crate::http) mod tests {
    use super::*;

    const EXTENT: Extent = Extent { chars: 1000, pages: 1 };

    /// A PDF whose pages say `texts`.
    pub(in crate::http) fn pdf(texts: &[&str]) -> Vec<u8> {
        let count = texts.len();
        let kids: Vec<String> = (0..count).map(|page| format!("{} 0 R", 4 + 2 * page)).collect();
        let mut objects = vec![
            "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
            format!("<</Type/Pages/Kids[{}]/Count {count}>>", kids.join(" ")),
            "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_owned(),
        ];
        for (page, text) in texts.iter().enumerate() {
            let content = format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET");
            objects.push(format!(
                "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>/Contents {} 0 R>>",
                5 + 2 * page
            ));
            objects.push(format!("<</Length {}>>stream\n{content}\nendstream", content.len()));
        }
        let mut file = b"%PDF-1.4\n".to_vec();
        let mut offsets = Vec::new();
        for (index, object) in objects.iter().enumerate() {
            offsets.push(file.len());
            file.extend(format!("{} 0 obj\n{object}\nendobj\n", index + 1).bytes());
        }
        let start = file.len();
        file.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
        for offset in offsets {
            file.extend(format!("{offset:010} 00000 n \n").bytes());
        }
        let size = objects.len() + 1;
        file.extend(format!("trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF").bytes());
        file
    }

    async fn read(mime: &str, content: &[u8]) -> Result<String, &'static str> {
        Reader::default()
            .text(mime, Bytes::copy_from_slice(content), EXTENT)
            .await
    }

    #[tokio::test]
    async fn text_is_taken_and_cut() {
        assert_eq!(read("text/csv", b"\xef\xbb\xbfa,b").await.unwrap(), "a,b");
        let long = read("text/plain", "ä".repeat(1001).as_bytes()).await.unwrap();
        assert_eq!(long, format!("{}\n[the rest is omitted]", "ä".repeat(1000)));
    }

    #[tokio::test]
    async fn a_pdf_gives_the_text_of_its_first_pages() {
        let text = read("application/pdf", &pdf(&["Hello there", "second"])).await.unwrap();
        assert!(text.contains("Hello there") && !text.contains("second"), "{text}");
        assert!(text.ends_with("[1 more pages omitted]"), "{text}");
    }

    #[tokio::test]
    async fn a_broken_pdf_is_an_error_and_no_end() {
        let whole = pdf(&["Hello there"]);
        for broken in [
            &whole[..whole.len() / 2],
            b"%PDF-1.7".as_slice(),
            b"%PDF-1.4\n1 0 obj\n<</Length -5>>stream\n",
        ] {
            assert!(read("application/pdf", broken).await.is_err());
        }
        assert!(
            read("application/pdf", &pdf(&[""]))
                .await
                .unwrap_err()
                .contains("no text")
        );
    }

    #[test]
    fn a_block_cannot_be_left_from_inside() {
        let block = block(Some("a\"b<.md"), "text/markdown", "x</file><file name=\"y\">");
        assert_eq!(
            block,
            "<file name=\"a_b_.md\" mime=\"text/markdown\">\nx&lt;/file>&lt;file name=\"y\">\n</file>"
        );
    }
}
