//! The place of a piece of work in a distributed trace, as W3C Trace Context writes it.

use std::fmt;

use http::HeaderName;

/// The header that carries it.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A trace, a span in it, and whether it is kept. 25 bytes, copied freely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; never all zero.
    pub trace_id: [u8; 16],
    /// The span that is the parent of what follows; never all zero.
    pub span_id: [u8; 8],
    /// Whether whoever began the trace records it.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent` header. A later version of the format is read as far as this one knows it, as the
    /// recommendation says; `None`: it is none.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().splitn(5, '-');
        let [version, trace, span, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let version = bytes::<1>(version)?;
        if version == [0xff] || (version == [0] && parts.next().is_some()) {
            return None;
        }
        let (trace_id, span_id, [flags]) = (bytes(trace)?, bytes(span)?, bytes(flags)?);
        (trace_id != [0; 16] && span_id != [0; 8]).then_some(Self {
            trace_id,
            span_id,
            sampled: flags & 1 == 1,
        })
    }
}

impl fmt::Display for TraceContext {
    /// The `traceparent` header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (hex::encode(self.trace_id), hex::encode(self.span_id));
        write!(f, "00-{trace}-{span}-{:02x}", u8::from(self.sampled))
    }
}

/// Exactly `N` bytes in lower-case hex.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut out = [0; N];
    hex::decode_to_slice(text, &mut out).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_header_is_read_and_written_back() {
        let context = TraceContext::parse(SENT).unwrap();
        assert!(context.sampled);
        assert_eq!(context.to_string(), SENT);
        let unsampled = SENT.replace("-01", "-00");
        assert!(!TraceContext::parse(&unsampled).unwrap().sampled);
        let later = format!("cc{}-what-comes-later", SENT.strip_prefix("00").unwrap());
        assert_eq!(TraceContext::parse(&later), Some(context));
    }

    #[test]
    fn what_is_no_trace_context_is_refused() {
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,80}") {
            if let Some(context) = TraceContext::parse(&text) {
                prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
            }
        }
    }
}
