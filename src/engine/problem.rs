//! What is wrong with a set of sources: every problem of a load, each with its file, line and excerpt.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use miette::{
    Diagnostic, LabeledSpan, MietteError, MietteSpanContents, NamedSource, SourceCode, SourceSpan,
    SpanContents,
};

use super::content::Content;

/// Whether a problem stops the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The load is rejected.
    Error,
    /// The load goes on; somebody should look.
    Warning,
}

/// A source file as it was read: its name for people, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path as an operator would type it.
    pub name: String,
    /// Content, unchecked.
    pub bytes: Content,
}

/// One thing wrong with one file.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Whether it stops the load.
    pub severity: Severity,
    /// What is wrong, one sentence, lowercase, no full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    place: Place,
    labels: Vec<(Range<usize>, Option<String>)>,
}

/// A named text that problems point into.
#[derive(Debug, Clone)]
pub struct Place(Arc<NamedText>);

#[derive(Debug)]
struct NamedText {
    source: NamedSource<Arc<str>>,
    text: Arc<str>,
    /// How many lines of the file stand before the text.
    lines_before: usize,
    /// Where lines end, once somebody asks: a file may hold a hundred thousand policies, each on a line of its own.
    line_ends: OnceLock<Vec<usize>>,
}

impl SourceCode for NamedText {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let part = self.source.read_span(span, lines_before, lines_after)?;
        let (line, column) = (part.line() + self.lines_before, part.column());
        let name = self.source.name().to_owned();
        let count = part.line_count();
        Ok(Box::new(MietteSpanContents::new_named(name, part.data(), *part.span(), line, column, count)))
    }
}

impl Place {
    /// A file and its text.
    pub fn new(name: &str, text: &str) -> Self {
        Self::excerpt(name, text, 0)
    }

    /// A file, and as much of its text as problems point at: what stands after so many lines of it.
    pub fn excerpt(name: &str, text: &str, lines_before: usize) -> Self {
        let text: Arc<str> = Arc::from(text);
        let source = NamedSource::new(name, Arc::clone(&text));
        Self(Arc::new(NamedText { source, text, lines_before, line_ends: OnceLock::new() }))
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        self.0.source.name()
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Line of a byte offset, counted from 1.
    pub fn line(&self, offset: usize) -> usize {
        let ends = self.0.line_ends.get_or_init(|| {
            let bytes = self.text().bytes().enumerate();
            bytes.filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect()
        });
        1 + self.0.lines_before + ends.partition_point(|end| *end < offset)
    }

    /// `file:line` of a byte offset.
    pub fn locate(&self, offset: usize) -> String {
        format!("{}:{}", self.name(), self.line(offset))
    }
}

impl Problem {
    /// An error somewhere in a file.
    pub fn error(place: &Place, message: impl Into<String>) -> Self {
        Self::new(place, Severity::Error, message)
    }

    /// A warning somewhere in a file.
    pub fn warning(place: &Place, message: impl Into<String>) -> Self {
        Self::new(place, Severity::Warning, message)
    }

    /// A problem somewhere in a file.
    pub fn new(place: &Place, severity: Severity, message: impl Into<String>) -> Self {
        Self { severity, message: message.into(), help: None, place: place.clone(), labels: Vec::new() }
    }

    /// Points at bytes of the file.
    #[must_use]
    pub fn at(mut self, span: Range<usize>, label: impl Into<Option<String>>) -> Self {
        self.labels.push((span, label.into()));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Takes message, labels and help from one of Cedar's own diagnostics.
    pub fn from_cedar(place: &Place, severity: Severity, diagnostic: &dyn Diagnostic) -> Self {
        let labels = diagnostic.labels().into_iter().flatten().map(|label| {
            let span = label.inner();
            (span.offset()..span.offset() + span.len(), label.label().map(str::to_owned))
        });
        Self {
            severity,
            message: diagnostic.to_string(),
            help: diagnostic.help().map(|help| help.to_string()),
            place: place.clone(),
            labels: labels.collect(),
        }
    }

    /// The same problem, found in a part of the file that begins `by` bytes into it.
    #[must_use]
    pub(super) fn shifted(mut self, by: usize) -> Self {
        for (span, _) in &mut self.labels {
            *span = span.start + by..span.end + by;
        }
        self
    }

    /// Orders what Cedar finds in one policy, and tells in no order.
    pub(super) fn rank(&self) -> (usize, &str) {
        (self.labels.first().map_or(0, |(span, _)| span.start), &self.message)
    }

    /// The file.
    pub fn file(&self) -> &str {
        self.place.name()
    }

    /// Line of the first label, counted from 1; none where the whole file is meant.
    pub fn line(&self) -> Option<usize> {
        self.labels.first().map(|(span, _)| self.place.line(span.start))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line() {
            Some(line) => write!(f, "{}:{line}: {}", self.file(), self.message),
            None => write!(f, "{}: {}", self.file(), self.message),
        }
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        (!self.labels.is_empty()).then_some(&*self.place.0 as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.labels.iter().map(|(span, label)| {
            let span = SourceSpan::new(span.start.into(), span.len());
            LabeledSpan::new_with_span(label.clone(), span)
        });
        Some(Box::new(labels))
    }
}

/// Everything found while loading, in the order of the files.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The problems.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Whether any problem stops the load.
    pub fn rejects(&self) -> bool {
        self.errors().next().is_some()
    }

    /// The problems that stop the load.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error)
    }

    /// The problems that do not.
    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.severity == Severity::Warning)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}
