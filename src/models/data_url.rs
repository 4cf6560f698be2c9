//! Images as `data:` URLs, written without building them first. Pure.

use serde::{Serialize, Serializer};

/// An image that is still base64.
#[derive(Debug, Clone, Copy)]
pub struct DataUrl<'a> {
    /// `image/png`, ...
    pub mime: &'a str,
    /// Base64 data.
    pub data: &'a str,
}

impl Serialize for DataUrl<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("data:{};base64,{}", self.mime, self.data))
    }
}
