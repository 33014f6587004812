//! Where in the entity files something stands, found out once there is something to say of it.

use std::ops::Range;

use super::stream::Text;
use crate::engine::guard::{MAX_ENTITY_FILE_BYTES, text_within};
use crate::engine::problem::{Place, Problem, Report, SourceFile};

/// Most bytes of a file that a problem shows on either side.
const SHOWN: usize = 1_000;

/// Finds lines, fastest when asked in the order of the files.
pub(super) struct Excerpts<'t> {
    texts: &'t [Text<'t>],
    file: usize,
    offset: usize,
    lines: usize,
}

impl<'t> Excerpts<'t> {
    pub(super) fn of(texts: &'t [Text<'t>]) -> Self {
        Self { texts, file: 0, offset: 0, lines: 0 }
    }

    /// What stands around an offset of a file, and in it what goes from there to the end of the line.
    pub(super) fn around(&mut self, file: usize, offset: usize) -> (Place, Range<usize>) {
        let lines = self.lines_before(file, offset);
        let Some(Text { name, text }) = self.texts.get(file) else { return (Place::new("", ""), 0..0) };
        let (before, rest) = text.split_at_checked(offset).unwrap_or((text, ""));
        // The line before, the line, and the one after.
        let near = tail(before);
        let line_start = near.rfind('\n').map_or(0, |end| end + 1);
        let start = near
            .get(..line_start.saturating_sub(1))
            .and_then(|near| near.rfind('\n'))
            .map_or(0, |end| end + 1);
        let near = near.get(start..).unwrap_or_default();
        let after = head(rest);
        let line_end = after.find('\n').unwrap_or(after.len());
        let shown = after.get(..line_end + 1).unwrap_or(after);
        let next = after.get(shown.len()..).unwrap_or_default();
        let shown = shown.len() + next.find('\n').unwrap_or(next.len());
        let excerpt = format!("{near}{}", after.get(..shown).unwrap_or(after));
        let lines_before = lines.saturating_sub(near.matches('\n').count());
        let span = near.len()..near.len() + line_end.max(1).min(after.len());
        (Place::excerpt(name, &excerpt, lines_before), span)
    }

    /// `file:line` of an offset of a file.
    pub(super) fn locate(&mut self, file: usize, offset: usize) -> String {
        let lines = self.lines_before(file, offset);
        format!("{}:{}", self.texts.get(file).map_or("", |text| text.name), lines + 1)
    }

    fn lines_before(&mut self, file: usize, offset: usize) -> usize {
        if (self.file, self.offset) > (file, offset) || self.file != file {
            (self.file, self.offset, self.lines) = (file, 0, 0);
        }
        let bytes = self.texts.get(file).map(|text| text.text.as_bytes()).unwrap_or_default();
        let passed = bytes.get(self.offset..offset).unwrap_or_default();
        self.lines += passed.iter().filter(|byte| **byte == b'\n').count();
        self.offset = offset;
        self.lines
    }
}

/// The last bytes of a text, as far as they are shown.
fn tail(text: &str) -> &str {
    text.get(boundary(text, text.len().saturating_sub(SHOWN))..).unwrap_or_default()
}

/// The first bytes of a text, as far as they are shown.
fn head(text: &str) -> &str {
    text.get(..boundary(text, SHOWN)).unwrap_or_default()
}

/// The first place from `at` on where a character begins.
fn boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// An entity file's text, or none, having said why.
pub(super) fn text<'t>(file: &'t SourceFile, report: &mut Report) -> Option<Text<'t>> {
    let refused = match text_within(&file.bytes, MAX_ENTITY_FILE_BYTES) {
        Ok(text) => return Some(Text { name: &file.name, text }),
        Err(refused) => refused,
    };
    let Some(span) = refused.span() else {
        report.push(Problem::error(&Place::new(&file.name, ""), refused.to_string()));
        return None;
    };
    let before = file.bytes.get(..span.start).unwrap_or_default();
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line.get(line.len().saturating_sub(SHOWN)..).unwrap_or_default());
    let rest = file.bytes.get(span.start..).unwrap_or_default();
    let rest = String::from_utf8_lossy(rest.get(..SHOWN.min(rest.len())).unwrap_or_default());
    let place = Place::excerpt(&file.name, &format!("{line}{rest}"), lines);
    let problem = Problem::error(&place, format!("{refused} (byte {})", span.start));
    report.push(problem.at(line.len()..line.len(), None));
    None
}
