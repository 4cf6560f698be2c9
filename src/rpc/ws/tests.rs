use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use proptest::prelude::*;
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::decoder::{Decoder, Incoming, Violation};
use super::driver::{Driver, Step};
use crate::bus::{Outbox, SharedEvent};

fn masked(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        medium @ 126..=65_535 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

fn decode(pieces: &[&[u8]], limit: u64) -> Result<Vec<Incoming>, Violation> {
    let mut decoder = Decoder::new(limit);
    let mut found = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some(incoming) = decoder.advance(&mut input)? {
            found.push(incoming);
        }
        assert!(input.is_empty());
    }
    Ok(found)
}

proptest! {
    #[test]
    fn any_split_of_the_stream_gives_the_same_messages(
        messages in prop::collection::vec((".{0,300}", any::<[u8; 4]>(), 1_usize..4), 1..5),
        cuts in prop::collection::vec(1_usize..40, 0..60),
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (text, mask, parts) in &messages {
            let bytes = text.as_bytes();
            let size = bytes.len().div_ceil(*parts).max(1);
            let chunks: Vec<&[u8]> = if bytes.is_empty() { vec![&[]] } else { bytes.chunks(size).collect() };
            for (index, chunk) in chunks.iter().enumerate() {
                let fin = if index + 1 == chunks.len() { 0x80 } else { 0 };
                let opcode = u8::from(index == 0);
                stream.extend(masked(fin | opcode, chunk, *mask));
                if fin == 0 {
                    stream.extend(masked(0x89, b"between", *mask));
                    expected.push(Incoming::Ping(b"between".to_vec()));
                }
            }
            expected.push(Incoming::Text(text.clone()));
        }
        let mut pieces = Vec::new();
        let mut rest = stream.as_slice();
        for cut in cuts {
            let (piece, tail) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = tail;
        }
        pieces.push(rest);
        prop_assert_eq!(decode(&pieces, u64::MAX).unwrap(), expected);
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = Decoder::new(64);
        let mut input = bytes.as_slice();
        while let Ok(Some(_)) = decoder.advance(&mut input) {}
    }
}

#[test]
fn broken_framing_is_refused() {
    let mask = [1, 2, 3, 4];
    for (name, bytes) in [
        ("unmasked", vec![0x81, 0x02, b'{', b'}']),
        ("reserved bit", masked(0x80 | 0x40 | 1, b"{}", mask)),
        ("opcode 3", masked(0x83, b"{}", mask)),
        ("fragmented ping", masked(0x09, b"", mask)),
        ("long ping", masked(0x89, &[0; 126], mask)),
        ("continuation of nothing", masked(0x80, b"x", mask)),
        (
            "new message inside a fragmented one",
            [masked(0x01, b"a", mask), masked(0x81, b"b", mask)].concat(),
        ),
        ("close payload of one byte", masked(0x88, &[3], mask)),
        ("close code 1005", masked(0x88, &1005_u16.to_be_bytes(), mask)),
    ] {
        assert_eq!(decode(&[&bytes], 1_000), Err(Violation::Protocol), "{name}");
    }
    assert_eq!(
        decode(&[&masked(0x81, b"{\xff\xfe", mask)], 1_000),
        Err(Violation::Utf8)
    );
}

#[test]
fn the_limit_counts_all_fragments_and_the_rest_is_skipped() {
    let mask = [9, 8, 7, 6];
    let exact = masked(0x81, &[b'a'; 10], mask);
    assert_eq!(decode(&[&exact], 10).unwrap().len(), 1);
    let stream = [
        masked(0x01, &[b'a'; 6], mask),
        masked(0x80, &[b'a'; 5], mask),
        masked(0x81, b"later", mask),
        masked(0x88, &1000_u16.to_be_bytes(), mask),
    ]
    .concat();
    let mut decoder = Decoder::new(10);
    let mut input = stream.as_slice();
    assert_eq!(decoder.advance(&mut input), Err(Violation::TooBig));
    assert_eq!(decoder.advance(&mut input), Ok(Some(Incoming::Close(Some(1000)))));
}

const LIMIT: u64 = 1_000_000;

async fn pair(limit: u64) -> (Driver<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(4_096);
    let mut driver = Driver::new(ours, &[], Arc::new(Outbox::new()), limit);
    driver.open(limit);
    (
        driver,
        WebSocketStream::from_raw_socket(theirs, Role::Client, None).await,
    )
}

