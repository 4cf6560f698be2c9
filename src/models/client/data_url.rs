//! Base64 in requests, bare or in `data:` URLs. The form is checked; nothing is decoded.

use std::sync::Arc;

/// Base64 that is well formed, with padding and without white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base64(pub Arc<str>);

impl Base64 {
    /// `None`: it is not base64, or empty.
    pub fn parse(data: &str) -> Option<Self> {
        let has_space = data.bytes().any(|byte| byte.is_ascii_whitespace());
        let joined: Option<String> = has_space.then(|| data.split_ascii_whitespace().collect());
        let data = joined.as_deref().unwrap_or(data);
        let digits = data.trim_end_matches('=');
        let is_alphabet = digits
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
        if digits.is_empty() || !is_alphabet || data.len() - digits.len() > 2 || digits.len() % 4 == 1 {
            return None;
        }
        let padded = digits.len().next_multiple_of(4);
        if data.len() == padded {
            return Some(Self(Arc::from(data)));
        }
        let padding = "=".repeat(padded - digits.len());
        Some(Self(Arc::from(format!("{digits}{padding}"))))
    }
}

/// The number of bytes that padded base64 stands for.
pub fn decoded_size(base64: &str) -> usize {
    let padding = base64.len() - base64.trim_end_matches('=').len();
    (base64.len() / 4 * 3).saturating_sub(padding)
}

/// Media type in lower case without parameters, and data. `None`: no base64 data URL.
pub fn read_data_url(url: &str) -> Option<(String, Base64)> {
    let is_data = url.get(..5)?.eq_ignore_ascii_case("data:");
    let (head, data) = url.get(5..).filter(|_| is_data)?.split_once(',')?;
    let mut fields = head.split(';');
    let mime = fields.next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_base64 = fields.next_back()?.trim().eq_ignore_ascii_case("base64");
    let mime = match mime.as_str() {
        "image/jpg" => "image/jpeg".to_owned(),
        _ => mime,
    };
    is_base64.then_some(())?;
    Some((mime, Base64::parse(data)?))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn data_urls_are_taken_apart() {
        for (url, mime) in [
            ("data:image/png;base64,QUJD", "image/png"),
            ("DATA:image/JPG;name=a.jpg;base64,QUJDRA==", "image/jpeg"),
            ("data:application/pdf;base64,QUJD\r\nRA", "application/pdf"),
        ] {
            let (found, data) = read_data_url(url).unwrap();
            assert_eq!(found, mime);
            STANDARD.decode(&*data.0).unwrap();
        }
    }

    #[test]
    fn sizes_are_those_of_the_decoded_bytes() {
        for length in 1..40usize {
            let text = STANDARD.encode(vec![7u8; length]);
            assert_eq!(decoded_size(&text), length);
            assert_eq!(&*Base64::parse(text.trim_end_matches('=')).unwrap().0, text);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for url in [
            "https://example.org/a.png",
            "data:image/png,abc",
            "data:image/png;base64,",
            "data:image/png;base64,@@@@",
            "data:image/png;base64,QQ===",
            "data:image/png;base64,QUJDR",
            "data:;base64",
            "not a url",
            "",
            "dataé",
        ] {
            assert_eq!(read_data_url(url), None, "{url}");
        }
    }
}
