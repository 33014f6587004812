//! One entity as it is written, to one as it is stored.
//!
//! Cedar's own parser decides what an entity is. It takes some 20 µs for each, so what is written plainly is read here,
//! by the schema's types: whatever is not exactly what this reader expects goes to Cedar's, which accepts it or says what
//! is wrong.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid};
use foldhash::fast::RandomState;
use smol_str::SmolStr;

use crate::engine::catalog::Catalog;
use crate::engine::cedar::value::Extension;
use crate::engine::cedar::{CedarRecord, CedarValue, EntityKind, RecordType, Type, entities, types};
use crate::engine::datum::Datum;
use crate::engine::entities::StoredEntity;
use crate::engine::generation::Strictness;
use crate::engine::guard::{MAX_RECORD_DEPTH, MAX_VALUE_DEPTH};

/// The members of an entity.
const KNOWN: [&str; 4] = ["uid", "attrs", "parents", "tags"];

/// An entity and its name.
pub(super) type Named = (EntityUid, StoredEntity);

/// Reads entities of one schema.
pub(super) struct Reader<'c> {
    catalog: &'c Catalog,
    shapes: HashMap<&'c str, Shape<'c>, RandomState>,
}

/// What entities of a type look like.
struct Shape<'c> {
    name: &'c EntityTypeName,
    attributes: &'c RecordType,
    tags: Option<&'c Type>,
    /// The types whose entities they may be in.
    parents: HashSet<&'c EntityTypeName>,
}

impl<'c> Reader<'c> {
    pub(super) fn new(catalog: &'c Catalog) -> Self {
        let mut shapes = HashMap::default();
        if catalog.strictness == Strictness::Full {
            shapes.extend(catalog.types.iter().filter_map(|(written, name)| {
                let EntityKind::Standard(attributes, tags) = catalog.entity_kind(name)? else { return None };
                let may_hold = |parent: &&EntityTypeName| types::may_be_in(&catalog.schema, name, parent);
                let parents = catalog.kinds.keys().filter(may_hold).collect();
                Some((written.as_str(), Shape { name, attributes, tags: tags.as_ref(), parents }))
            }));
        }
        Self { catalog, shapes }
    }

    pub(super) fn strictness(&self) -> Strictness {
        self.catalog.strictness
    }

