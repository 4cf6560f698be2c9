//! The event stream of a provider: any split gives the same events, and none is larger than allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openclaw::models::sse::Splitter;

const LIMIT: usize = 4_096;

type Events = (Vec<(String, Vec<u8>)>, bool);

fn split(pieces: &[&[u8]]) -> Events {
    let mut splitter = Splitter::new(LIMIT);
    let mut events = Vec::new();
    let mut fine = true;
    for piece in pieces {
        fine = fine
            && splitter
                .push(piece, |event| events.push((event.name.to_owned(), event.data.to_vec())))
                .is_ok();
    }
    fine = fine
        && splitter
            .finish(|event| events.push((event.name.to_owned(), event.data.to_vec())))
            .is_ok();
    (events, fine)
}

fuzz_target!(|data: &[u8]| {
    let Some((first, stream)) = data.split_first() else {
        return;
    };
    let (head, tail) = stream.split_at(usize::from(*first).min(stream.len()));
    let whole = split(&[stream]);
    for (_, data) in &whole.0 {
        assert!(data.len() <= LIMIT);
    }
    let halves = split(&[head, tail]);
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    let dripped = split(&bytes);
    // What is too large may be noticed a piece earlier or later.
    if whole.1 && halves.1 && dripped.1 {
        assert_eq!(halves, whole);
        assert_eq!(dripped, whole);
    }
});
