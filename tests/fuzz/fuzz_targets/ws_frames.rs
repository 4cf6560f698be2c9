//! Frames of a WebSocket client: any split gives the same messages, and none is larger than allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openclaw::rpc::ws::{Decoder, Incoming, Violation};

const LIMIT: u64 = 1_000;

fn decode(pieces: &[&[u8]]) -> (Vec<Incoming>, Option<Violation>) {
    let mut decoder = Decoder::new(LIMIT);
    let mut seen = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        loop {
            match decoder.advance(&mut input) {
                Ok(Some(incoming)) => seen.push(incoming),
                Ok(None) => break,
                Err(violation) => return (seen, Some(violation)),
            }
        }
    }
    (seen, None)
}

fuzz_target!(|data: &[u8]| {
    let Some((first, stream)) = data.split_first() else {
        return;
    };
    let whole = decode(&[stream]);
    for incoming in &whole.0 {
        match incoming {
            Incoming::Text(text) => assert!(text.len() as u64 <= LIMIT),
            Incoming::Ping(payload) => assert!(payload.len() <= 125),
            Incoming::Pong | Incoming::Close(_) => {}
        }
    }
    let (head, tail) = stream.split_at(usize::from(*first).min(stream.len()));
    assert_eq!(decode(&[head, tail]), whole);
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(decode(&bytes), whole);
});