    /// The entity that `text` says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(&self, text: &str) -> Result<Named, String> {
        if self.catalog.strictness == Strictness::Full {
            let entity: Datum = serde_json::from_str(text).map_err(|error| error.to_string())?;
            self.check_members(&entity)?;
            if let Some(plain) = self.plain(&entity) {
                return Ok(plain);
            }
        }
        self.cedars(text)
    }

    /// The name of the entity that `text` says, if it says one.
    pub(super) fn name(&self, text: &str) -> Option<EntityUid> {
        #[derive(serde::Deserialize)]
        struct Named {
            uid: Datum,
        }
        let Named { uid } = serde_json::from_str(text).ok()?;
        self.plain_uid(&uid).or_else(|| EntityUid::from_json(uid.to_json()).ok())
    }

    /// What Cedar's own parser makes of it.
    pub(super) fn cedars(&self, text: &str) -> Result<Named, String> {
        let entity =
            Entity::from_json_str(text, self.catalog.entity_schema()).map_err(|error| described(&error))?;
        let uid = entity.uid();
        match entities::parts(&entity) {
            Some((parents, attributes, tags)) => {
                Ok((uid, StoredEntity::new(parents, attributes.into_members(), tags.into_members())))
            }
            None => Err(format!("{uid} holds an unknown value")),
        }
    }

    /// Cedar ignores members of an entity that it does not know: `tag` for `tags` would silently store none.
    fn check_members(&self, entity: &Datum) -> Result<(), String> {
        let Some(members) = entity.members() else { return Err("an entity is an object".to_owned()) };
        self.check_type(entity)?;
        for part in ["attrs", "tags"] {
            let values = entity.member(part).and_then(Datum::members);
            if values.into_iter().flatten().any(|(_, value)| value.depth() > MAX_VALUE_DEPTH) {
                return Err(format!("a value in `{part}` is nested deeper than {MAX_VALUE_DEPTH} levels"));
            }
        }
        match members.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
            Some((name, _)) => {
                Err(format!("`{name}` is no member of an entity; those are {}", KNOWN.join(", ")))
            }
            None => Ok(()),
        }
    }

    /// Refuses a stored value that Cedar would take too long to check against its type.
    fn check_type(&self, entity: &Datum) -> Result<(), String> {
        let uid = entity.member("uid").map(|uid| uid.member("__entity").unwrap_or(uid));
        let Some(Datum::String(name)) = uid.and_then(|uid| uid.member("type")) else { return Ok(()) };
        let Some(Shape { attributes, tags, .. }) = self.shapes.get(name.as_str()) else { return Ok(()) };
        let too_deep = tags.is_some_and(|ty| ty.record_depth() > MAX_RECORD_DEPTH);
        if too_deep && entity.member("tags").is_some() {
            return Err(format!("the type of its tags nests records deeper than {MAX_RECORD_DEPTH} levels"));
        }
        let too_deep = |name: &str| {
            let attribute = attributes.attributes.get(name);
            attribute.is_some_and(|attribute| attribute.ty.record_depth() > MAX_RECORD_DEPTH)
        };
        let held = entity.member("attrs").and_then(Datum::members).into_iter().flatten();
        match held.map(|(name, _)| name).find(|name| too_deep(name)) {
            Some(attribute) => Err(format!(
                "the type of `{attribute}` nests records deeper than {MAX_RECORD_DEPTH} levels, too deep for stored entities"
            )),
            None => Ok(()),
        }
    }

    /// The entity, if it is written plainly and fits its type.
    pub(super) fn plain(&self, entity: &Datum) -> Option<Named> {
        let uid = self.plain_uid(entity.member("uid")?)?;
        let (name, _) = type_and_id(entity.member("uid")?)?;
        let shape = self.shapes.get(name)?;
        let attributes = self.members(entity.member("attrs")?.members()?, shape.attributes)?;
        let Datum::List(written) = entity.member("parents")? else { return None };
        let parents: Vec<_> = written.iter().map(|parent| self.plain_uid(parent)).collect::<Option<_>>()?;
        if parents.iter().any(|parent| !shape.parents.contains(parent.type_name())) {
            return None;
        }
        let tags: Vec<_> = match entity.member("tags") {
            Some(tags) => tags
                .members()?
                .iter()
                .map(|(name, value)| Some((SmolStr::new(name), self.value(value, shape.tags?)?)))
                .collect::<Option<_>>()?,
            None => Vec::new(),
        };
        Some((uid, StoredEntity::new(parents, attributes, tags)))
    }

    /// A reference to an entity that can be stored.
    fn plain_uid(&self, datum: &Datum) -> Option<EntityUid> {
        let (name, id) = type_and_id(datum)?;
        let name = self.shapes.get(name)?.name.clone();
        Some(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
    }

    /// Members of a record, all that it must have among them.
    fn members(&self, members: &[(String, Datum)], ty: &RecordType) -> Option<Vec<(SmolStr, CedarValue)>> {
        let values = members.iter().map(|(name, value)| {
            let attribute = ty.attributes.get(name.as_str())?;
            // Cedar's escapes are read before the type is asked.
            if name.starts_with("__") {
                return None;
            }
            Some((attribute.required, (SmolStr::new(name), self.value(value, &attribute.ty)?)))
        });
        let mut present = 0;
        let values = values.map(|value| {
            let (required, member) = value?;
            present += usize::from(required);
            Some(member)
        });
        let values: Vec<_> = values.collect::<Option<_>>()?;
        let required = ty.attributes.values().filter(|attribute| attribute.required).count();
        (present == required).then_some(values)
    }

    fn value(&self, datum: &Datum, ty: &Type) -> Option<CedarValue> {
        match (ty, datum) {
            (Type::Bool, Datum::Bool(value)) => Some(CedarValue::boolean(*value)),
            (Type::Long, Datum::Long(value)) => Some(CedarValue::long(*value)),
            (Type::String, Datum::String(text)) => Some(CedarValue::string(text)),
            (Type::Entity(name), _) => self.reference(datum, name),
            (Type::Set(element), Datum::List(elements)) => {
                let elements = elements.iter().map(|datum| self.value(datum, element));
                Some(CedarValue::set(elements.collect::<Option<Vec<_>>>()?))
            }
            (Type::Record(ty), Datum::Record(members)) => {
                let mut record = CedarRecord::default();
                for (name, value) in self.members(members, ty)? {
                    record.insert(name, value);
                }
                Some(CedarValue::record(record))
            }
            (Type::Decimal, Datum::String(text)) => CedarValue::extension(Extension::Decimal, text).ok(),
            (Type::Ip, Datum::String(text)) => CedarValue::extension(Extension::Ip, text).ok(),
            (Type::Datetime, Datum::String(text)) => CedarValue::extension(Extension::Datetime, text).ok(),
            (Type::Duration, Datum::String(text)) => CedarValue::extension(Extension::Duration, text).ok(),
            _ => None,
        }
    }

    fn reference(&self, datum: &Datum, ty: &EntityTypeName) -> Option<CedarValue> {
        let (name, id) = type_and_id(datum)?;
        if self.catalog.entity_type(name)? != ty {
            return None;
        }
        match self.catalog.entity_kind(ty)? {
            EntityKind::Standard(..) => {}
            EntityKind::Enum(ids) if ids.contains(id) => {}
            EntityKind::Enum(_) | EntityKind::Action => return None,
        }
        Some(CedarValue::entity(&EntityUid::from_type_name_and_id(ty.clone(), EntityId::new(id))))
    }
}

/// `{"type", "id"}`, or that as `__entity`, and nothing else.
fn type_and_id(datum: &Datum) -> Option<(&str, &str)> {
    let members = match datum.members()? {
        [(key, escaped)] if key == "__entity" => escaped.members()?,
        members => members,
    };
    let text = |name: &str| match members.iter().find(|(key, _)| key == name)? {
        (_, Datum::String(text)) => Some(text.as_str()),
        _ => None,
    };
    if members.len() == 2 { Some((text("type")?, text("id")?)) } else { None }
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
