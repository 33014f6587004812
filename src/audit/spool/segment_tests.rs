//! Segments that are whole, cut short, damaged, foreign.

use super::*;
use std::io::Write as _;

fn header(first: u64) -> Header {
    Header {
        format: FORMAT,
        log: Uuid::from_u128(1),
        instance: Uuid::from_u128(2),
        first,
        opened: "2026-11-22T10:00:00Z".to_owned(),
        frontier: vec!["ab".repeat(32)],
    }
}

fn segment(first: u64, lines: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    begin(&header(first), &mut bytes).unwrap();
    for line in lines {
        frame::append(line.as_bytes(), &mut bytes).unwrap();
    }
    bytes
}

fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file_name(7));
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn all(segment: &mut Segment) -> Result<Vec<(u64, String)>, SegmentError> {
    let mut found = Vec::new();
    while let Some(Framed { sequence, line, .. }) = segment.next()? {
        found.push((sequence, String::from_utf8(line.to_vec()).unwrap()));
    }
    Ok(found)
}

#[test]
fn records_come_back_numbered_from_the_headers_first() {
    let long = "x".repeat(3 * READ_BYTES);
    let (_folder, path) = written(&segment(7, &["a", &long, "c"]));
    let mut segment = Segment::open(&path).unwrap();
    assert_eq!(segment.header(), &header(7));
    assert_eq!(segment.header_digest(), header(7).digest().unwrap());
    let found = all(&mut segment).unwrap();
    assert_eq!(found, [(7, "a".to_owned()), (8, long), (9, "c".to_owned())]);
}

#[test]
fn what_is_appended_after_the_end_was_reached_is_read_too() {
    let whole = segment(7, &["a", "bcd"]);
    let (_folder, path) = written(&whole[..whole.len() - 2]);
    let mut segment = Segment::open(&path).unwrap();
    assert_eq!(segment.next().unwrap().unwrap().line, b"a");
    assert!(matches!(segment.next(), Err(SegmentError::Torn { .. })));
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&whole[whole.len() - 2..]).unwrap();
    assert_eq!(segment.next().unwrap().unwrap().line, b"bcd");
    assert!(segment.next().unwrap().is_none());
    assert!(segment.next().unwrap().is_none());
}

#[test]
fn a_place_that_is_known_is_gone_to() {
    let (_folder, path) = written(&segment(7, &["a", "b", "c"]));
    let mut segment = Segment::open(&path).unwrap();
    segment.next().unwrap();
    let place = segment.offset();
    all(&mut segment).unwrap();
    segment.seek(place, 8).unwrap();
    assert_eq!(segment.next().unwrap().unwrap().offset, place);
    assert_eq!(all(&mut segment).unwrap(), [(9, "c".to_owned())]);
}

#[test]
fn a_file_cut_anywhere_is_torn_and_says_where() {
    let whole = segment(7, &["{\"v\":1}"]);
    let start = whole.len() - 7 - frame::HEAD_BYTES;
    for end in 0..whole.len() {
        let (_folder, path) = written(&whole[..end]);
        let read = Segment::open(&path).and_then(|mut segment| all(&mut segment));
        match read {
            Ok(found) => assert!(found.is_empty() && end == start, "{end}"),
            Err(SegmentError::Torn { offset }) if end > start => assert_eq!(offset, start as u64),
            Err(SegmentError::Torn { offset }) => assert!(offset <= MAGIC.len() as u64),
            Err(other) => panic!("{end}: {other}"),
        }
    }
}

#[test]
fn a_damaged_frame_is_told_with_its_place() {
    let mut whole = segment(7, &["a", "b"]);
    let last = whole.len() - 1;
    whole[last] ^= 1;
    let (_folder, path) = written(&whole);
    let mut segment = Segment::open(&path).unwrap();
    segment.next().unwrap();
    let at = (last - frame::HEAD_BYTES) as u64;
    assert!(matches!(segment.next(), Err(SegmentError::Damaged { offset }) if offset == at));
}

#[test]
fn what_is_no_segment_or_of_a_later_format_is_refused() {
    let (_folder, path) = written(b"{\"v\":1}\n{\"v\":1}\n");
    assert!(matches!(Segment::open(&path), Err(SegmentError::Foreign)));
    let mut later = Vec::from(MAGIC);
    frame::append(b"{\"format\":2,\"new\":true}", &mut later).unwrap();
    let (_folder, path) = written(&later);
    assert!(matches!(Segment::open(&path), Err(SegmentError::Format(2))));
}

#[test]
fn segments_are_listed_in_order_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(list(folder.path()).unwrap(), []);
    let segments = folder.path().join(FOLDER);
    fs::create_dir(&segments).unwrap();
    for name in [&file_name(1000), &file_name(0), "1.mlog", "00000000000000000000.index", "notes.txt"] {
        fs::write(segments.join(name), "").unwrap();
    }
    let firsts: Vec<_> = list(folder.path()).unwrap().into_iter().map(|segment| segment.first).collect();
    assert_eq!(firsts, [0, 1000]);
}
