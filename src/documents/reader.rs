//! The gateway's side: hands a file to a worker and takes its text.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Extent, PdfText};

/// Files read at the same time; each may keep a core busy for a while.
const READERS: usize = 2;
/// Longest wait for one, its turn included.
const READ_TIME: Duration = Duration::from_secs(15);

const UNREADABLE: &str = "the PDF cannot be read";

/// Reads documents. A cheap clone.
#[derive(Debug, Clone)]
pub struct Reader(Arc<Semaphore>);

impl Default for Reader {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READERS)))
    }
}

impl Reader {
    /// The text of `content`, cut to `extent`; the error says what is wrong with it. Dropping the future ends the worker.
    pub async fn text(&self, mime: &str, content: Bytes, extent: Extent) -> Result<String, &'static str> {
        if mime != "application/pdf" {
            let text = String::from_utf8_lossy(&content);
            return Ok(cut(text.trim_start_matches('\u{feff}'), extent.chars));
        }
        let reading = async {
            let _place = self.0.acquire().await.map_err(|_| UNREADABLE)?;
            work(content, extent).await.ok_or(UNREADABLE)
        };
        let read = timeout(READ_TIME, reading)
            .await
            .map_err(|_| "reading the PDF takes too long")??;
        joined(&read, extent)
    }
}

fn joined(read: &PdfText, extent: Extent) -> Result<String, &'static str> {
    let mut text = read.pages.join("\n\n");
    if text.trim().is_empty() {
        return Err("the PDF holds no text; send its pages as images");
    }
    let omitted = read.total.saturating_sub(read.pages.len());
    if omitted > 0 {
        text.push_str(&format!("\n\n[{omitted} more pages omitted]"));
    }
    Ok(cut(&text, extent.chars))
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}\n[the rest is omitted]", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Unit tests are another program, which is no worker.
#[cfg(test)]
async fn work(content: Bytes, extent: Extent) -> Option<PdfText> {
    let work = tokio::task::spawn_blocking(move || super::pdf::read(&content, extent));
    work.await.ok().flatten()
}

/// One worker's answer. `None`: it has none.
#[cfg(not(test))]
async fn work(content: Bytes, extent: Extent) -> Option<PdfText> {
    use std::process::Stdio;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Most of what a worker may say, bytes: more than any extent in JSON.
    const MAX_OUTPUT: u64 = 64 * 1024 * 1024;

    let program = this_program()?;
    let mut child = tokio::process::Command::new(program)
        .arg(super::worker::MARK)
        .args([extent.chars, extent.pages].map(|most| most.to_string()))
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .inspect_err(|error| tracing::error!(target: "http", %error, "no process can be started to read a PDF"))
        .ok()?;
    let (mut input, output) = (child.stdin.take()?, child.stdout.take()?);
    // A worker that ends early does not take everything; its status says why.
    input.write_all(&content).await.unwrap_or_default();
    drop(input);
    let mut said = Vec::new();
    output.take(MAX_OUTPUT).read_to_end(&mut said).await.ok()?;
    let status = child.wait().await.ok()?;
    if !status.success() {
        tracing::debug!(target: "http", %status, "a PDF could not be read");
        return None;
    }
    let last = said.trim_ascii().rsplit(|byte| *byte == b'\n').next()?;
    serde_json::from_slice(last).ok()
}

/// This very program, also after its file was replaced.
#[cfg(not(test))]
fn this_program() -> Option<std::path::PathBuf> {
    let running = std::path::PathBuf::from("/proc/self/exe");
    if running.exists() {
        return Some(running);
    }
    std::env::current_exe().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const EXTENT: Extent = Extent { chars: 1000, pages: 1 };

    /// A PDF whose pages say `texts`.
    pub(crate) fn pdf(texts: &[&str]) -> Vec<u8> {
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
}
