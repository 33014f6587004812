//! What entities say of each other: parents that are stored, no cycles, and references that lead somewhere.

use std::collections::{HashMap, HashSet};

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;
use smol_str::SmolStr;

use super::beside::ENTITY_LOG;
use super::element::Reader;
use super::excerpt::Excerpts;
use super::stream::{Found, Text, each};
use super::{MAX_ALIKE, MAX_PARENTS};
use crate::engine::catalog::Catalog;
use crate::engine::cedar::EntityKind;
use crate::engine::cedar::entities::HeldReference;
use crate::engine::compile::workers::Workers;
use crate::engine::entities::{EntityStore, Heights, StoredEntity};
use crate::engine::generation::Strictness;
use crate::engine::guard::{MAX_ANCESTRY, StackUnavailable};
use crate::engine::problem::{Place, Problem, Report, Severity};

/// Where an entity stands: the number of its file, and bytes from the beginning.
pub(super) type At = (usize, usize);

/// What is wrong with how an entity relates to others.
#[derive(Debug)]
enum Trouble {
    NotStored(EntityUid),
    InItself,
    TooFar(usize),
    Dangling(Option<SmolStr>, EntityUid),
}

/// Troubles of one kind, each with whose it is.
type Troubles<'s> = Vec<(&'s EntityUid, Trouble)>;

/// Looks at every stored entity's parents and references.
///
/// # Errors
/// [`StackUnavailable`].
pub(super) fn check(
    texts: &[Text<'_>],
    stored: &EntityStore,
    reader: &Reader<'_>,
    catalog: &Catalog,
    workers: &Workers,
    report: &mut Report,
) -> Result<(), StackUnavailable> {
    let found = find(stored, catalog);
    if found.iter().all(Vec::is_empty) {
        return Ok(());
    }
    let wanted = found.iter().flatten().map(|(uid, _)| *uid).collect();
    let places = places(texts, reader, workers, wanted)?;
    let mut excerpts = Excerpts::of(texts);
    for (kind, severity) in found.into_iter().zip([Severity::Error, Severity::Warning, Severity::Error]) {
        push_sorted(kind, severity, &places, &mut excerpts, report);
    }
    Ok(())
}

/// Parents that are not stored (what is in them, or in what they should be in, would be in neither: C3); references to
/// nothing, of which a decision that followed one would deny; and cycles, in which nothing is above anything, or long
/// chains, which cost every decision.
fn find<'s>(stored: &'s EntityStore, catalog: &Catalog) -> [Troubles<'s>; 3] {
    let full = catalog.strictness == Strictness::Full;
    let most = if full { MAX_ANCESTRY } else { usize::MAX };
    let heights = Heights::of(stored);
    let [mut parents, mut references, mut ancestry]: [Troubles<'s>; 3] = Default::default();
    for (uid, entity) in stored.iter() {
        match heights.below(entity.parents()) {
            None => ancestry.push((uid, Trouble::InItself)),
            Some(height) if height > most => ancestry.push((uid, Trouble::TooFar(height))),
            Some(_) => {}
        }
        if !full {
            continue;
        }
        let missing = entity.parents().iter().filter(|parent| !heights.is_stored(parent));
        parents.extend(missing.map(|parent| (uid, Trouble::NotStored(parent.clone()))));
        for HeldReference { attribute, to } in entity.references() {
            if !stored.contains(&to) && !is_closed(catalog, &to) {
                references.push((uid, Trouble::Dangling(attribute, to)));
            }
        }
    }
    [parents, references, ancestry]
}

/// Whether it is one of a closed set, of which nothing is stored.
fn is_closed(catalog: &Catalog, uid: &EntityUid) -> bool {
    match catalog.entity_kind(uid.type_name()) {
        Some(EntityKind::Enum(ids)) => ids.contains(uid.id().unescaped()),
        Some(EntityKind::Action) => catalog.action(uid).is_some(),
        _ => false,
    }
}

/// Where each of these entities stands first. A million entities have no place each: the files are read again instead.
pub(super) fn places(
    texts: &[Text<'_>],
    reader: &Reader<'_>,
    workers: &Workers,
    wanted: HashSet<&EntityUid, RandomState>,
) -> Result<HashMap<EntityUid, At>, StackUnavailable> {
    let mut places = HashMap::new();
    let name = |text: &str| reader.name(text).filter(|uid| wanted.contains(uid));
    each(
        texts,
        workers,
        |element| name(element.text),
        |found| {
            if let Found::Element(element, Some(uid)) = found {
                places.entry(uid).or_insert((element.file, element.offset));
            }
        },
    )?;
    Ok(places)
}

/// Reports the first of many alike, in the order of the files; beyond that they are counted.
fn push_sorted(
    mut found: Troubles<'_>,
    severity: Severity,
    places: &HashMap<EntityUid, At>,
    excerpts: &mut Excerpts<'_>,
    report: &mut Report,
) {
    let place = |uid: &EntityUid| places.get(uid).copied().unwrap_or_default();
    // Of one entity's troubles, the order is that in which it was looked at.
    found.sort_by_key(|(uid, _)| place(uid));
    let more = found.len().saturating_sub(MAX_ALIKE);
    for (uid, trouble) in found.into_iter().take(MAX_ALIKE) {
        let message = trouble.describe(uid);
        report.push(match places.get(uid) {
            Some((file, offset)) => {
                let (place, span) = excerpts.around(*file, *offset);
                Problem::new(&place, severity, message).at(span, None)
            }
            // It stands in no file.
            None => Problem::new(&Place::new(ENTITY_LOG, ""), severity, message),
        });
    }
    if more > 0 {
        let message = format!("and {more} more like the last");
        report.push(Problem::new(&Place::new("entities", ""), severity, message));
    }
}

impl Trouble {
    fn describe(self, uid: &EntityUid) -> String {
        match self {
            Self::NotStored(parent) => format!("{uid} is in {parent}, which is not stored"),
            Self::InItself => format!("{uid} is in itself, through its parents"),
            Self::TooFar(height) => format!(
                "{uid} is {height} levels below its furthest ancestor; at most {MAX_ANCESTRY} are accepted"
            ),
            Self::Dangling(attribute, to) => {
                let name = attribute.unwrap_or_else(|| "tags".into());
                format!("{uid}.{name} refers to {to}, which is not stored")
            }
        }
    }
}

/// Refuses more direct parents than one entity may have.
pub(super) fn check_parents(uid: &EntityUid, entity: &StoredEntity) -> Result<(), String> {
    let parents = entity.parents().len();
    if parents > MAX_PARENTS {
        return Err(format!("{uid} has {parents} parents; at most {MAX_PARENTS} are accepted"));
    }
    Ok(())
}
