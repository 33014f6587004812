//! Entity files to the stored entities.

use std::collections::HashMap;

use cedar_policy::{Entity, EntityUid};
use serde_json::value::RawValue;

use super::place;
use crate::engine::catalog::Catalog;
use crate::engine::cedar::EntityKind;
use crate::engine::cedar::entities::{self, HeldReference};
use crate::engine::datum::Datum;
use crate::engine::entities::{EntityStore, StoredEntity, heights};
use crate::engine::generation::Strictness;
use crate::engine::guard::{MAX_ANCESTRY, MAX_RECORD_DEPTH, MAX_VALUE_DEPTH};
use crate::engine::problem::{Place, Problem, Report, Severity, SourceFile};

/// Most direct parents of one entity.
const MAX_PARENTS: usize = 1_000;
/// Most problems of one kind that are reported each.
const MAX_ALIKE: usize = 20;

/// An entity and where it stands.
struct Placed {
    entity: Entity,
    place: Place,
    offset: usize,
}

/// Parses, validates and relates every entity.
pub(super) fn load(files: &[SourceFile], catalog: &Catalog, report: &mut Report) -> EntityStore {
    let mut placed: HashMap<EntityUid, Placed> = HashMap::new();
    for file in files {
        let Some(place) = place(file, report) else { continue };
        for entity in parse(&place, catalog, report) {
            add(&mut placed, entity, catalog.strictness, report);
        }
    }
    if catalog.strictness == Strictness::Full {
        check_parents(&placed, report);
        warn_of_dangling(&placed, catalog, report);
    }
    let mut stored = EntityStore::default();
    for (uid, at) in &placed {
        match entities::parts(&at.entity) {
            Some((parents, attributes, tags)) => stored.put_unchecked(
                uid.clone(),
                StoredEntity::new(parents, attributes.into_members(), tags.into_members()),
            ),
            None => report.push(Problem::error(&at.place, format!("{uid} holds an unknown value"))),
        }
    }
    check_ancestry(&placed, &stored, catalog.strictness, report);
    stored
}

/// The entities of one file: an array of objects in Cedar's JSON form.
fn parse(place: &Place, catalog: &Catalog, report: &mut Report) -> Vec<Placed> {
    let elements: Vec<&RawValue> = match serde_json::from_str(place.text()) {
        Ok(elements) => elements,
        Err(error) => {
            let help = "an entity file is an array of {\"uid\": …, \"attrs\": …, \"parents\": …}";
            report.push(Problem::error(place, error.to_string()).help(help));
            return Vec::new();
        }
    };
    let start = place.text().as_ptr() as usize;
    let parsed = elements.into_iter().filter_map(|element| {
        let offset = (element.get().as_ptr() as usize).saturating_sub(start);
        let members = match catalog.strictness {
            Strictness::Full => check_members(element.get(), catalog),
            Strictness::Language(_) => Ok(()),
        };
        if let Err(message) = members {
            report.push(Problem::error(place, message).at(line_from(place, offset), None));
            return None;
        }
        match Entity::from_json_str(element.get(), catalog.entity_schema()) {
            Ok(entity) => Some(Placed { entity, place: place.clone(), offset }),
            Err(error) => {
                report.push(Problem::error(place, described(&error)).at(line_from(place, offset), None));
                None
            }
        }
    });
    parsed.collect()
}

/// Cedar ignores members of an entity that it does not know: `tag` for `tags` would silently store none.
fn check_members(text: &str, catalog: &Catalog) -> Result<(), String> {
    let entity: Datum = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Some(members) = entity.members() else { return Err("an entity is an object".to_owned()) };
    check_type(&entity, catalog)?;
    let known = ["uid", "attrs", "parents", "tags"];
    for part in ["attrs", "tags"] {
        let values = members.iter().find(|(name, _)| name == part).and_then(|(_, value)| value.members());
        if values.into_iter().flatten().any(|(_, value)| value.depth() > MAX_VALUE_DEPTH) {
            return Err(format!("a value in `{part}` is nested deeper than {MAX_VALUE_DEPTH} levels"));
        }
    }
    match members.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => Err(format!("`{name}` is no member of an entity; those are {}", known.join(", "))),
        None => Ok(()),
    }
}

/// Refuses a stored value that Cedar would take too long to check against its type.
fn check_type(entity: &Datum, catalog: &Catalog) -> Result<(), String> {
    let uid = entity.member("uid").map(|uid| uid.member("__entity").unwrap_or(uid));
    let Some(Datum::String(name)) = uid.and_then(|uid| uid.member("type")) else { return Ok(()) };
    let kind = catalog.entity_type(name).and_then(|name| catalog.entity_kind(name));
    let Some(EntityKind::Standard(record, kind_tags)) = kind else { return Ok(()) };
    let tags = kind_tags.as_ref().is_some_and(|ty| ty.record_depth() > MAX_RECORD_DEPTH);
    if tags && entity.member("tags").is_some() {
        return Err(format!("the type of its tags nests records deeper than {MAX_RECORD_DEPTH} levels"));
    }
    let too_deep = |name: &str| {
        record.attributes.get(name).is_some_and(|attribute| attribute.ty.record_depth() > MAX_RECORD_DEPTH)
    };
    let held = entity.member("attrs").and_then(Datum::members).into_iter().flatten();
    match held.map(|(name, _)| name).find(|name| too_deep(name)) {
        Some(attribute) => Err(format!(
            "the type of `{attribute}` nests records deeper than {MAX_RECORD_DEPTH} levels, too deep for stored entities"
        )),
        None => Ok(()),
    }
}

