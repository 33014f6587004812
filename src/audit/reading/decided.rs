//! A decision that nobody remembers any more, found again in the log: to hold its outcome to it.

use std::sync::Arc;

use uuid::Uuid;

use super::query::{Field, Query, Term};
use super::search::{Indexes, Search};
use super::seen::Seen;
use super::source::Source;
use crate::audit::outcome::Decided;
use crate::audit::record::Mode;
use crate::audit::spool::reader::ReadError;
use crate::engine::decision::Effect;

/// The decision of that id, if it is in the log, and whether an outcome of it is there. Reads the disk.
///
/// # Errors
/// [`ReadError`]: the log cannot be read.
pub fn decided(source: &Source, id: Uuid) -> Result<Option<Decided>, ReadError> {
    let query = Query { terms: vec![Term::new(Field::DecisionId, id.to_string())], ..Query::default() };
    let (mut found, mut reported) = (None, false);
    for hit in Search::new(&source.directory, query, source.synced(), Indexes::Use)? {
        let hit = hit?;
        let seen = Seen::read(&hit.line);
        match &*seen.kind {
            "decision" => found = Some(of(&seen)),
            "outcome" => reported = true,
            _ => {}
        }
    }
    Ok(found.map(|decided| Decided { reported, ..decided }))
}

fn of(seen: &Seen<'_>) -> Decided {
    let digest = Some(&*seen.arguments_digest).filter(|digest| !digest.is_empty());
    Decided {
        caller: Arc::from(&*seen.caller),
        // What is not an allow was none.
        effect: if seen.decision == "allow" { Effect::Allow } else { Effect::Deny },
        mode: if seen.mode == "observe" { Mode::Observe } else { Mode::Enforce },
        arguments_digest: digest.map(str::to_owned),
        reported: false,
    }
}
