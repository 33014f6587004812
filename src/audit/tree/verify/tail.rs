//! The end of a log's last segment: what a crash leaves there is no crime.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::de::IgnoredAny;

use crate::audit::spool::frame::{HEAD_BYTES, MAX_PAYLOAD_BYTES};

/// What stands after the last frame that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// The beginning of a frame, or zeros where a loss of power left no data: so many bytes.
    Torn(u64),
    /// A frame that was written whole, and is not what was written.
    Changed,
}

/// What stands in a file from `offset` on, where no frame is whole.
///
/// A frame that was cut off has not the end of its record. One that has it was whole, and its length was changed; and one
/// whose bytes are all there was changed too, unless the file ends in zeros: a record ends in a brace.
pub(super) fn look(path: &Path, offset: u64, short: bool) -> io::Result<Tail> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take((HEAD_BYTES + MAX_PAYLOAD_BYTES) as u64).read_to_end(&mut bytes)?;
    let torn = Tail::Torn(bytes.len() as u64);
    if bytes.last().is_none_or(|last| *last == 0) {
        return Ok(torn);
    }
    let payload = bytes.get(HEAD_BYTES..).unwrap_or_default();
    let mut values = serde_json::Deserializer::from_slice(payload).into_iter::<IgnoredAny>();
    let whole = matches!(values.next(), Some(Ok(IgnoredAny)));
    Ok(if short && !whole { torn } else { Tail::Changed })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::audit::spool::frame;

    fn tail(bytes: &[u8], short: bool) -> Tail {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), [b"before".as_slice(), bytes].concat()).unwrap();
        look(file.path(), 6, short).unwrap()
    }

    #[test]
    fn a_frame_cut_anywhere_is_torn_and_one_that_has_its_end_was_changed() {
        let mut framed = Vec::new();
        frame::append(br#"{"kind":"decision","deep":{"a":[1,2]},"text":"}{"}"#, &mut framed).unwrap();
        for end in 0..framed.len() {
            assert_eq!(tail(&framed[..end], true), Tail::Torn(end as u64), "cut at {end}");
        }
        // Its length says that more is to come.
        assert_eq!(tail(&framed, true), Tail::Changed);
        assert_eq!(tail(&[framed.clone(), framed.clone()].concat(), true), Tail::Changed);
        // Its checksum is wrong.
        assert_eq!(tail(&framed, false), Tail::Changed);
    }

    #[test]
    fn zeros_where_data_should_be_are_what_a_loss_of_power_leaves() {
        let mut framed = Vec::new();
        frame::append(br#"{"kind":"decision"}"#, &mut framed).unwrap();
        let half = framed.len() / 2;
        framed[half..].fill(0);
        assert_eq!(tail(&framed, false), Tail::Torn(framed.len() as u64));
        assert_eq!(tail(&[0; 64], false), Tail::Torn(64));
    }
}
