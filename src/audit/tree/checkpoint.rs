//! What is signed: that a log had so many records then, and that they hash to this.
//!
//! The text is a checkpoint of C2SP's tlog-checkpoint: the origin, `mandate/` and the log's id; the number of records; the
//! root of their tree in base64; then lines of our own, a word and what it says. With its signatures it is a signed note.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use signed_note::Note;
use uuid::Uuid;

use super::hash::Hash;
use super::keys::{LogKey, NotSigned, Signed, TrustedKeys};
use crate::verifiers::SIGNATURE;

/// What every origin begins with; the log's id follows.
pub const ORIGIN: &str = "mandate/";
/// Longest note that is read, in bytes. One of ours has about 500, and 100 more for each witness that signs too.
pub const MAX_NOTE_BYTES: usize = 16 * 1024;

/// That a log had this many records, which hash to this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's id.
    pub log: Uuid,
    /// How many records it had: the sequence of the first one that is not covered.
    pub size: u64,
    /// Root of their tree.
    pub root: Hash,
    /// What the process says of itself.
    pub facts: Facts,
}

/// What a checkpoint says besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// When it was signed: RFC 3339, UTC.
    pub time: String,
    /// The process that signed.
    pub instance: Uuid,
    /// Records that it had issued.
    pub issued: u64,
    /// Records that it had written.
    pub written: u64,
    /// Records that it had dropped.
    pub dropped: u64,
    /// Records that it may have issued before the next checkpoint: a bound that was synced.
    pub reserved: u64,
    /// The segment that was open then.
    pub segment: SegmentMark,
}

/// A segment, and what its header was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentMark {
    /// Sequence of its first record.
    pub first: u64,
    /// SHA-256 of its header's frame, without the eight bytes before: 64 hexadecimal digits.
    pub header: String,
}

/// A text that is no checkpoint of a decision log, signed or not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCheckpoint {
    /// It is no signed note.
    #[error("it is no signed note")]
    Note,
    /// It has more than [`MAX_NOTE_BYTES`].
    #[error("it has {0} bytes, and no checkpoint more than {MAX_NOTE_BYTES}")]
    Long(usize),
    /// A line is missing or says something else.
    #[error("its line `{0}` is missing or is not as the format has it")]
    Line(&'static str),
}

/// The origin of a log: the first line of its checkpoints, and the usual name of its key.
pub fn origin(log: Uuid) -> String {
    format!("{ORIGIN}{log}")
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        let Self { log, size, root, facts } = self;
        let Facts { time, instance, issued, written, dropped, reserved, segment } = facts;
        let SegmentMark { first, header } = segment;
        let mut text = format!("{}\n{size}\n{}\n", origin(*log), BASE64.encode(root));
        // Writing to a string does not fail.
        let _never = write!(
            text,
            "time {time}\ninstance {instance}\nissued {issued}\nwritten {written}\ndropped {dropped}\n\
             reserved {reserved}\nsegment {first} {header}\n"
        );
        text
    }

    /// The signed note, by each of these keys.
    ///
    /// # Errors
    /// [`NotSigned`].
    pub fn sign<'k>(&self, keys: impl IntoIterator<Item = &'k LogKey>) -> Result<String, NotSigned> {
        let text = self.text();
        let signatures: Vec<_> =
            keys.into_iter().map(|key| key.sign(text.as_bytes())).collect::<Result<_, _>>()?;
        let note = Note::new(text.as_bytes(), &signatures).map_err(|_malformed| NotSigned)?;
        String::from_utf8(note.to_bytes()).map_err(|_other| NotSigned)
    }

    /// What a signed note says, and what its signatures are worth.
    ///
    /// # Errors
    /// [`NoCheckpoint`].
    pub fn read(note: &str, keys: &TrustedKeys) -> Result<(Self, Signed), NoCheckpoint> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoCheckpoint::Long(note.len()));
        }
        let note = Note::from_bytes(note.as_bytes()).map_err(|_malformed| NoCheckpoint::Note)?;
        let text = str::from_utf8(note.text()).map_err(|_other| NoCheckpoint::Note)?;
        Ok((Self::parse(text)?, keys.judge(&note)))
    }

    fn parse(text: &str) -> Result<Self, NoCheckpoint> {
        let mut lines = text.strip_suffix('\n').ok_or(NoCheckpoint::Note)?.split('\n');
        let origin = lines.next().and_then(|line| line.strip_prefix(ORIGIN));
        let log = origin.and_then(|id| written(id, Uuid::to_string)).ok_or(NoCheckpoint::Line("origin"))?;
        let size = lines.next().and_then(number).ok_or(NoCheckpoint::Line("size"))?;
        let root = lines.next().and_then(|line| BASE64.decode(line).ok()?.try_into().ok());
        let root = root.ok_or(NoCheckpoint::Line("root"))?;
        let lines: Vec<_> = lines.filter_map(|line| line.split_once(' ')).collect();
        Ok(Self { log, size, root, facts: Facts::parse(&lines)? })
    }
}