fn close_of(message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>) -> (u16, String) {
    match message {
        Some(Ok(Message::Close(Some(frame)))) => (frame.code.into(), frame.reason.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messages_of_every_size_pass_in_both_directions() {
    let (mut driver, mut peer) = pair(LIMIT).await;
    let echo = tokio::spawn(async move {
        while let Step::Message(text) = driver.next().await {
            driver.send(text);
        }
    });
    for size in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
        let text = "x".repeat(size);
        peer.send(Message::text(text.clone())).await.unwrap();
        assert_eq!(peer.next().await.unwrap().unwrap(), Message::text(text));
    }
    peer.send(Message::binary(Bytes::from_static(b"{}"))).await.unwrap();
    assert_eq!(peer.next().await.unwrap().unwrap(), Message::text("{}"));
    peer.close(None).await.unwrap();
    while peer.next().await.is_some() {}
    echo.await.unwrap();
}

#[tokio::test]
async fn events_of_every_size_carry_their_number() {
    let (mut driver, mut peer) = pair(LIMIT).await;
    let outbox = Arc::clone(driver.outbox());
    let task = tokio::spawn(async move { driver.finish().await });
    let mut expected = Vec::new();
    for size in [1, 20_000, 2, 70_000, 3] {
        let head = format!("{{\"payload\":\"{}\"", "y".repeat(size));
        let frame = Arc::new(SharedEvent {
            head: head.clone(),
            tail: "}".to_owned(),
        });
        outbox.push_event(&frame, true, false);
        expected.push(format!("{head},\"seq\":{}}}", expected.len() + 1));
    }
    outbox.close(1012, "service restart");
    for text in expected {
        assert_eq!(peer.next().await.unwrap().unwrap(), Message::text(text));
    }
    assert_eq!(close_of(peer.next().await), (1012, "service restart".to_owned()));
    assert!(peer.next().await.is_none());
    task.await.unwrap();
}

#[tokio::test]
async fn the_peers_close_is_echoed() {
    let (mut driver, mut peer) = pair(LIMIT).await;
    let task = tokio::spawn(async move { driver.finish().await });
    let frame = CloseFrame {
        code: CloseCode::from(4000),
        reason: "bye".into(),
    };
    peer.close(Some(frame)).await.unwrap();
    assert_eq!(close_of(peer.next().await).0, 4000);
    assert!(peer.next().await.is_none());
    task.await.unwrap();
}

#[tokio::test]
async fn a_message_over_the_limit_closes_1009_with_an_empty_reason() {
    let (mut driver, mut peer) = pair(10).await;
    let task = tokio::spawn(async move { driver.finish().await });
    peer.send(Message::text("x".repeat(100_000))).await.unwrap();
    assert_eq!(close_of(peer.next().await), (1009, String::new()));
    assert!(peer.next().await.is_none());
    task.await.unwrap();
}

#[tokio::test]
async fn a_ping_is_answered_with_its_payload() {
    let (mut driver, mut peer) = pair(LIMIT).await;
    let task = tokio::spawn(async move { driver.finish().await });
    peer.send(Message::Ping(Bytes::from_static(b"hb"))).await.unwrap();
    assert_eq!(
        peer.next().await.unwrap().unwrap(),
        Message::Pong(Bytes::from_static(b"hb"))
    );
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pings_are_sent_and_a_peer_that_reads_nothing_is_given_up() {
    let (mut driver, mut peer) = pair(LIMIT).await;
    let outbox = Arc::clone(driver.outbox());
    let task = tokio::spawn(async move { driver.next().await });
    assert_eq!(peer.next().await.unwrap().unwrap(), Message::Ping(Bytes::new()));
    outbox.push_text("z".repeat(100_000));
    assert_eq!(task.await.unwrap(), Step::Gone);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_the_close_is_dropped() {
    let (mut driver, peer) = pair(LIMIT).await;
    driver.outbox().close(1008, "slow consumer");
    driver.finish().await;
    drop(peer);
}

#[tokio::test]
async fn requests_are_not_read_while_too_many_are_at_work() {
    let (mut driver, mut peer) = pair(LIMIT).await;
    let outbox = Arc::clone(driver.outbox());
    for _ in 0..super::driver::MAX_IN_FLIGHT {
        outbox.request_started();
    }
    peer.send(Message::text("one")).await.unwrap();
    let mut task = tokio::spawn(async move { driver.next().await });
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(20), &mut task)
            .await
            .is_err()
    );
    outbox.request_done(None);
    assert_eq!(task.await.unwrap(), Step::Message("one".to_owned()));
}
