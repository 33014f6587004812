//! A policy's scope: in Cedar's public types for the index, and part by part for explanations.

use cedar_policy::{EntityTypeName, EntityUid};
use cedar_policy_core::ast::{self, ActionConstraint, EntityReference, PrincipalOrResourceConstraint};
use ref_cast::RefCast as _;

use super::entities::BuiltEntity;
use super::policy::{CompiledPolicy, Scope, ScopePart};

/// What a scope asks of the principal or the resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PartyScope {
    /// Nothing.
    Any,
    /// To be of a type.
    Is(EntityTypeName),
    /// To be this one.
    Eq(EntityUid),
    /// To be this one or in it.
    In(EntityUid),
    /// To be of a type, and this one or in it.
    IsIn(EntityTypeName, EntityUid),
    /// What nothing fulfils: a slot that is not filled.
    Never,
}

/// What a scope asks of the action.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ActionScope {
    /// Nothing.
    Any,
    /// To be this one.
    Eq(EntityUid),
    /// To be one of these or in one of them.
    In(Vec<EntityUid>),
}

/// Which actions and which types of parties a policy may cover, as far as its scope says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reach<'p> {
    action: &'p ActionConstraint,
    principal: Option<&'p ast::EntityType>,
    resource: Option<&'p ast::EntityType>,
}

impl<'p> Reach<'p> {
    /// The actions that are named, each of which stands for all that are in it; none if any action is covered.
    pub fn actions(&self) -> Option<impl Iterator<Item = &'p EntityUid>> {
        let named = match self.action {
            ActionConstraint::Any => return None,
            ActionConstraint::Eq(uid) => std::slice::from_ref(uid),
            ActionConstraint::In(uids) => uids.as_slice(),
        };
        Some(named.iter().map(|uid| EntityUid::ref_cast(uid)))
    }

    /// Whether parties of these types may be covered.
    pub fn allows(&self, principal: &EntityTypeName, resource: &EntityTypeName) -> bool {
        let is = |asked: Option<&ast::EntityType>, name: &EntityTypeName| {
            asked.is_none_or(|asked| asked == AsRef::<ast::EntityType>::as_ref(name))
        };
        is(self.principal, principal) && is(self.resource, resource)
    }
}

impl CompiledPolicy {
    /// Which requests the scope may cover.
    pub fn reach(&self) -> Reach<'_> {
        let Scope { principal, action, resource } = &self.scope;
        Reach { action, principal: type_asked(principal), resource: type_asked(resource) }
    }

    /// What the scope asks of the principal.
    pub fn principal_scope(&self) -> PartyScope {
        party(&self.scope.principal)
    }

    /// What the scope asks of the resource.
    pub fn resource_scope(&self) -> PartyScope {
        party(&self.scope.resource)
    }

    /// What the scope asks of the action.
    pub fn action_scope(&self) -> ActionScope {
        let public = |uid: &cedar_policy_core::ast::EntityUID| uid.clone().into();
        match &self.scope.action {
            ActionConstraint::Any => ActionScope::Any,
            ActionConstraint::Eq(uid) => ActionScope::Eq(public(uid)),
            ActionConstraint::In(uids) => ActionScope::In(uids.iter().map(|uid| public(uid)).collect()),
        }
    }
}

/// The one type that a party must be of, if there is one: what is in an entity may be of any type.
fn type_asked(constraint: &PrincipalOrResourceConstraint) -> Option<&ast::EntityType> {
    use PrincipalOrResourceConstraint as Constraint;
    match constraint {
        Constraint::Is(name) | Constraint::IsIn(name, _) => Some(name),
        Constraint::Eq(EntityReference::EUID(uid)) => Some(uid.entity_type()),
        Constraint::Any | Constraint::In(_) | Constraint::Eq(EntityReference::Slot(_)) => None,
    }
}

fn party(constraint: &PrincipalOrResourceConstraint) -> PartyScope {
    use PrincipalOrResourceConstraint as Constraint;
    let filled = |reference: &EntityReference| match reference {
        EntityReference::EUID(uid) => Some(EntityUid::from(uid.as_ref().clone())),
        EntityReference::Slot(_) => None,
    };
    let scope = match constraint {
        Constraint::Any => Some(PartyScope::Any),
        Constraint::Is(name) => Some(PartyScope::Is(name.as_ref().clone().into())),
        Constraint::Eq(target) => filled(target).map(PartyScope::Eq),
        Constraint::In(target) => filled(target).map(PartyScope::In),
        Constraint::IsIn(name, target) => {
            filled(target).map(|uid| PartyScope::IsIn(name.as_ref().clone().into(), uid))
        }
    };
    scope.unwrap_or(PartyScope::Never)
}

/// The parties of one request, each with the entity it is, if there is one.
#[derive(Debug, Clone, Copy)]
pub struct Scoped<'a> {
    /// Who acts.
    pub principal: (&'a EntityUid, Option<&'a BuiltEntity>),
    /// What it does.
    pub action: (&'a EntityUid, Option<&'a BuiltEntity>),
    /// To what.
    pub resource: (&'a EntityUid, Option<&'a BuiltEntity>),
}

impl Scoped<'_> {
    /// How many parts of a policy's scope do not hold.
    pub fn failing(&self, policy: &CompiledPolicy) -> usize {
        let parts = [ScopePart::Principal, ScopePart::Action, ScopePart::Resource];
        parts.into_iter().filter(|part| !self.holds(policy, *part)).count()
    }

    pub(super) fn holds(&self, policy: &CompiledPolicy, part: ScopePart) -> bool {
        let scope = &policy.scope;
        match part {
            ScopePart::Principal => matches(self.principal, &scope.principal),
            ScopePart::Resource => matches(self.resource, &scope.resource),
            ScopePart::Action => match &scope.action {
                ActionConstraint::Any => true,
                ActionConstraint::Eq(uid) => is(self.action.0, uid),
                ActionConstraint::In(uids) => uids.iter().any(|uid| within(self.action, uid)),
            },
        }
    }
}

fn matches(party: (&EntityUid, Option<&BuiltEntity>), constraint: &PrincipalOrResourceConstraint) -> bool {
    use PrincipalOrResourceConstraint as Constraint;
    let of_type = |name: &ast::EntityType| AsRef::<ast::EntityType>::as_ref(party.0.type_name()) == name;
    match constraint {
        Constraint::Any => true,
        Constraint::Eq(EntityReference::EUID(target)) => is(party.0, target),
        Constraint::In(EntityReference::EUID(target)) => within(party, target),
        Constraint::Is(name) => of_type(name),
        Constraint::IsIn(name, EntityReference::EUID(target)) => of_type(name) && within(party, target),
        // An unfilled slot: only in a template, which is never evaluated.
        Constraint::Eq(_) | Constraint::In(_) | Constraint::IsIn(..) => false,
    }
}

fn is(uid: &EntityUid, target: &ast::EntityUID) -> bool {
    AsRef::<ast::EntityUID>::as_ref(uid) == target
}

fn within((uid, entity): (&EntityUid, Option<&BuiltEntity>), target: &ast::EntityUID) -> bool {
    is(uid, target) || entity.is_some_and(|entity| entity.is_in(EntityUid::ref_cast(target)))
}
