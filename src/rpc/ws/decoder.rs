//! From bytes to messages, incrementally: any split of the byte stream gives the same messages.

/// Why a peer's bytes cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Framing is broken; nothing that follows can be understood.
    Protocol,
    /// A text is not UTF-8.
    Utf8,
    /// The message is larger than allowed.
    TooBig,
}

impl Violation {
    /// The close code.
    pub const fn code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::Utf8 => 1007,
            Self::TooBig => 1009,
        }
    }
}

/// What was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A whole message; binary messages are decoded as text too.
    Text(String),
    /// A ping with its payload.
    Ping(Vec<u8>),
    /// A pong.
    Pong,
    /// The peer closes, with its code if it gave one.
    Close(Option<u16>),
}

/// Payload of a control frame.
const CONTROL_LIMIT: u64 = 125;
/// Most that is reserved on the word of a header alone.
const RESERVE: u64 = 64 * 1024;
/// Longest header of a masked frame.
const HEADER: usize = 14;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Continuation,
    Data,
    Close,
    Ping,
    Pong,
}

impl Kind {
    const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: Kind,
    fin: bool,
    mask: [u8; 4],
    left: u64,
}

/// Decoder of one connection. Holds nothing but the unfinished message.
#[derive(Debug)]
pub struct Decoder {
    limit: u64,
    /// A header that arrived in part.
    partial: [u8; HEADER],
    partial_len: usize,
    frame: Option<Frame>,
    /// Whether a fragmented message is under way.
    fragmented: bool,
    message: Vec<u8>,
    control: Vec<u8>,
    /// Messages are skipped; only control frames are reported.
    discard: bool,
}

impl Decoder {
    /// A decoder that accepts messages of up to `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            partial: [0; HEADER],
            partial_len: 0,
            frame: None,
            fragmented: false,
            message: Vec::new(),
            control: Vec::new(),
            discard: false,
        }
    }

    /// Changes the limit for messages that begin from now on.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Consumes from the front of `input` up to the end of the next message. `None`: all of it was consumed.
    ///
    /// After `TooBig` and `Utf8` decoding may go on, so that the peer's close frame is found; messages are then skipped.
    pub fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, Violation> {
        loop {
            let frame = match self.frame {
                Some(frame) => frame,
                None => match self.header(input)? {
                    Some(frame) => {
                        self.frame = Some(frame);
                        self.begin(frame)?;
                        frame
                    }
                    None => return Ok(None),
                },
            };
            let frame = self.payload(frame, input);
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            self.frame = None;
            if let Some(incoming) = self.end(frame)? {
                return Ok(Some(incoming));
            }
        }
    }

    fn header(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Violation> {
        if self.partial_len == 0
            && let Some((frame, size)) = parse_header(input)?
        {
            *input = input.get(size..).unwrap_or_default();
            return Ok(Some(frame));
        }
        // A header cut by the end of a read is rare: take it byte by byte.
        while let Some((byte, rest)) = input.split_first() {
            *input = rest;
            if let Some(slot) = self.partial.get_mut(self.partial_len) {
                *slot = *byte;
                self.partial_len += 1;
            }
            let known = self.partial.get(..self.partial_len).unwrap_or_default();
            if let Some((frame, _)) = parse_header(known)? {
                self.partial_len = 0;
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, frame: Frame) -> Result<(), Violation> {
        if frame.kind.is_control() {
            return Ok(());
        }
        if (frame.kind == Kind::Continuation) != self.fragmented {
            return Err(Violation::Protocol);
        }
        self.fragmented = true;
        if self.discard {
            return Ok(());
        }
        if self.message.len() as u64 + frame.left > self.limit {
            self.discard = true;
            self.message = Vec::new();
            return Err(Violation::TooBig);
        }
        let reserve = usize::try_from(frame.left.min(RESERVE)).unwrap_or_default();
        if self.message.is_empty() {
            self.message.reserve_exact(reserve);
        } else {
            self.message.reserve(reserve);
        }
        Ok(())
    }

    fn payload(&mut self, mut frame: Frame, input: &mut &[u8]) -> Frame {
        let count = usize::try_from(frame.left).unwrap_or(usize::MAX).min(input.len());
        let (part, rest) = input.split_at_checked(count).unwrap_or((input, &[]));
        *input = rest;
        frame.left -= part.len() as u64;
        let target = if frame.kind.is_control() {
            &mut self.control
        } else if self.discard {
            return frame;
        } else {
            &mut self.message
        };
        let start = target.len();
        target.extend_from_slice(part);
        unmask(target.get_mut(start..).unwrap_or_default(), frame.mask);
        // The mask goes on where this part ended.
        frame.mask.rotate_left(part.len() % 4);
        frame
    }

    fn end(&mut self, frame: Frame) -> Result<Option<Incoming>, Violation> {
        match frame.kind {
            Kind::Ping => Ok(Some(Incoming::Ping(std::mem::take(&mut self.control)))),
            Kind::Pong => {
                self.control = Vec::new();
                Ok(Some(Incoming::Pong))
            }
            Kind::Close => close_code(&std::mem::take(&mut self.control)).map(|code| Some(Incoming::Close(code))),
            Kind::Continuation | Kind::Data if !frame.fin => Ok(None),
            Kind::Continuation | Kind::Data => {
                self.fragmented = false;
                if self.discard {
                    return Ok(None);
                }
                match String::from_utf8(std::mem::take(&mut self.message)) {
                    Ok(text) => Ok(Some(Incoming::Text(text))),
                    Err(_) => {
                        self.discard = true;
                        Err(Violation::Utf8)
                    }
                }
            }
        }
    }
}

/// The header at the front of `bytes` and its size; `None` if it is not complete.
fn parse_header(bytes: &[u8]) -> Result<Option<(Frame, usize)>, Violation> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    let fin = first & 0x80 != 0;
    let kind = match first & 0x0f {
        0 => Kind::Continuation,
        1 | 2 => Kind::Data,
        8 => Kind::Close,
        9 => Kind::Ping,
        10 => Kind::Pong,
        _ => return Err(Violation::Protocol),
    };
    let masked = second & 0x80 != 0;
    let short = u64::from(second & 0x7f);
    if first & 0x70 != 0 || !masked || (kind.is_control() && (!fin || short > CONTROL_LIMIT)) {
        return Err(Violation::Protocol);
    }
    let (left, rest, extended) = match short {
        126 => match rest.split_first_chunk::<2>() {
            Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest, 2),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk::<8>() {
            Some((length, rest)) => (u64::from_be_bytes(*length), rest, 8),
            None => return Ok(None),
        },
        short => (short, rest, 0),
    };
    if left > u64::MAX / 2 {
        return Err(Violation::Protocol);
    }
    let Some(mask) = rest.first_chunk::<4>() else {
        return Ok(None);
    };
    let frame = Frame {
        kind,
        fin,
        mask: *mask,
        left,
    };
    Ok(Some((frame, 2 + extended + 4)))
}

fn unmask(data: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = data.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ key).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match payload.split_first_chunk::<2>() {
        None if payload.is_empty() => Ok(None),
        None => Err(Violation::Protocol),
        Some((code, reason)) => {
            let code = u16::from_be_bytes(*code);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(Violation::Protocol);
            }
            if std::str::from_utf8(reason).is_err() {
                return Err(Violation::Utf8);
            }
            Ok(Some(code))
        }
    }
}
