//! One record as bytes that tell whether they are whole: its length, a checksum, itself.
//!
//! The checksum finds what a crash tore or a disk spoiled. It proves nothing against whoever means to deceive: for that
//! there is the tree over all records.

use crc32fast::Hasher;

/// Bytes before the payload: its length and the checksum, both 32 bits, little-endian.
pub const HEAD_BYTES: usize = 8;

/// Longest payload, in bytes. A request that is accepted makes no longer record.
pub const MAX_PAYLOAD_BYTES: usize = 32 * 1024 * 1024;

/// What stands at the beginning of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// A frame with this payload.
    Whole(&'a [u8]),
    /// The beginning of a frame, or nothing: this many bytes are needed to say more.
    Short(usize),
    /// No frame: too long, or its checksum is another.
    Damaged,
}

/// A payload beyond [`MAX_PAYLOAD_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of {0} bytes is more than a frame holds ({MAX_PAYLOAD_BYTES})")]
pub struct TooLong(pub usize);

/// Appends a frame.
///
/// # Errors
/// [`TooLong`]; nothing is appended.
pub fn append(payload: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
    let too_long = TooLong(payload.len());
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(too_long);
    }
    let length = u32::try_from(payload.len()).map_err(|_larger| too_long)?.to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&checksum(length, payload).to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

/// Makes a frame of what was appended since `start`, which begins with [`HEAD_BYTES`] bytes to be filled in.
///
/// # Errors
/// [`TooLong`]; `out` ends at `start`.
pub fn close(start: usize, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let size = out.len().saturating_sub(start + HEAD_BYTES);
    let length = u32::try_from(size).ok().filter(|_| size <= MAX_PAYLOAD_BYTES).map(u32::to_le_bytes);
    let Some((length, (head, payload))) =
        length.zip(out.get_mut(start..).and_then(|frame| frame.split_at_mut_checked(HEAD_BYTES)))
    else {
        out.truncate(start);
        return Err(TooLong(size));
    };
    let sum = checksum(length, payload).to_le_bytes();
    head.iter_mut().zip(length.into_iter().chain(sum)).for_each(|(byte, value)| *byte = value);
    Ok(())
}

/// The frame at the beginning of `bytes`.
pub fn first(bytes: &[u8]) -> Found<'_> {
    let Some((&length, rest)) = bytes.split_first_chunk::<4>() else { return Found::Short(HEAD_BYTES) };
    let Some((&sum, rest)) = rest.split_first_chunk::<4>() else { return Found::Short(HEAD_BYTES) };
    let size = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if size > MAX_PAYLOAD_BYTES {
        return Found::Damaged;
    }
    match rest.get(..size) {
        None => Found::Short(HEAD_BYTES + size),
        Some(payload) if checksum(length, payload) == u32::from_le_bytes(sum) => Found::Whole(payload),
        Some(_) => Found::Damaged,
    }
}

/// CRC-32 (ISO-HDLC, as in zlib and PNG) over the four bytes of the length and the payload.
fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        append(payload, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_frame_is_found_again_and_its_bytes_are_those_of_the_format() {
        let bytes = framed(b"{}");
        // zlib.crc32(b"\x02\0\0\0{}")
        assert_eq!(bytes, [2, 0, 0, 0, 0x14, 0xad, 0x75, 0x1e, b'{', b'}']);
        assert_eq!(first(&[bytes.as_slice(), b"next"].concat()), Found::Whole(b"{}"));
        assert_eq!(first(&framed(b"")), Found::Whole(b""));
    }

    #[test]
    fn a_frame_closed_in_its_place_is_the_one_that_is_appended() {
        let mut bytes = b"before".to_vec();
        let start = bytes.len();
        bytes.extend_from_slice(&[0; HEAD_BYTES]);
        bytes.extend_from_slice(b"{\"v\":1}");
        close(start, &mut bytes).unwrap();
        assert_eq!(bytes, [b"before".as_slice(), &framed(b"{\"v\":1}")].concat());
        bytes.resize(start + HEAD_BYTES + MAX_PAYLOAD_BYTES + 1, 0);
        assert_eq!(close(start, &mut bytes), Err(TooLong(MAX_PAYLOAD_BYTES + 1)));
        assert_eq!(bytes, b"before");
    }

    #[test]
    fn a_frame_cut_anywhere_is_short_and_says_how_much_it_needs() {
        let bytes = framed(b"{\"v\":1}");
        for end in 0..bytes.len() {
            let needed = if end < HEAD_BYTES { HEAD_BYTES } else { bytes.len() };
            assert_eq!(first(&bytes[..end]), Found::Short(needed), "{end}");
        }
    }

    #[test]
    fn a_frame_with_any_bit_turned_is_not_whole() {
        let bytes = framed(b"{\"decision\":\"deny\"}");
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(first(&other), Found::Whole(_)), "bit {bit}");
        }
    }

    #[test]
    fn what_is_longer_than_a_frame_holds_is_refused_and_believed_of_nobody() {
        let long = vec![b' '; MAX_PAYLOAD_BYTES + 1];
        assert_eq!(append(&long, &mut Vec::new()), Err(TooLong(MAX_PAYLOAD_BYTES + 1)));
        assert_eq!(first(&[0xff; 64]), Found::Damaged);
    }

    #[test]
    fn a_disk_of_zeros_holds_no_frame() {
        assert_eq!(first(&[0; 64]), Found::Damaged);
    }
}
