//! A principal's place in a chain, and what policies see of it.

use cedar_policy::{EntityId, EntityUid};
use smol_str::SmolStr;

use crate::engine::catalog::Catalog;
use crate::engine::cedar::{BuiltEntity, CedarRecord, CedarValue, RecordType, Type};
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::{Denial, ReasonCode};

/// The part a principal plays in its chain (D6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Acts for itself, and is no agent.
    Itself,
    /// An agent that acts with nobody behind it.
    Autonomous,
    /// Handed its authority on.
    Delegator,
    /// Acts on authority it was handed.
    Actor,
}

impl Role {
    /// The name policies see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Itself => "self",
            Self::Autonomous => "autonomous",
            Self::Delegator => "delegator",
            Self::Actor => "actor",
        }
    }

    /// The role of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Itself, Self::Autonomous, Self::Delegator, Self::Actor]
            .into_iter()
            .find(|role| role.as_str() == name)
    }
}

/// One principal's place in a chain: `context.delegation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The part it plays.
    pub role: Role,
    /// Its place; 0 is the root.
    pub hop: i64,
    /// How many grants the chain has.
    pub length: i64,
    /// The person at the root, where there is one.
    pub user: Option<EntityUid>,
    /// Every agent in the chain.
    pub agents: Vec<EntityUid>,
    /// The chain's grants.
    pub grants: Vec<EntityUid>,
    /// The grants' purposes.
    pub purposes: Vec<SmolStr>,
}

/// What policies see of a hop. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `context.delegation`.
    pub record: CedarRecord,
    /// The role in it, which must exist like anything that is referred to.
    pub role: Option<EntityUid>,
}

impl Hop {
    /// The only hop of a request that shows no chain.
    ///
    /// # Errors
    /// The [`Denial`] `chain_required`, for a principal whose type acts only on somebody's behalf, unless it is
    /// stored as autonomous (D7).
    pub fn alone(
        catalog: &Catalog,
        principal: &EntityUid,
        stored: Option<&BuiltEntity>,
    ) -> Result<Self, Denial> {
        let type_name = principal.type_name();
        let is_agent = catalog.requires_chain(type_name);
        let autonomous = || {
            let stored = stored.and_then(|stored| stored.members().attribute(&catalog.domain.autonomous));
            stored.and_then(CedarValue::as_boolean) == Some(true)
        };
        if is_agent && !autonomous() {
            let message = format!("{principal} acts on somebody's behalf, and no delegation was shown");
            return Err(Denial::new(ReasonCode::ChainRequired, message));
        }
        Ok(Self {
            role: if is_agent { Role::Autonomous } else { Role::Itself },
            hop: 0,
            length: 0,
            user: (catalog.user.as_ref() == Some(type_name)).then(|| principal.clone()),
            agents: if is_agent { vec![principal.clone()] } else { Vec::new() },
            grants: Vec::new(),
            purposes: Vec::new(),
        })
    }

    /// Names of everything that policies may see of a hop.
    pub const MEMBERS: [&str; 7] = ["role", "hop", "length", "user", "agents", "grants", "purposes"];

    /// A hop with something of everything, to try a schema with.
    pub fn sample(user: Option<EntityUid>, agents: Vec<EntityUid>, grant: Option<EntityUid>) -> Self {
        Self {
            role: Role::Itself,
            hop: 0,
            length: 0,
            user,
            agents,
            grants: grant.into_iter().collect(),
            purposes: vec![SmolStr::default()],
        }
    }

    /// The hop as policies see it: the members that the schema declares. Built directly, for every decision has one;
    /// that the types are those declared was tried when the schema was loaded, with [`Hop::sample`].
    pub fn record(&self, declared: &RecordType) -> CedarRecord {
        let mut record = CedarRecord::default();
        for (name, attribute) in &declared.attributes {
            if let Some(value) = self.value(name, &attribute.ty) {
                record.insert(name.clone(), value);
            }
        }
        record
    }

    /// What policies see of a request's only hop.
    pub fn seen(&self, declared: &RecordType) -> Seen {
        Seen { record: self.record(declared), role: self.role_entity(declared) }
    }

    /// What policies see of this place, made from the record of another place of the same chain, of which the rest is the same.
    pub fn seen_in(&self, other: &CedarRecord, declared: &RecordType) -> Seen {
        let mut record = other.clone();
        for name in Self::OF_PLACE {
            let attribute = declared.attributes.get(name);
            if let Some(value) = attribute.and_then(|attribute| self.value(name, &attribute.ty)) {
                record.insert(name, value);
            }
        }
        Seen { record, role: self.role_entity(declared) }
    }

    /// What differs from place to place.
    const OF_PLACE: [&str; 2] = ["role", "hop"];

    fn value(&self, name: &str, ty: &Type) -> Option<CedarValue> {
        let entities = |uids: &[EntityUid]| CedarValue::set(uids.iter().map(CedarValue::entity));
        match (name, ty) {
            ("role", ty) => self.role_of(ty).as_ref().map(CedarValue::entity),
            ("hop", _) => Some(CedarValue::long(self.hop)),
            ("length", _) => Some(CedarValue::long(self.length)),
            ("user", _) => self.user.as_ref().map(CedarValue::entity),
            ("agents", _) => Some(entities(&self.agents)),
            ("grants", _) => Some(entities(&self.grants)),
            ("purposes", _) => Some(CedarValue::set(self.purposes.iter().map(CedarValue::text))),
            _ => None,
        }
    }

    /// Every member of the chain, for whom nobody else vouches where a hop is only said to be one.
    pub fn members(&self) -> impl Iterator<Item = EntityUid> {
        self.user.iter().chain(&self.agents).chain(&self.grants).cloned()
    }

    /// The role is an entity: usually of a closed set, but a schema may store roles, and policies follow them.
    fn role_entity(&self, declared: &RecordType) -> Option<EntityUid> {
        declared.attributes.get("role").and_then(|role| self.role_of(&role.ty))
    }

    fn role_of(&self, ty: &Type) -> Option<EntityUid> {
        let Type::Entity(role) = ty else { return None };
        Some(EntityUid::from_type_name_and_id(role.clone(), EntityId::new(self.role.as_str())))
    }

    /// The hop as a caller would write it, for conversion to the types the schema declares.
    pub fn written(&self, declared: &RecordType) -> Vec<(String, Datum)> {
        let members = declared
            .attributes
            .iter()
            .filter_map(|(name, attribute)| Some((name.to_string(), self.member(name, &attribute.ty)?)));
        members.collect()
    }

    fn member(&self, name: &str, ty: &Type) -> Option<Datum> {
        match (name, ty) {
            ("role", Type::Entity(role)) => {
                Some(Datum::Entity(Reference::new(role.to_string(), self.role.as_str())))
            }
            ("hop", _) => Some(Datum::Long(self.hop)),
            ("length", _) => Some(Datum::Long(self.length)),
            ("user", _) => self.user.as_ref().map(reference),
            ("agents", _) => Some(Datum::List(self.agents.iter().map(reference).collect())),
            ("grants", _) => Some(Datum::List(self.grants.iter().map(reference).collect())),
            ("purposes", _) => Some(Datum::List(
                self.purposes.iter().map(|purpose| Datum::String(purpose.to_string())).collect(),
            )),
            _ => None,
        }
    }
}

fn reference(uid: &EntityUid) -> Datum {
    Datum::Entity(Reference::new(uid.type_name().to_string(), uid.id().unescaped()))
}