/// Refuses parents that are not stored: what is in them, or in what they should be in, would be in neither (C3).
fn check_parents(placed: &HashMap<EntityUid, Placed>, report: &mut Report) {
    let parents = |at: &'_ Placed| entities::parents(&at.entity);
    let missing = placed.values().flat_map(|at| parents(at).into_iter().map(move |parent| (at, parent)));
    let missing = missing.filter(|(_, parent)| !placed.contains_key(parent)).map(|(at, parent)| {
        let message = format!("{} is in {parent}, which is not stored", at.entity.uid());
        (at, message)
    });
    push_sorted(missing.collect(), Severity::Error, report);
}

fn add(placed: &mut HashMap<EntityUid, Placed>, new: Placed, strictness: Strictness, report: &mut Report) {
    let uid = new.entity.uid();
    let parents = entities::parents(&new.entity).len();
    let full = strictness == Strictness::Full;
    let refusal = if let Some(first) = placed.get(&uid) {
        if !full && first.entity.deep_eq(&new.entity) {
            return;
        }
        Some(format!("{uid} is given twice, first at {}", first.place.locate(first.offset)))
    } else if full && parents > MAX_PARENTS {
        Some(format!("{uid} has {parents} parents; at most {MAX_PARENTS} are accepted"))
    } else {
        None
    };
    match refusal {
        Some(message) => {
            report.push(Problem::error(&new.place, message).at(line_from(&new.place, new.offset), None))
        }
        None => {
            placed.insert(uid, new);
        }
    }
}

/// Refuses cycles, in which nothing is above anything, and long chains, which cost every decision.
fn check_ancestry(
    placed: &HashMap<EntityUid, Placed>,
    stored: &EntityStore,
    strictness: Strictness,
    report: &mut Report,
) {
    let most = if strictness == Strictness::Full { MAX_ANCESTRY } else { usize::MAX };
    let heights = heights(stored);
    let mut refused: Vec<(&Placed, String)> = Vec::new();
    for (uid, at) in placed {
        match heights.get(uid) {
            None => refused.push((at, format!("{uid} is in itself, through its parents"))),
            Some(height) if *height > most => refused.push((
                at,
                format!("{uid} is {height} levels below its furthest ancestor; at most {MAX_ANCESTRY} are accepted"),
            )),
            Some(_) => {}
        }
    }
    push_sorted(refused, Severity::Error, report);
}

/// Reports the first of many alike, in the order of the files; beyond that they are counted.
fn push_sorted(mut found: Vec<(&Placed, String)>, severity: Severity, report: &mut Report) {
    found.sort_by(|(one, _), (other, _)| {
        (one.place.name(), one.offset).cmp(&(other.place.name(), other.offset))
    });
    let more = found.len().saturating_sub(MAX_ALIKE);
    for (at, message) in found.into_iter().take(MAX_ALIKE) {
        report.push(Problem::new(&at.place, severity, message).at(line_from(&at.place, at.offset), None));
    }
    if more > 0 {
        report.push(Problem::new(
            &Place::new("entities", ""),
            severity,
            format!("and {more} more like the last"),
        ));
    }
}

/// Warns of references to nothing. A decision that would follow one denies (C3).
fn warn_of_dangling(placed: &HashMap<EntityUid, Placed>, catalog: &Catalog, report: &mut Report) {
    let mut warnings: Vec<(&Placed, String)> = Vec::new();
    for (uid, at) in placed {
        for HeldReference { attribute, to } in entities::references(&at.entity) {
            if !placed.contains_key(&to) && !is_closed(catalog, &to) {
                let name = attribute.unwrap_or_else(|| "tags".into());
                warnings.push((at, format!("{uid}.{name} refers to {to}, which is not stored")));
            }
        }
    }
    push_sorted(warnings, Severity::Warning, report);
}

fn is_closed(catalog: &Catalog, uid: &EntityUid) -> bool {
    match catalog.entity_kind(uid.type_name()) {
        Some(EntityKind::Enum(ids)) => ids.contains(uid.id().unescaped()),
        Some(EntityKind::Action) => catalog.action(uid).is_some(),
        _ => false,
    }
}

/// From an entity to the end of its first line.
fn line_from(place: &Place, offset: usize) -> std::ops::Range<usize> {
    let rest = place.text().get(offset..).unwrap_or_default();
    offset..offset + rest.find('\n').unwrap_or(rest.len()).max(1).min(rest.len())
}

/// An error and its causes, as one sentence.
fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
