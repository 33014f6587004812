//! What the decision log consists of, changed by somebody: read, or said to be wrong; believed only with a signature.

use std::fs;

use mandate::audit::spool::frame::{self, Found};
use mandate::audit::spool::reader::LogReader;
use mandate::audit::spool::segment::{Segment, file_name};
use mandate::audit::tree::checkpoint::{Checkpoint, notes};
use mandate::audit::tree::keys::{Signed, TrustedKeys};
use mandate::audit::tree::receipt::Receipt;
use mandate::audit::tree::verify::verify;

use super::text;

/// Nobody's.
fn no_keys() -> TrustedKeys {
    TrustedKeys::read("").unwrap()
}

/// Frames, one after the other. What is found is what would be written.
pub(super) fn frames(bytes: &[u8]) {
    let mut rest = bytes;
    while let Found::Whole(payload) = frame::first(rest) {
        let mut written = Vec::new();
        frame::append(payload, &mut written).unwrap();
        assert!(rest.starts_with(&written), "a frame that nobody writes so");
        rest = &rest[written.len()..];
    }
}

/// A segment: what frames it, what is in it, and that nothing is vouched for that nobody signed.
pub(super) fn segment(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file_name(0));
    fs::write(&path, bytes).unwrap();
    if let Ok(mut segment) = Segment::open(&path) {
        let mut read = 0;
        while let Ok(Some(framed)) = segment.next() {
            read += framed.line.len();
        }
        assert!(read <= bytes.len());
    }
    drop(LogReader::new(folder.path(), 0).read(u64::MAX, 1_000, 1 << 20));
    if let Ok(verified) = verify(&[folder.path().to_owned()], &[], &no_keys()) {
        assert!(!verified.is_intact(), "vouched for by nobody");
    }
}

/// A signed note. What it says is printed as it was.
pub(super) fn checkpoint(bytes: &[u8]) {
    let Some(note) = text(bytes) else { return };
    assert!(notes(note).iter().all(|found| note.contains(found)));
    if let Ok((checkpoint, signed)) = Checkpoint::read(note, &no_keys()) {
        assert_ne!(signed, Signed::Trusted, "signed by nobody");
        let text = checkpoint.text();
        assert!(text.lines().take(3).all(|line| note.contains(line)), "{text}");
    }
}

/// A receipt.
pub(super) fn receipt(bytes: &[u8]) {
    let Some(Ok(receipt)) = text(bytes).map(Receipt::read) else { return };
    assert!(receipt.verify(&no_keys()).is_err(), "vouched for by nobody");
    let printed = serde_json::to_string(&receipt).unwrap();
    assert_eq!(serde_json::to_string(&Receipt::read(&printed).unwrap()).unwrap(), printed);
}
