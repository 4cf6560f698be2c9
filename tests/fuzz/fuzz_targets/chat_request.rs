//! Bodies of `POST /v1/chat/completions`: a turn or a refusal that is the caller's fault.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openclaw::domain::FaultKind;
use openclaw::models::client::parse_turn;

fuzz_target!(|body: &[u8]| {
    match parse_turn(body) {
        Ok(turn) => {
            assert!(!turn.turn.model.is_empty() || !body.is_empty());
            assert!(std::str::from_utf8(body).is_ok(), "a turn out of bytes that are no text");
        }
        Err(fault) => {
            assert!(matches!(fault.kind, FaultKind::InvalidRequest | FaultKind::TooLarge), "{fault}");
            assert!(fault.message.len() < body.len() + 1_000, "an answer larger than the question");
        }
    }
});
