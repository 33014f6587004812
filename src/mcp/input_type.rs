//! What an argument can be in Cedar: the types between JSON Schema and schema text.

use std::collections::BTreeMap;

use super::error::shown;
use super::places::Places;

/// Beyond this many different branches a union says nothing a policy could use.
const MAX_BRANCHES: usize = 32;

/// A closed type. Sets hold one type, records are closed, and there are no cycles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InputType {
    String,
    Long,
    Decimal,
    Bool,
    /// Any JSON value, kept as its canonical text.
    Any,
    /// Some object or array without a closed type, kept as its canonical text.
    Structured,
    Set(Box<InputType>),
    Record(Record),
    /// Two or more different types, none of them a union or [`InputType::Any`].
    Union(Vec<InputType>),
}

/// Attributes by name. Sorted, so that a server that reorders its answer changes nothing.
pub(super) type Record = BTreeMap<String, Attribute>;

/// Makes these names required, whatever they are where the schema does not say.
pub(super) fn require<'a>(record: &mut Record, names: impl IntoIterator<Item = &'a str>) {
    for name in names {
        let attribute = record.entry(name.to_owned());
        attribute.or_insert(Attribute::UNDECLARED).required = true;
    }
}

/// One attribute of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) input_type: InputType,
    pub(super) required: bool,
    /// May be null, which counts as absent.
    pub(super) nullable: bool,
}

impl Attribute {
    /// An attribute that must be there, though nothing says what it is.
    const UNDECLARED: Attribute = Attribute { input_type: InputType::Any, required: true, nullable: true };

    pub(super) fn is_optional(&self) -> bool {
        self.nullable || !self.required
    }
}

impl InputType {
    /// A set of this type. An annotation on an attribute reaches the innermost element only, so unions of sets of
    /// unions cannot be marked as such inside a set: those stay JSON text.
    pub(super) fn set_of(element: InputType) -> InputType {
        match element.innermost() {
            InputType::Union(branches) if branches.iter().any(InputType::is_set_of_unions) => {
                InputType::Structured
            }
            _ => InputType::Set(Box::new(element)),
        }
    }

    fn is_set_of_unions(&self) -> bool {
        matches!(self, InputType::Set(_)) && matches!(self.innermost(), InputType::Union(_))
    }

    /// The type of one of these; none where there is nothing to choose from.
    pub(super) fn one_of(branches: Vec<InputType>) -> Option<InputType> {
        let mut distinct: Vec<InputType> = Vec::new();
        for branch in branches.into_iter().flat_map(InputType::into_branches) {
            if branch == InputType::Any || distinct.len() > MAX_BRANCHES {
                return Some(InputType::Any);
            }
            if !distinct.contains(&branch) {
                distinct.push(branch);
            }
        }
        absorb_structures(&mut distinct);
        match distinct.len() {
            0 | 1 => distinct.pop(),
            _ => Some(InputType::Union(distinct)),
        }
    }

    fn into_branches(self) -> Vec<InputType> {
        match self {
            InputType::Union(branches) => branches,
            other => vec![other],
        }
    }

    /// What remains when all sets are taken off.
    pub(super) fn innermost(&self) -> &InputType {
        match self {
            InputType::Set(element) => element.innermost(),
            other => other,
        }
    }

    /// The name of the part that stands for this type in a union.
    fn part(&self) -> &'static str {
        match self {
            InputType::String => "string",
            InputType::Long => "long",
            InputType::Decimal => "decimal",
            InputType::Bool => "bool",
            InputType::Set(_) => "set",
            InputType::Record(_) => "record",
            InputType::Any | InputType::Structured | InputType::Union(_) => "json",
        }
    }

    /// The type that satisfies both; none where they conflict.
    pub(super) fn meet(self, other: InputType) -> Option<InputType> {
        use InputType::{Any, Record, Structured};
        match (self, other) {
            (Any, known)
            | (known, Any)
            | (Structured, known @ Record(_))
            | (known @ Record(_), Structured) => Some(known),
            (Record(one), Record(other)) => meet_records(one, other).map(Record),
            (one, other) => (one == other).then_some(one),
        }
    }
}

