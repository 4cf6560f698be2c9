//! Parts of user messages: texts, images, sound, documents. Here only their form is checked; what may be sent, and how
//! much, is for whoever resolves them.

use super::contract::unsupported;
use super::data_url::{Base64, read_data_url};
use super::fields::param_fault;
use super::input::{InputPart, LinkKind};
use crate::domain::{Detail, Fault, Part};
use crate::wire::openai::chat::{AudioIn, ContentPart, FileIn, ImageUrl, Text};

/// Sent with images that came without a word.
pub(super) const IMAGES_ONLY: &str = "User sent image(s) with no text.";

/// What is left of something in the history that cannot be sent.
pub(super) const OMITTED: &str = "[attachment omitted]";

/// The parts of one message. A part that cannot be read is an error in the current message, whose answer would miss it,
/// and a short note in older ones.
pub(super) fn user_parts(parts: &[ContentPart<'_>], is_current: bool) -> Result<Vec<InputPart>, Fault> {
    let mut out: Vec<InputPart> = Vec::with_capacity(parts.len());
    for part in parts {
        match read_part(part) {
            Ok(Some(InputPart::Ready(Part::Text(text)))) => push_text(&mut out, &text),
            Ok(Some(part)) => out.push(part),
            Ok(None) => {}
            Err(fault) if is_current => return Err(fault),
            Err(_) => push_text(&mut out, OMITTED),
        }
    }
    if !out.is_empty() && out.iter().all(is_image) {
        out.insert(0, InputPart::text(IMAGES_ONLY));
    }
    Ok(out)
}

/// The text of a part, if it is one.
pub(super) fn part_text<'p>(part: &'p ContentPart<'_>) -> Option<&'p str> {
    [&part.text, &part.input_text, &part.refusal]
        .into_iter()
        .flatten()
        .map(|text| &*text.0)
        .next()
}

/// Whether the part is something else than text.
pub(super) const fn is_attachment(part: &ContentPart<'_>) -> bool {
    part.image_url.is_some() || part.input_audio.is_some() || part.file.is_some()
}

fn read_part(part: &ContentPart<'_>) -> Result<Option<InputPart>, Fault> {
    if let Some(image) = &part.image_url {
        return image_part(image).map(Some);
    }
    if let Some(sound) = &part.input_audio {
        return audio_part(sound).map(Some);
    }
    if let Some(file) = &part.file {
        return file_part(file).map(Some);
    }
    if let Some(text) = part_text(part) {
        return Ok((!text.trim().is_empty()).then(|| InputPart::text(text)));
    }
    match part.r#type.as_ref().map_or("", |kind| &*kind.0) {
        "" | "text" | "input_text" => Ok(None),
        "image_url" => Err(bad_image()),
        // Leaving it out silently would let the model answer a question that was not asked.
        kind => Err(param_fault(
            "messages",
            format!(
                "Unsupported content part type `{kind}` in `messages`; supported: text, image_url, input_audio, file."
            ),
        )),
    }
}

fn bad_image() -> Fault {
    param_fault("messages", "Invalid image_url content in `messages`.")
}

/// How closely to look; the error says that nobody knows the word.
pub(super) fn read_detail(detail: Option<&Text<'_>>, param: &str) -> Result<Option<Detail>, Fault> {
    match detail.map(|detail| &*detail.0) {
        None | Some("auto" | "") => Ok(None),
        Some(word) => Detail::parse(word).map(Some).ok_or_else(|| {
            let text = format!("Invalid image in `{param}`: `detail` must be auto, low, high or original.");
            param_fault(param, text)
        }),
    }
}

fn image_part(image: &ImageUrl<'_>) -> Result<InputPart, Fault> {
    let detail = read_detail(image.detail.as_ref(), "messages")?;
    let url = image.url.trim();
    if is_link(url) {
        return Ok(InputPart::Link {
            kind: LinkKind::Image(detail),
            url: url.to_owned(),
            name: None,
        });
    }
    let (mime, data) = read_data_url(url).ok_or_else(bad_image)?;
    Ok(InputPart::Ready(Part::Image {
        mime,
        data: data.0,
        detail,
    }))
}

fn audio_part(sound: &AudioIn<'_>) -> Result<InputPart, Fault> {
    const FORMATS: [&str; 2] = ["wav", "mp3"];
    let invalid = |what: &str| param_fault("messages", format!("Invalid input_audio content in `messages`: {what}"));
    let format = FORMATS
        .into_iter()
        .find(|format| *format == sound.format.0)
        .ok_or_else(|| invalid("`format` must be `wav` or `mp3`."))?;
    let data = Base64::parse(&sound.data.0).ok_or_else(|| invalid("`data` must be base64."))?;
    Ok(InputPart::Ready(Part::Audio {
        format: format.to_owned(),
        data: data.0,
    }))
}

fn file_part(file: &FileIn<'_>) -> Result<InputPart, Fault> {
    let name = file.filename.as_ref().map(|name| name.0.clone().into_owned());
    if file.file_id.is_some() {
        let mut fault = unsupported("file_id", "there is no upload; send the file itself as `file_data`.");
        fault.param = Some("messages".to_owned());
        return Err(fault);
    }
    let text = file.file_data.as_ref().or(file.file_url.as_ref());
    let text = text.map_or("", |text| text.0.trim());
    if is_link(text) {
        return Ok(InputPart::Link {
            kind: LinkKind::File,
            url: text.to_owned(),
            name,
        });
    }
    let (mime, data) = read_data_url(text)
        .or_else(|| Some((String::new(), Base64::parse(text)?)))
        .ok_or_else(|| {
            let text = "Invalid file content in `messages`: `file_data` must be base64 or a base64 data URL.";
            param_fault("messages", text)
        })?;
    Ok(InputPart::File {
        name,
        mime,
        data: data.0,
    })
}

pub(super) fn is_link(text: &str) -> bool {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

pub(super) const fn is_image(part: &InputPart) -> bool {
    matches!(
        part,
        InputPart::Ready(Part::Image { .. })
            | InputPart::Link {
                kind: LinkKind::Image(_),
                ..
            }
    )
}

/// Texts side by side are one text, as they would be in a chat.
pub(super) fn push_text(parts: &mut Vec<InputPart>, text: &str) {
    if let Some(InputPart::Ready(Part::Text(last))) = parts.last_mut() {
        last.push('\n');
        last.push_str(text);
    } else {
        parts.push(InputPart::text(text));
    }
}
