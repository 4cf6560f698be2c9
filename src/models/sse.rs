//! Server-sent events: bytes at any split in, events out.
//!
//! Follows the event-stream grammar (LF, CRLF, CR; comments; several `data` lines; a byte order mark at the start) and
//! additionally delivers a last event that is not followed by an empty line, because providers end streams like that.
//! An event whose single `data` line lies within one piece of input is handed out without copying.

use std::borrow::Cow;
use std::mem;

/// One event. `data` is not checked to be UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event` field, empty if there was none.
    pub name: &'a str,
    /// The `data` lines, joined by LF.
    pub data: &'a [u8],
}

/// An event, or a line of it, is larger than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {limit} bytes")]
pub struct EventTooLarge {
    /// The cap.
    pub limit: usize,
}

/// Splits a byte stream into events.
#[derive(Debug)]
pub struct Splitter {
    limit: usize,
    /// The unfinished last line.
    line: Vec<u8>,
    /// `data` lines of the unfinished event.
    data: Vec<u8>,
    has_data: bool,
    name: String,
    /// The input ended in CR: a LF that follows belongs to it.
    after_cr: bool,
    at_start: bool,
}

impl Splitter {
    /// A splitter that refuses events above `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            name: String::new(),
            after_cr: false,
            at_start: true,
        }
    }

    /// Takes the next bytes and hands out every event they complete.
    pub fn push(&mut self, bytes: &[u8], mut on_event: impl FnMut(Event<'_>)) -> Result<(), EventTooLarge> {
        let mut rest = bytes;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        // The first data line of an event, as long as it can be borrowed from the input.
        let mut held: Option<&[u8]> = None;
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (head, tail) = rest.split_at(end);
            rest = match tail {
                [b'\r', b'\n', after @ ..] | [b'\n', after @ ..] => after,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [b'\r', after @ ..] => after,
                _ => &[],
            };
            if self.line.is_empty() {
                let head = self.without_bom(head);
                self.take_line(head, Some(head), &mut held, &mut on_event)?;
            } else {
                let mut line = mem::take(&mut self.line);
                line.extend_from_slice(head);
                self.check(line.len())?;
                let whole = self.without_bom(&line);
                self.take_line(whole, None, &mut held, &mut on_event)?;
                line.clear();
                self.line = line;
            }
        }
        if let Some(data) = held {
            self.data.extend_from_slice(data);
        }
        self.line.extend_from_slice(rest);
        self.check(self.line.len() + self.data.len())
    }

    /// Ends the stream: a last line or event without its line end is delivered.
    pub fn finish(&mut self, mut on_event: impl FnMut(Event<'_>)) -> Result<(), EventTooLarge> {
        self.push(b"\n\n", &mut on_event)
    }

    fn check(&self, size: usize) -> Result<(), EventTooLarge> {
        if size > self.limit {
            return Err(EventTooLarge { limit: self.limit });
        }
        Ok(())
    }

    fn without_bom<'a>(&mut self, line: &'a [u8]) -> &'a [u8] {
        if mem::take(&mut self.at_start) {
            return line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        line
    }

    /// `borrowed` is the same line if it outlives this call.
    fn take_line<'a>(
        &mut self,
        line: &[u8],
        borrowed: Option<&'a [u8]>,
        held: &mut Option<&'a [u8]>,
        on_event: &mut impl FnMut(Event<'_>),
    ) -> Result<(), EventTooLarge> {
        if line.is_empty() {
            if self.has_data {
                on_event(Event {
                    name: &self.name,
                    data: held.take().unwrap_or(&self.data),
                });
            }
            self.has_data = false;
            self.data.clear();
            self.name.clear();
            return Ok(());
        }
        if let Some(value) = field(line, b"data") {
            self.check(value.len())?;
            if !self.has_data {
                self.has_data = true;
                match borrowed.and_then(|line| field(line, b"data")) {
                    Some(value) => *held = Some(value),
                    None => self.data.extend_from_slice(value),
                }
                return Ok(());
            }
            if let Some(first) = held.take() {
                self.data.extend_from_slice(first);
            }
            self.check(self.data.len() + value.len())?;
            self.data.push(b'\n');
            self.data.extend_from_slice(value);
        } else if let Some(value) = field(line, b"event") {
            self.name.clear();
            match String::from_utf8_lossy(value) {
                Cow::Borrowed(name) => self.name.push_str(name),
                Cow::Owned(name) => self.name = name,
            }
        }
        Ok(())
    }
}

/// The value of `line` if its field is `name`.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest {
        [] => Some(rest),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
