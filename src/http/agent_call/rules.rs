//! What may be attached to a request, worked out once per generation of the configuration.

use std::time::Duration;

use crate::config::types::gateway::http::{Endpoints, FileRules, MediaRules};
use crate::fetch::FetchRules;

const MIB: u64 = 1024 * 1024;
/// Most images of one request.
const MAX_IMAGES: u32 = 8;
/// Largest sum of all images and sound of one request.
const MAX_MEDIA_BYTES: u64 = 20 * MIB;
const MAX_IMAGE_BYTES: u64 = 10 * MIB;
const MAX_FILE_BYTES: u64 = 5 * MIB;
/// Most links of one request.
const MAX_LINKS: u32 = 8;
const MAX_REDIRECTS: u32 = 3;
const FETCH_TIME: Duration = Duration::from_secs(10);
/// Most characters taken from one document.
const MAX_CHARS: u64 = 60_000;
/// Most pages read of one PDF.
const MAX_PAGES: u32 = 4;

const IMAGE_TYPES: [&str; 6] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/heic",
    "image/heif",
];
const FILE_TYPES: [&str; 6] = [
    "text/plain",
    "text/markdown",
    "text/html",
    "text/csv",
    "application/json",
    "application/pdf",
];

/// Rules of one endpoint.
#[derive(Debug, Clone)]
pub(in crate::http) struct InputRules {
    pub images: KindRules,
    pub files: KindRules,
    pub max_images: usize,
    pub max_media_bytes: usize,
    pub max_links: usize,
    pub max_chars: usize,
    pub max_pages: usize,
}

/// Rules for images, or for documents.
#[derive(Debug, Clone)]
pub(in crate::http) struct KindRules {
    /// Whether links are followed.
    pub links: bool,
    /// Media types.
    pub types: Vec<String>,
    /// How links are followed; its size cap holds for everything.
    pub fetch: FetchRules,
}

impl InputRules {
    /// Of chat completions: links are followed only if configuration says so. Documents follow the rules of responses.
    pub(in crate::http) fn chat(endpoints: &Endpoints) -> Self {
        let own = &endpoints.chat_completions;
        let files = &endpoints.responses.files;
        Self {
            images: image_rules(&own.images, false),
            files: KindRules {
                links: own.images.allow_url == Some(true) && files.allow_url != Some(false),
                ..file_rules(files)
            },
            max_images: size(own.max_image_parts.unwrap_or(MAX_IMAGES).into()),
            max_media_bytes: size(own.max_total_image_bytes.unwrap_or(MAX_MEDIA_BYTES)),
            max_links: size(MAX_LINKS.into()),
            max_chars: size(files.max_chars.unwrap_or(MAX_CHARS)),
            max_pages: size(files.pdf.max_pages.unwrap_or(MAX_PAGES).into()),
        }
    }

    /// Of responses: links are followed unless configuration says otherwise.
    pub(in crate::http) fn responses(endpoints: &Endpoints) -> Self {
        let own = &endpoints.responses;
        Self {
            images: image_rules(&own.images, true),
            files: file_rules(&own.files),
            max_images: size(MAX_IMAGES.into()),
            max_media_bytes: size(MAX_MEDIA_BYTES),
            max_links: size(own.max_url_parts.unwrap_or(MAX_LINKS).into()),
            max_chars: size(own.files.max_chars.unwrap_or(MAX_CHARS)),
            max_pages: size(own.files.pdf.max_pages.unwrap_or(MAX_PAGES).into()),
        }
    }
}

fn image_rules(rules: &MediaRules, links: bool) -> KindRules {
    KindRules {
        links: rules.allow_url.unwrap_or(links),
        types: types(rules.allowed_mimes.as_deref(), &IMAGE_TYPES),
        fetch: FetchRules {
            hosts: rules.url_allowlist.clone(),
            max_bytes: size(rules.max_bytes.unwrap_or(MAX_IMAGE_BYTES)),
            max_redirects: rules.max_redirects.unwrap_or(MAX_REDIRECTS),
            timeout: rules.timeout_ms.map_or(FETCH_TIME, Duration::from_millis),
        },
    }
}

fn file_rules(rules: &FileRules) -> KindRules {
    KindRules {
        links: rules.allow_url.unwrap_or(true),
        types: types(rules.allowed_mimes.as_deref(), &FILE_TYPES),
        fetch: FetchRules {
            hosts: rules.url_allowlist.clone(),
            max_bytes: size(rules.max_bytes.unwrap_or(MAX_FILE_BYTES)),
            max_redirects: rules.max_redirects.unwrap_or(MAX_REDIRECTS),
            timeout: rules.timeout_ms.map_or(FETCH_TIME, Duration::from_millis),
        },
    }
}

fn types(configured: Option<&[String]>, default: &[&str]) -> Vec<String> {
    match configured {
        Some(list) => list.iter().map(|kind| kind.trim().to_ascii_lowercase()).collect(),
        None => default.iter().map(|kind| (*kind).to_owned()).collect(),
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
