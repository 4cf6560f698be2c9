//! Images in messages: base64 data URLs of known types, within limits. Nothing is decoded or fetched.

use std::sync::Arc;

use super::fields::param_fault;
use crate::domain::{Fault, Part};

/// Most images in one request.
pub(super) const MAX_IMAGES: usize = 8;

/// Largest decoded size of all images of one request.
pub(super) const MAX_TOTAL_BYTES: usize = 20 * 1024 * 1024;

/// Largest decoded size of one image.
pub(super) const MAX_IMAGE_BYTES: usize = 10 * 1024 * 1024;

const MIME_TYPES: [&str; 6] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/heic",
    "image/heif",
];

/// Why an `image_url` is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ImageError {
    /// Not a data URL, but an address.
    Remote,
    /// Not an image that can be used.
    Invalid,
    /// Too many or too large.
    TooMuch,
}

impl ImageError {
    pub(super) fn into_fault(self) -> Fault {
        let message = match self {
            Self::Remote => {
                "Invalid image_url content in `messages`. Remote image URLs are not fetched; send the image as a base64 \
                 data URL."
            }
            Self::Invalid | Self::TooMuch => "Invalid image_url content in `messages`.",
        };
        param_fault("messages", message)
    }
}

/// Room for images in one request.
#[derive(Debug)]
pub(super) struct ImageAllowance {
    images: usize,
    bytes: usize,
}

impl ImageAllowance {
    pub(super) fn new() -> Self {
        Self {
            images: MAX_IMAGES,
            bytes: MAX_TOTAL_BYTES,
        }
    }

    /// Reads `url` and takes its size off the allowance.
    pub(super) fn admit(&mut self, url: &str) -> Result<Part, ImageError> {
        let (mime, data, size) = read_data_url(url.trim())?;
        if self.images == 0 || size > self.bytes || size > MAX_IMAGE_BYTES {
            return Err(ImageError::TooMuch);
        }
        self.images -= 1;
        self.bytes -= size;
        Ok(Part::Image { mime, data })
    }
}

/// Type, base64 text with padding, decoded size.
fn read_data_url(url: &str) -> Result<(String, Arc<str>, usize), ImageError> {
    let is_data = url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    if !is_data {
        let is_remote = url.contains("://");
        return Err(if is_remote {
            ImageError::Remote
        } else {
            ImageError::Invalid
        });
    }
    let (head, data) = url
        .get(5..)
        .and_then(|rest| rest.split_once(','))
        .ok_or(ImageError::Invalid)?;
    let mut fields = head.split(';');
    let mime = fields.next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_base64 = fields
        .next_back()
        .is_some_and(|last| last.trim().eq_ignore_ascii_case("base64"));
    let mime = if mime == "image/jpg" {
        "image/jpeg".to_owned()
    } else {
        mime
    };
    if !is_base64 || !MIME_TYPES.contains(&mime.as_str()) {
        return Err(ImageError::Invalid);
    }
    let (data, size) = check_base64(data).ok_or(ImageError::Invalid)?;
    Ok((mime, data, size))
}

/// The text with padding and without white space, and its decoded size; `None` if it is not base64 or empty.
fn check_base64(data: &str) -> Option<(Arc<str>, usize)> {
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
    let size = digits.len() / 4 * 3 + (digits.len() % 4).saturating_sub(1);
    let padded = digits.len().next_multiple_of(4);
    if data.len() == padded {
        return Some((Arc::from(data), size));
    }
    let padding = "=".repeat(padded - digits.len());
    Some((Arc::from(format!("{digits}{padding}")), size))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn known_image_types_are_admitted() {
        let mut allowance = ImageAllowance::new();
        for url in [
            "data:image/png;base64,QUJD",
            "DATA:image/JPG;name=a.jpg;base64,QUJDRA==",
            "data:image/webp;base64,QUJD\r\nRA",
        ] {
            let Part::Image { mime, data } = allowance.admit(url).unwrap() else {
                panic!("an image");
            };
            assert!(mime.starts_with("image/"));
            STANDARD.decode(&*data).unwrap();
        }
    }

    #[test]
    fn sizes_are_those_of_the_decoded_bytes() {
        for length in 1..40usize {
            let text = STANDARD.encode(vec![7u8; length]);
            assert_eq!(check_base64(&text).unwrap().1, length);
            let (padded, size) = check_base64(text.trim_end_matches('=')).unwrap();
            assert_eq!((&*padded, size), (text.as_str(), length));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (url, error) in [
            ("https://example.org/a.png", ImageError::Remote),
            ("data:text/plain;base64,AAAA", ImageError::Invalid),
            ("data:image/png,abc", ImageError::Invalid),
            ("data:image/png;base64,", ImageError::Invalid),
            ("data:image/png;base64,@@@@", ImageError::Invalid),
            ("data:image/png;base64,QQ===", ImageError::Invalid),
            ("data:image/png;base64,QUJDR", ImageError::Invalid),
            ("not a url", ImageError::Invalid),
            ("", ImageError::Invalid),
            ("dataé", ImageError::Invalid),
        ] {
            assert_eq!(ImageAllowance::new().admit(url), Err(error), "{url}");
        }
    }

    #[test]
    fn the_ninth_image_is_too_much() {
        let mut allowance = ImageAllowance::new();
        for _ in 0..MAX_IMAGES {
            assert!(allowance.admit("data:image/png;base64,QUJD").is_ok());
        }
        assert_eq!(allowance.admit("data:image/png;base64,QUJD"), Err(ImageError::TooMuch));
    }
}
