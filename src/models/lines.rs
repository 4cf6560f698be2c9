//! Newline-delimited JSON: bytes at any split in, lines out. Empty lines are skipped, a last line needs no line end.

use super::sse::EventTooLarge;

/// Splits a byte stream into lines.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    /// The unfinished last line.
    rest: Vec<u8>,
}

impl Lines {
    /// A splitter that refuses lines above `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            rest: Vec::new(),
        }
    }

    /// Takes the next bytes and hands out every line they complete.
    pub fn push(&mut self, bytes: &[u8], mut on_line: impl FnMut(&[u8])) -> Result<(), EventTooLarge> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let size = self.rest.len() + piece.len();
            if size > self.limit {
                return Err(EventTooLarge { limit: self.limit });
            }
            match piece.strip_suffix(b"\n") {
                None => self.rest.extend_from_slice(piece),
                Some(end) if self.rest.is_empty() => hand_out(end, &mut on_line),
                Some(end) => {
                    self.rest.extend_from_slice(end);
                    hand_out(&self.rest, &mut on_line);
                    self.rest.clear();
                }
            }
        }
        Ok(())
    }

    /// Ends the stream: a last line without its line end is delivered.
    pub fn finish(&mut self, mut on_line: impl FnMut(&[u8])) {
        hand_out(&std::mem::take(&mut self.rest), &mut on_line);
    }
}

fn hand_out(line: &[u8], on_line: &mut impl FnMut(&[u8])) {
    let line = line.trim_ascii();
    if !line.is_empty() {
        on_line(line);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(stream: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(1 << 16);
        let mut out = Vec::new();
        let mut rest = stream;
        let mut sizes = sizes.iter().copied();
        while !rest.is_empty() {
            let size = sizes.next().unwrap_or(usize::MAX).clamp(1, rest.len());
            let (head, tail) = rest.split_at(size);
            lines.push(head, |line| out.push(line.to_vec())).unwrap();
            rest = tail;
        }
        lines.finish(|line| out.push(line.to_vec()));
        out
    }

    #[test]
    fn lines_come_without_their_ends_and_empty_ones_not_at_all() {
        assert_eq!(
            split(b"{\"a\":1}\r\n\n{\"b\":2}", &[]),
            [b"{\"a\":1}".to_vec(), b"{\"b\":2}".to_vec()]
        );
    }

    #[test]
    fn a_line_that_never_ends_is_refused() {
        let mut lines = Lines::new(8);
        assert!(lines.push(b"12345678", |_| {}).is_ok());
        assert_eq!(lines.push(b"9", |_| {}), Err(EventTooLarge { limit: 8 }));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(stream in "([a-zü{}]{0,6}\r?\n){0,8}[a-z]{0,4}", sizes in prop::collection::vec(1usize..7, 0..40)) {
            prop_assert_eq!(split(stream.as_bytes(), &sizes), split(stream.as_bytes(), &[]));
        }
    }
}
