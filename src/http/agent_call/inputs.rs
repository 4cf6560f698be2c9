//! From what a client sent to what a model sees: links are followed, documents read, images and sound measured.
//!
//! What cannot be used is an error in the current message, whose answer would miss it, and a short note in older ones.
//! The newest attachments are the ones that find room.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::document;
use super::pixels::dimensions;
use super::rules::{InputRules, KindRules};
use crate::documents::{Extent, Reader};
use crate::domain::{Detail, Fault, Message, Part};
use crate::fetch::{Fetcher, media_type};
use crate::models::client::{Dialogue, InputPart, LinkKind, decoded_size, param_fault};

/// What is left of something in the history that is not sent.
const OMITTED_IMAGE: &str = "[image omitted]";
const OMITTED: &str = "[attachment omitted]";

/// Most pixels of an image. Cameras make up to 200 million; a file of a few kilobytes can claim thousands of millions.
const MAX_PIXELS: u64 = 256_000_000;
/// So much of an image is looked at for its size, base64 characters: a multiple of 4, beyond any metadata segment.
const HEADER_CHARS: usize = 512 * 1024;
/// Content of this size is decoded away from the async workers.
const LARGE: usize = 256 * 1024;

/// Resolves inputs. A cheap clone.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Inputs {
    fetcher: Fetcher,
    reader: Reader,
}

/// The work on one request.
struct Resolver<'a> {
    inputs: &'a Inputs,
    rules: &'a InputRules,
    param: &'a str,
    images: usize,
    bytes: usize,
    links: usize,
}

impl Inputs {
    /// Follows links with this fetcher.
    pub(in crate::http) fn new(fetcher: Fetcher) -> Self {
        Self {
            fetcher,
            reader: Reader::default(),
        }
    }

    /// Resolves every part of `dialogue`. `param` is the request field that errors name.
    pub(in crate::http) async fn resolve(
        &self,
        dialogue: Dialogue<InputPart>,
        rules: &InputRules,
        param: &str,
    ) -> Result<Dialogue, Fault> {
        let mut resolver = Resolver {
            inputs: self,
            rules,
            param,
            images: rules.max_images,
            bytes: rules.max_media_bytes,
            links: rules.max_links,
        };
        let mut input = Vec::with_capacity(dialogue.input.len());
        for part in dialogue.input {
            push(&mut input, resolver.part(part).await?);
        }
        let mut history = Vec::with_capacity(dialogue.history.len());
        for message in dialogue.history.into_iter().rev() {
            history.push(resolver.past(message).await);
        }
        history.reverse();
        let mut tool_results = Vec::with_capacity(dialogue.tool_results.len());
        for message in dialogue.tool_results {
            tool_results.push(resolver.past(message).await);
        }
        Ok(Dialogue {
            system: dialogue.system,
            history,
            input,
            tool_results,
        })
    }
}

