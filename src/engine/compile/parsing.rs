//! A policy file's text: known as it is, parted into policies, or parsed as a whole.

use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::{Policy, PolicySet};

use super::known::CleanFile;
use super::single::{Examiner, Segment};
use super::{check_policies, place};
use crate::engine::cedar::walk;
use crate::engine::generation::Strictness;
use crate::engine::problem::{Place, Problem, Report, Severity, SourceFile};

/// A policy file that is known, or whose text may be given to the parser.
pub(super) enum Opened<'s> {
    Known(Arc<CleanFile>),
    Text(PolicyFile<'s>),
    Refused(Report),
}

/// A file whose text may be given to the parser.
pub(super) struct PolicyFile<'s> {
    pub(super) source: &'s SourceFile,
    pub(super) place: Place,
    /// How many segments it has.
    pub(super) segments: usize,
}

/// A file's text, parted into segments, unless it is known.
pub(super) fn open<'s>(
    file: &'s SourceFile,
    examiner: &Examiner<'_>,
    segments: &mut Vec<Segment>,
) -> Opened<'s> {
    if let Some(known) = examiner.file(file) {
        return Opened::Known(Arc::clone(known));
    }
    let mut report = Report::default();
    let spans =
        place(file, &mut report).and_then(|place| Some((check_policies(&place, &mut report)?, place)));
    let Some((spans, place)) = spans else { return Opened::Refused(report) };
    let opened = PolicyFile { source: file, segments: spans.len(), place };
    segments.extend(spans.into_iter().map(|span| Segment { place: opened.place.clone(), span }));
    Opened::Text(opened)
}

/// A text's policies, if it parses and holds any. It has passed [`check_policies`].
pub(super) fn parse(place: &Place, strictness: Strictness, report: &mut Report) -> Option<PolicySet> {
    match PolicySet::from_str(place.text()) {
        Ok(set) if set.is_empty() && strictness == Strictness::Full => {
            let help =
                "an empty file is more often a failed write than an intention: delete it or restore it";
            report.push(Problem::error(place, "the file holds no policy").help(help));
            None
        }
        Ok(set) => Some(set),
        Err(errors) => {
            for error in errors.iter() {
                report.push(Problem::from_cedar(place, Severity::Error, error));
            }
            None
        }
    }
}

/// Static policies as they stand in their file, each with its offset.
pub(super) fn in_order(set: &PolicySet) -> Vec<(usize, &Policy)> {
    let mut policies: Vec<_> = set.policies().map(|policy| (walk::offset(policy), policy)).collect();
    policies.sort_by_key(|(offset, _)| *offset);
    policies
}
