use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

type Owned = (String, Vec<u8>);

fn split_at(stream: &[u8], sizes: &[usize]) -> Vec<Owned> {
    let mut splitter = Splitter::new(LIMIT);
    let mut events = Vec::new();
    let mut keep = |event: Event<'_>| events.push((event.name.to_owned(), event.data.to_vec()));
    let mut rest = stream;
    let mut sizes = sizes.iter().copied().chain(std::iter::repeat(usize::MAX));
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(usize::MAX).clamp(1, rest.len());
        let (head, tail) = rest.split_at(size);
        splitter.push(head, &mut keep).unwrap();
        rest = tail;
    }
    splitter.finish(&mut keep).unwrap();
    events
}

fn data(stream: &str) -> Vec<String> {
    split_at(stream.as_bytes(), &[])
        .into_iter()
        .map(|(_, data)| String::from_utf8(data).unwrap())
        .collect()
}

#[test]
fn all_line_ends_separate_events() {
    assert_eq!(data("data: a\n\ndata:b\n\n"), ["a", "b"]);
    assert_eq!(data("data: a\r\n\r\ndata: b\r\n\r\n"), ["a", "b"]);
    assert_eq!(data("data: a\r\rdata: b\r\r"), ["a", "b"]);
}

#[test]
fn several_data_lines_are_joined() {
    assert_eq!(data("data: a\ndata:  b\ndata\n\n"), ["a\n b\n"]);
}

#[test]
fn comments_unknown_fields_and_events_without_data_are_skipped() {
    assert_eq!(
        data(": ping\n\nid: 4\nretry: 1\n\nevent: x\n\ndatax: 1\n\ndata: y\n\n"),
        ["y"]
    );
}

#[test]
fn event_names_belong_to_their_event_only() {
    let events = split_at(b"event: error\ndata: 1\n\ndata: 2\n\n", &[]);
    assert_eq!(
        events,
        [("error".to_owned(), b"1".to_vec()), (String::new(), b"2".to_vec())]
    );
}

#[test]
fn a_byte_order_mark_is_skipped_once() {
    assert_eq!(data("\u{feff}data: a\n\ndata: \u{feff}\n\n"), ["a", "\u{feff}"]);
}

#[test]
fn the_last_event_needs_no_empty_line() {
    assert_eq!(data("data: a\n\ndata: [DONE]"), ["a", "[DONE]"]);
    assert_eq!(data("data: a\n\ndata: [DONE]\n"), ["a", "[DONE]"]);
}

#[test]
fn a_line_that_never_ends_is_refused() {
    let mut splitter = Splitter::new(16);
    assert!(splitter.push(b"data: 0123456789", |_| {}).is_ok());
    assert_eq!(splitter.push(b"0", |_| {}), Err(EventTooLarge { limit: 16 }));
}

#[test]
fn an_event_of_endless_lines_is_refused() {
    let mut splitter = Splitter::new(16);
    let refused = (0..20).any(|_| splitter.push(b"data: x\n", |_| {}).is_err());
    assert!(refused);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        stream in proptest::collection::vec(
            prop_oneof![
                Just("data: x".to_owned()), Just("data:".to_owned()), Just("data".to_owned()), Just("event: e".to_owned()),
                Just(": c".to_owned()), Just("\n".to_owned()), Just("\r".to_owned()), Just("\r\n".to_owned()),
                Just("\u{feff}".to_owned()), "[a-z:é ]{0,6}",
            ],
            0..40,
        ),
        sizes in proptest::collection::vec(1usize..7, 0..120),
    ) {
        let stream = stream.concat();
        prop_assert_eq!(split_at(stream.as_bytes(), &sizes), split_at(stream.as_bytes(), &[]));
    }

    #[test]
    fn arbitrary_bytes_never_fail_below_the_limit(
        stream in proptest::collection::vec(any::<u8>(), 0..300),
        sizes in proptest::collection::vec(1usize..9, 0..60),
    ) {
        prop_assert_eq!(split_at(&stream, &sizes), split_at(&stream, &[]));
    }
}
