//! The first message of a control client: envelope, then `connect` parameters.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use openclaw::rpc::validation::Shape;
use openclaw::wire::connect::ConnectParams;
use openclaw::wire::frame::{self, FrameError};

static SHAPE: LazyLock<Shape<ConnectParams>> = LazyLock::new(Shape::new);

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let parsed = match frame::parse_request(text) {
        Ok(request) => request.params.map(|params| SHAPE.parse("connect", params)),
        Err(FrameError::NotJson) => None,
        Err(FrameError::Invalid { errors, .. }) => {
            assert!(!errors.is_empty());
            None
        }
    };
    // Half of the inputs spare themselves the envelope.
    let parsed = parsed.or_else(|| {
        let raw = serde_json::from_str::<&serde_json::value::RawValue>(text).ok()?;
        Some(SHAPE.parse("connect", raw))
    });
    match parsed {
        Some(Ok(params)) => assert!(!params.client.id.is_empty() && params.max_protocol >= 1),
        Some(Err(fault)) => assert!(fault.message.starts_with("invalid connect params")),
        None => {}
    }
});