/// Where some object or array is kept as text, all are: one value must not have two places to be in, or a policy that
/// looks in one is evaded through the other.
fn absorb_structures(branches: &mut Vec<InputType>) {
    if branches.contains(&InputType::Structured) {
        branches.retain(|branch| !matches!(branch, InputType::Record(_) | InputType::Set(_)));
    }
}

fn meet_records(mut one: Record, other: Record) -> Option<Record> {
    for (name, attribute) in other {
        let met = match one.remove(&name) {
            None => attribute,
            Some(known) => Attribute {
                input_type: known.input_type.meet(attribute.input_type)?,
                required: known.required || attribute.required,
                nullable: known.nullable && attribute.nullable,
            },
        };
        one.insert(name, met);
    }
    Some(one)
}

/// The branches of a union with their parts' names: by kind, numbered from the second of a kind.
pub(super) fn parts(branches: &[InputType]) -> Vec<(String, &InputType)> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let named = branches.iter().map(|branch| {
        let part = branch.part();
        let times = seen.entry(part).or_default();
        *times += 1;
        match *times {
            1 => (part.to_owned(), branch),
            nth => (format!("{part}_{nth}"), branch),
        }
    });
    named.collect()
}

/// Where in a record JSON text stands for what Cedar cannot type: `filter.items`.
pub(super) fn json_places(record: &Record) -> Places {
    let mut places = Places::default();
    collect_from_record(record, &mut Vec::new(), &mut places);
    places
}

fn collect_from_record<'a>(record: &'a Record, at: &mut Vec<&'a str>, places: &mut Places) {
    for (name, attribute) in record {
        at.push(name);
        collect_json(&attribute.input_type, at, places);
        at.pop();
    }
}

fn collect_json<'a>(input_type: &'a InputType, at: &mut Vec<&'a str>, places: &mut Places) {
    match input_type {
        InputType::Any | InputType::Structured => places.add(|| shown(&at.join("."))),
        InputType::Set(element) => collect_json(element, at, places),
        InputType::Record(record) => collect_from_record(record, at, places),
        InputType::Union(branches) => {
            for branch in branches {
                collect_json(branch, at, places);
            }
        }
        InputType::String | InputType::Long | InputType::Decimal | InputType::Bool => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(element: InputType) -> InputType {
        InputType::set_of(element)
    }

    fn one_of<const N: usize>(branches: [InputType; N]) -> InputType {
        InputType::one_of(Vec::from(branches)).unwrap()
    }

    #[test]
    fn unions_flatten_and_collapse() {
        use InputType::{Bool, Long, String};
        assert_eq!(InputType::one_of(vec![]), None);
        assert_eq!(one_of([String, String]), String);
        let nested = one_of([one_of([String, Long]), Bool, Long]);
        assert_eq!(nested, InputType::Union(vec![String, Long, Bool]));
    }

    #[test]
    fn any_swallows_a_union() {
        assert_eq!(one_of([InputType::String, InputType::Any]), InputType::Any);
    }

    #[test]
    fn text_takes_every_structure() {
        use InputType::{Record, String, Structured};
        let union = one_of([Record(super::Record::new()), String, Structured, set(String)]);
        assert_eq!(union, InputType::Union(vec![String, Structured]));
    }

    #[test]
    fn very_wide_unions_are_any() {
        let record = |n: usize| {
            let attribute = Attribute::UNDECLARED;
            InputType::Record(Record::from([(n.to_string(), attribute)]))
        };
        let union = InputType::one_of((0..100_000).map(record).collect());
        assert_eq!(union, Some(InputType::Any));
    }

    #[test]
    fn sets_of_unions_of_sets_of_unions_are_text() {
        let inner = one_of([InputType::String, InputType::Long]);
        let middle = one_of([InputType::Bool, set(inner.clone())]);
        assert_eq!(set(middle.clone()), InputType::Structured);
        assert_eq!(set(set(middle)), set(InputType::Structured));
        assert!(matches!(set(set(inner)), InputType::Set(_)));
    }

    #[test]
    fn repeated_kinds_are_numbered() {
        let branches = [
            InputType::Record(Record::new()),
            InputType::String,
            InputType::Record(Record::from([("a".to_owned(), Attribute::UNDECLARED)])),
        ];
        let found: Vec<String> = parts(&branches).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, ["record", "string", "record_2"]);
    }
}
