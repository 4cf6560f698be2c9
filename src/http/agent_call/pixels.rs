//! The size of an image in pixels, read from its first bytes. Nothing is decoded: a small file can claim to unpack into
//! more pixels than any model, or any library on the way to it, has memory for.

/// Width and height, if the format is known and its header complete: PNG, JPEG, GIF, WebP.
pub fn dimensions(head: &[u8]) -> Option<(u32, u32)> {
    match head {
        [0x89, b'P', b'N', b'G', ..] => Some((be32(head, 16)?, be32(head, 20)?)),
        [b'G', b'I', b'F', b'8', ..] => Some((le16(head, 6)?, le16(head, 8)?)),
        [0xff, 0xd8, ..] => jpeg(head),
        [b'R', b'I', b'F', b'F', ..] if head.get(8..12) == Some(b"WEBP") => webp(head),
        _ => None,
    }
}

/// Walks the segments to the frame header.
fn jpeg(head: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        if byte(head, at)? != 0xff {
            return None;
        }
        match byte(head, at + 1)? {
            // Fill bytes before a marker.
            0xff => at += 1,
            // Markers without a body.
            0x01 | 0xd0..=0xd8 => at += 2,
            // Every kind of frame; c4, c8 and cc are tables.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some((be16(head, at + 7)?, be16(head, at + 5)?));
            }
            _ => at += 2 + usize::try_from(be16(head, at + 2)?).ok()?,
        }
    }
}

fn webp(head: &[u8]) -> Option<(u32, u32)> {
    match head.get(12..16)? {
        b"VP8X" => Some((1 + le24(head, 24)?, 1 + le24(head, 27)?)),
        b"VP8L" => {
            let bits = le24(head, 21)? | (byte(head, 24)? << 24);
            Some((1 + (bits & 0x3fff), 1 + ((bits >> 14) & 0x3fff)))
        }
        b"VP8 " => Some((le16(head, 26)? & 0x3fff, le16(head, 28)? & 0x3fff)),
        _ => None,
    }
}

fn byte(data: &[u8], at: usize) -> Option<u32> {
    data.get(at).map(|byte| u32::from(*byte))
}

fn be16(data: &[u8], at: usize) -> Option<u32> {
    Some((byte(data, at)? << 8) | byte(data, at + 1)?)
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    Some((be16(data, at)? << 16) | be16(data, at + 2)?)
}

fn le16(data: &[u8], at: usize) -> Option<u32> {
    Some(byte(data, at)? | (byte(data, at + 1)? << 8))
}

fn le24(data: &[u8], at: usize) -> Option<u32> {
    Some(le16(data, at)? | (byte(data, at + 2)? << 16))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_of_every_format_are_read() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\x02\0\x03\0\x04";
        assert_eq!(dimensions(png), Some((0x102, 0x3_0004)));
        assert_eq!(dimensions(b"GIF89a\x10\0\x20\x01"), Some((16, 288)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x11\x08\x01\x00\x02\x00\x03";
        assert_eq!(dimensions(jpeg), Some((512, 256)));
        let extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\x01\0\0";
        assert_eq!(dimensions(extended), Some((0x4000, 2)));
        let lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x09\xc0\x04\0";
        assert_eq!(dimensions(lossless), Some((10, 20)));
        let lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x40\x01\xf0\0";
        assert_eq!(dimensions(lossy), Some((320, 240)));
        assert_eq!(dimensions(b"ABC"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..64), magic in 0usize..4) {
            let start: &[u8] = [b"\x89PNG".as_slice(), b"\xff\xd8\xff", b"GIF8", b"RIFF\0\0\0\0WEBPVP8L"][magic];
            bytes.splice(0..0, start.iter().copied());
            let _size = dimensions(&bytes);
        }
    }
}