impl Facts {
    /// Lines that this build does not know say nothing: later ones may have more.
    fn parse(lines: &[(&str, &str)]) -> Result<Self, NoCheckpoint> {
        let line = |name: &'static str| {
            let found = lines.iter().find(|(word, _)| *word == name);
            found.map(|(_, said)| *said).ok_or(NoCheckpoint::Line(name))
        };
        let count = |name| line(name).and_then(|said| number(said).ok_or(NoCheckpoint::Line(name)));
        let instance = written(line("instance")?, Uuid::to_string).ok_or(NoCheckpoint::Line("instance"))?;
        let segment = line("segment")?.split_once(' ');
        let segment = segment.and_then(|(first, header)| {
            Some(SegmentMark { first: number(first)?, header: header.to_owned() })
        });
        Ok(Self {
            time: line("time")?.to_owned(),
            instance,
            issued: count("issued")?,
            written: count("written")?,
            dropped: count("dropped")?,
            reserved: count("reserved")?,
            segment: segment.ok_or(NoCheckpoint::Line("segment"))?,
        })
    }
}

/// A number in decimal, as the format has them: no sign, no zeros before it, and small enough for a tree.
fn number(text: &str) -> Option<u64> {
    written(text, u64::to_string).filter(|number| i64::try_from(*number).is_ok())
}

/// What a text says, if that is how it is written.
fn written<T: std::str::FromStr>(text: &str, write: impl Fn(&T) -> String) -> Option<T> {
    text.parse().ok().filter(|value| write(value) == text)
}

