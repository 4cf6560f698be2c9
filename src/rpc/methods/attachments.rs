//! Attachments of a message: base64 images, checked and capped.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::domain::{Fault, Part};

/// Most bytes of one image.
const MAX_BYTES: usize = 5_000_000;
/// Most attachments of one message.
const MAX_COUNT: usize = 20;

/// The images among `attachments`, in order. Anything else is refused by name, so that nothing is silently left out.
pub(super) fn images(attachments: &[Value]) -> Result<Vec<Part>, Fault> {
    if attachments.len() > MAX_COUNT {
        return Err(Fault::invalid(format!("too many attachments (at most {MAX_COUNT})")));
    }
    attachments
        .iter()
        .enumerate()
        .map(|(index, attachment)| image(index, attachment))
        .collect()
}

fn image(index: usize, attachment: &Value) -> Result<Part, Fault> {
    let text = |name: &str| attachment.get(name).and_then(Value::as_str);
    let name = text("fileName").map_or_else(|| format!("#{}", index + 1), str::to_owned);
    let content = text("content")
        .or_else(|| attachment.pointer("/source/data").and_then(Value::as_str))
        .ok_or_else(|| Fault::invalid(format!("attachment {name}: content must be base64 string")))?;
    let base64 = match content.strip_prefix("data:") {
        Some(url) => url.split_once(',').map_or("", |(_, data)| data),
        None => content,
    };
    let data: String = base64
        .chars()
        .filter(|character| !character.is_ascii_whitespace())
        .collect();
    let bytes = STANDARD
        .decode(&data)
        .map_err(|_| Fault::invalid(format!("attachment {name}: invalid base64 content")))?;
    if bytes.is_empty() || bytes.len() > MAX_BYTES {
        return Err(Fault::invalid(format!(
            "attachment {name}: exceeds size limit ({} > {MAX_BYTES} bytes)",
            bytes.len()
        )));
    }
    // The content decides, not what the client calls it: providers refuse a wrong type.
    let Some(mime) = image_type(&bytes) else {
        return Err(Fault::invalid(format!(
            "attachment {name}: only PNG, JPEG, GIF and WebP images are supported"
        )));
    };
    Ok(Part::Image {
        mime: mime.to_owned(),
        data: Arc::from(data),
        detail: None,
    })
}

fn image_type(bytes: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(&[u8], &str); 3] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
    ];
    if let Some((_, mime)) = SIGNATURES.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return Some(mime);
    }
    (bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")).then_some("image/webp")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PNG: &str = "iVBORw0KGgo=";

    #[test]
    fn the_content_decides_the_type_and_data_urls_are_unwrapped() {
        for content in [
            PNG.to_owned(),
            format!("data:image/jpeg;base64,{PNG}"),
            "iVBO\nRw0KGgo=".to_owned(),
        ] {
            let parts = images(&[json!({"type": "image", "mimeType": "image/jpeg", "content": content})]).unwrap();
            assert_eq!(
                parts,
                [Part::Image {
                    mime: "image/png".into(),
                    data: Arc::from(PNG),
                    detail: None,
                }]
            );
        }
    }

    #[test]
    fn what_is_no_image_is_refused_by_name() {
        let refused = |attachment: Value| images(&[attachment]).unwrap_err().message;
        assert_eq!(
            refused(json!({"fileName": "a.txt", "content": "aGVsbG8="})),
            "attachment a.txt: only PNG, JPEG, GIF and WebP images are supported"
        );
        assert_eq!(
            refused(json!({"content": "%%"})),
            "attachment #1: invalid base64 content"
        );
        assert_eq!(refused(json!("x")), "attachment #1: content must be base64 string");
        let large = STANDARD.encode(vec![0_u8; MAX_BYTES + 1]);
        assert_eq!(
            refused(json!({"content": large})),
            "attachment #1: exceeds size limit (5000001 > 5000000 bytes)"
        );
    }
}
