//! What content is, by looking at it.

/// The media type of `content`, without parameters: by its first bytes where those tell, else `declared` if the content
/// is text, else `application/octet-stream`. A declaration never makes an image of something else.
pub fn media_type(declared: &str, content: &[u8]) -> String {
    if let Some(found) = magic(content) {
        return found.to_owned();
    }
    let declared = declared
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let is_text = !content.contains(&0) && std::str::from_utf8(content).is_ok();
    match (is_text, declared.as_str()) {
        (true, "" | "application/octet-stream") => "text/plain".to_owned(),
        (true, declared) if !is_binary(declared) => declared.to_owned(),
        (false, declared) if declared.starts_with("text/") => declared.to_owned(),
        _ => "application/octet-stream".to_owned(),
    }
}

fn is_binary(declared: &str) -> bool {
    let is_family = ["image/", "audio/", "video/", "font/"]
        .iter()
        .any(|family| declared.starts_with(family));
    (is_family && declared != "image/svg+xml") || declared == "application/pdf"
}

fn magic(content: &[u8]) -> Option<&'static str> {
    match content {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("application/pdf"),
        [_, _, _, _, b'f', b't', b'y', b'p', a, b, c, d, ..] => match [*a, *b, *c, *d].as_slice() {
            b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" => Some("image/heic"),
            b"mif1" | b"msf1" => Some("image/heif"),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_wins_over_what_is_said_about_it() {
        for (declared, content, expected) in [
            ("text/html", b"\x89PNG\r\n".as_slice(), "image/png"),
            ("image/png", b"\xff\xd8\xff\xe0", "image/jpeg"),
            ("image/png", b"<html>", "application/octet-stream"),
            ("application/pdf", b"hello", "application/octet-stream"),
            ("", b"%PDF-1.7", "application/pdf"),
            ("", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            ("", b"\0\0\0\x18ftypheic\0\0", "image/heic"),
            ("text/csv; charset=utf-8", b"a,b", "text/csv"),
            ("", b"a,b", "text/plain"),
            ("application/json", b"{}", "application/json"),
            ("application/json", b"\0\x01", "application/octet-stream"),
            ("text/plain", b"caf\xe9", "text/plain"),
        ] {
            assert_eq!(media_type(declared, content), expected, "{declared} {content:?}");
        }
    }
}