/// The notes in a text of several, as witnesses keep them: each followed by an empty line, or by the end. What is not
/// whole, for its writer was cut short, is left out.
pub fn notes(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut start, mut at, mut signed) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        if line.starts_with(ORIGIN) {
            (start, signed) = (at, false);
        } else if line == "\n" && signed {
            found.extend(text.get(start..at));
            (start, signed) = (end, false);
        } else {
            signed = line.starts_with(SIGNATURE) && line.ends_with('\n');
        }
        at = end;
    }
    if signed {
        found.extend(text.get(start..));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tree::hash;

    fn key(name: &str) -> LogKey {
        let folder = tempfile::tempdir().unwrap();
        LogKey::open_or_make(&folder.path().join("log.key"), name).unwrap()
    }

    fn checkpoint(size: u64) -> Checkpoint {
        Checkpoint {
            log: Uuid::from_u128(7),
            size,
            root: hash::leaf(b"root"),
            facts: Facts {
                time: "2026-11-27T01:02:03.000004Z".to_owned(),
                instance: Uuid::from_u128(9),
                issued: 5,
                written: 4,
                dropped: 1,
                reserved: 1000,
                segment: SegmentMark { first: 0, header: "ab".repeat(32) },
            },
        }
    }

    fn trusting(keys: &[&LogKey]) -> TrustedKeys {
        TrustedKeys::read(&keys.iter().map(|key| key.verifier() + "\n").collect::<String>()).unwrap()
    }

    #[test]
    fn a_note_says_what_was_signed_and_by_whom() {
        let (key, other) = (key("one"), key("two"));
        let note = checkpoint(17).sign([&key]).unwrap();
        assert!(note.starts_with("mandate/00000000-0000-0000-0000-000000000007\n17\n"), "{note}");
        let read = |keys: &[&LogKey]| Checkpoint::read(&note, &trusting(keys)).unwrap();
        assert_eq!(read(&[&key]), (checkpoint(17), Signed::Trusted));
        assert_eq!(read(&[&other, &key]).1, Signed::Trusted);
        assert_eq!(read(&[&other]).1, Signed::Unknown);
        assert_eq!(read(&[]).1, Signed::Unknown);
    }

    #[test]
    fn two_keys_sign_one_note_and_either_is_enough() {
        let (key, other) = (key("one"), key("two"));
        let note = checkpoint(17).sign([&key, &other]).unwrap();
        for known in [&key, &other] {
            assert_eq!(Checkpoint::read(&note, &trusting(&[known])).unwrap().1, Signed::Trusted);
        }
    }

    #[test]
    fn a_note_with_another_text_or_name_is_forged_and_any_changed_byte_is_noticed() {
        let key = key("one");
        let (keys, note) = (trusting(&[&key]), checkpoint(17).sign([&key]).unwrap());
        let larger = note.replacen("\n17\n", "\n18\n", 1);
        assert_eq!(Checkpoint::read(&larger, &keys).unwrap().1, Signed::Forged);
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            if let Ok((read, signed)) = Checkpoint::read(&changed, &keys) {
                assert_ne!(signed, Signed::Trusted, "byte {at}: {read:?}");
            }
        }
    }

    #[test]
    fn lines_that_are_unknown_say_nothing_and_those_that_are_missing_are_told() {
        let text = checkpoint(17).text();
        assert_eq!(Checkpoint::parse(&format!("{text}later 1 2 3\n")), Ok(checkpoint(17)));
        for (name, place) in [("time", 3), ("instance", 4), ("issued", 5), ("reserved", 8), ("segment", 9)] {
            let without: String = text
                .split_inclusive('\n')
                .enumerate()
                .filter(|(line, _)| *line != place)
                .map(|(_, line)| line)
                .collect();
            assert_eq!(Checkpoint::parse(&without), Err(NoCheckpoint::Line(name)));
        }
        for (from, to, name) in [
            ("\n17\n", "\n017\n", "size"),
            ("\n17\n", "\n+17\n", "size"),
            ("\n17\n", "\n9223372036854775808\n", "size"),
            ("mandate/", "other/", "origin"),
            ("issued 5", "issued five", "issued"),
        ] {
            assert_eq!(
                Checkpoint::parse(&text.replacen(from, to, 1)),
                Err(NoCheckpoint::Line(name)),
                "{to:?}"
            );
        }
    }

    #[test]
    fn notes_come_out_of_a_file_of_them_whole() {
        let key = key("one");
        let written: Vec<_> = (1..4).map(|size| checkpoint(size).sign([&key]).unwrap()).collect();
        let spaced: String = written.iter().map(|note| format!("\n{note}\n")).collect();
        assert_eq!(notes(&spaced), written);
        assert_eq!(notes(&written[0]), written[..1]);
        // Whatever a crash left of the last one, it is not taken for a note, and the next one is found.
        for end in 0..written[1].len() {
            let torn = format!("{}\n{}", written[0], written[1].get(..end).unwrap_or_default());
            assert_eq!(notes(&torn), written[..1], "cut at {end}");
            assert_eq!(
                notes(&format!("{torn}\n{}\n", written[2])),
                [&*written[0], &*written[2]],
                "cut at {end}"
            );
        }
        assert!(notes("").is_empty());
    }

    #[test]
    fn a_note_beyond_any_size_is_not_read() {
        let long = "x".repeat(MAX_NOTE_BYTES + 1);
        let read = Checkpoint::read(&long, &trusting(&[]));
        assert_eq!(read, Err(NoCheckpoint::Long(MAX_NOTE_BYTES + 1)));
    }
}