impl Resolver<'_> {
    async fn past(&mut self, message: Message<InputPart>) -> Message {
        let parts = match message.with_other_parts() {
            Ok(message) => return message,
            Err(parts) => parts,
        };
        let mut out = Vec::with_capacity(parts.len());
        for part in parts {
            let note = if is_image(&part) { OMITTED_IMAGE } else { OMITTED };
            let part = self.part(part).await;
            push(&mut out, part.unwrap_or_else(|_| Part::Text(note.to_owned())));
        }
        Message::User { parts: out }
    }

    async fn part(&mut self, part: InputPart) -> Result<Part, Fault> {
        match part {
            InputPart::Ready(Part::Text(text)) => Ok(Part::Text(text)),
            InputPart::Ready(Part::Image { mime, data, detail }) => self.image(mime, data, detail),
            InputPart::Ready(Part::Audio { format, data }) => self.audio(format, data),
            // Boxed, so that requests without attachments do not carry the room for them.
            InputPart::File { name, mime, data } => Box::pin(self.file(name, &mime, &data)).await,
            InputPart::Link { kind, url, name } => Box::pin(self.link(kind, &url, name)).await,
        }
    }

    fn image(&mut self, mime: String, data: Arc<str>, detail: Option<Detail>) -> Result<Part, Fault> {
        let rules = &self.rules.images;
        let head = data.get(..data.len().min(HEADER_CHARS)).unwrap_or_default();
        let head = STANDARD.decode(head).unwrap_or_default();
        let mime = actual_type(mime, &head);
        if !rules.types.contains(&mime) {
            let text = format!("images of type `{mime}` are not accepted.");
            return Err(self.bad_image(&text));
        }
        if self.images == 0 {
            let text = format!("at most {} images are accepted.", self.rules.max_images);
            return Err(self.bad_image(&text));
        }
        let size = decoded_size(&data);
        if size > rules.fetch.max_bytes || size > self.bytes {
            return Err(self.bad_image("it is too large."));
        }
        if dimensions(&head).is_some_and(|(width, height)| u64::from(width) * u64::from(height) > MAX_PIXELS) {
            return Err(self.bad_image("it has too many pixels."));
        }
        self.images -= 1;
        self.bytes -= size;
        Ok(Part::Image { mime, data, detail })
    }

    fn audio(&mut self, format: String, data: Arc<str>) -> Result<Part, Fault> {
        let size = decoded_size(&data);
        if size > self.bytes {
            let text = format!("Invalid input_audio content in `{}`: it is too large.", self.param);
            return Err(param_fault(self.param, text));
        }
        self.bytes -= size;
        Ok(Part::Audio { format, data })
    }

    async fn file(&self, name: Option<String>, declared: &str, data: &Arc<str>) -> Result<Part, Fault> {
        if decoded_size(data) > self.rules.files.fetch.max_bytes {
            return Err(self.bad_file("it is too large"));
        }
        let content = decode(data).await.ok_or_else(|| self.bad_file("it is not base64"))?;
        self.document(name, declared, content).await
    }

    async fn document(&self, name: Option<String>, declared: &str, content: Bytes) -> Result<Part, Fault> {
        let declared = match declared {
            "" | "application/octet-stream" => name.as_deref().map_or("", document::type_of_name),
            declared => declared,
        };
        let mime = media_type(declared, &content);
        if !self.rules.files.types.contains(&mime) {
            let text = format!("files of type `{mime}` are not accepted");
            return Err(self.bad_file(&text));
        }
        let extent = Extent {
            chars: self.rules.max_chars,
            pages: self.rules.max_pages,
        };
        let text = self.inputs.reader.text(&mime, content, extent).await;
        let text = text.map_err(|reason| self.bad_file(reason))?;
        Ok(Part::Text(document::block(name.as_deref(), &mime, &text)))
    }

    async fn link(&mut self, kind: LinkKind, url: &str, name: Option<String>) -> Result<Part, Fault> {
        let rules: &KindRules = match kind {
            LinkKind::Image(_) => &self.rules.images,
            LinkKind::File => &self.rules.files,
        };
        if !rules.links {
            return Err(match kind {
                LinkKind::Image(_) => {
                    self.bad_image("Remote image URLs are not fetched; send the image as a base64 data URL.")
                }
                LinkKind::File => self.bad_file("URLs are not fetched; send the file itself"),
            });
        }
        if self.links == 0 {
            let text = format!("`{}` holds more than {} URLs.", self.param, self.rules.max_links);
            return Err(param_fault(self.param, text));
        }
        self.links -= 1;
        let fetched = self.inputs.fetcher.get(url, &rules.fetch).await.map_err(|error| {
            let text = format!("{error}.");
            match kind {
                LinkKind::Image(_) => self.bad_image(&text),
                LinkKind::File => self.bad_file(text.trim_end_matches('.')),
            }
        })?;
        match kind {
            LinkKind::Image(detail) => self.image(fetched.mime, STANDARD.encode(&fetched.bytes).into(), detail),
            LinkKind::File => {
                let name = name.or_else(|| name_of(url));
                self.document(name, &fetched.mime, fetched.bytes).await
            }
        }
    }

    fn bad_image(&self, reason: &str) -> Fault {
        let text = format!("Invalid image_url content in `{}`. {}", self.param, capital(reason));
        param_fault(self.param, text)
    }

    fn bad_file(&self, reason: &str) -> Fault {
        param_fault(
            self.param,
            format!("Invalid file content in `{}`: {reason}.", self.param),
        )
    }
}

/// What the content says it is, if it is an image that can be told: providers refuse a wrong label.
fn actual_type(declared: String, head: &[u8]) -> String {
    let found = media_type(&declared, head);
    if found.starts_with("image/") { found } else { declared }
}

fn capital(reason: &str) -> String {
    let mut chars = reason.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

fn is_image(part: &InputPart) -> bool {
    matches!(
        part,
        InputPart::Ready(Part::Image { .. })
            | InputPart::Link {
                kind: LinkKind::Image(_),
                ..
            }
    )
}

async fn decode(data: &Arc<str>) -> Option<Bytes> {
    if data.len() < LARGE {
        return STANDARD.decode(&**data).ok().map(Bytes::from);
    }
    let data = Arc::clone(data);
    let work = tokio::task::spawn_blocking(move || STANDARD.decode(&*data).ok().map(Bytes::from));
    work.await.ok().flatten()
}

/// The last part of the path.
fn name_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let last = url.path_segments()?.next_back()?;
    (!last.is_empty()).then(|| last.to_owned())
}

/// Texts side by side are one text: servers of plain chat models want a string.
fn push(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        (Some(Part::Text(last)), Part::Text(text)) => {
            last.push('\n');
            last.push_str(&text);
        }
        (_, part) => parts.push(part),
    }
}
