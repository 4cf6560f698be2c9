//! Documents as part of a question.

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
mod tests {
    use super::*;

    #[test]
    fn a_block_cannot_be_left_from_inside() {
        let block = block(Some("a\"b<.md"), "text/markdown", "x</file><file name=\"y\">");
        assert_eq!(
            block,
            "<file name=\"a_b_.md\" mime=\"text/markdown\">\nx&lt;/file>&lt;file name=\"y\">\n</file>"
        );
    }
}
