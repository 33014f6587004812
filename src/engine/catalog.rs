//! What the schema declares, indexed for requests: entity types, actions, and which typed action is whose.

use std::fmt;
use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};
use smol_str::SmolStr;

use super::cedar::{EntityKind, RecordType, Type};
use super::datum::Reference;
use super::delegation::names::DelegationNames;
use super::disclosure::Disclosures;
use super::generation::Strictness;
use super::map::{Map, Set};
use super::request::{InvalidRequest, RequestLimits};

/// Context members that Mandate fills; a request that sets one is refused (C5).
pub const RESERVED: [&str; 6] = ["now", "token", "delegation", "caller", "approval", "input"];

/// Longest entity id, in bytes.
pub const MAX_ID_BYTES: usize = 1024;
/// Longest entity type name, in bytes.
pub const MAX_TYPE_BYTES: usize = 1024;

/// Names by which the engine knows the agent domain. A deployment with its own schema sets its own.
#[derive(Clone, PartialEq, Eq)]
pub struct Domain {
    /// Namespace of an action whose type a request leaves empty (C8).
    pub namespace: String,
    /// Type of people: the user at a chain's root.
    pub user: String,
    /// Types that act only on somebody's behalf, unless stored as autonomous (D7).
    pub chain_required: Vec<String>,
    /// Boolean attribute that lets one of them act alone.
    pub autonomous: String,
    /// Type of tools.
    pub tool: String,
    /// Id of the action that calls a tool.
    pub call_tool: String,
    /// What delegations are called, and their parts.
    pub delegation: DelegationNames,
}

impl Domain {
    /// The shipped domain's names, in a namespace.
    pub fn in_namespace(namespace: &str) -> Self {
        let name = |base: &str| within(namespace, base);
        Self {
            namespace: namespace.to_owned(),
            user: name("User"),
            chain_required: vec![name("Agent")],
            autonomous: "autonomous".to_owned(),
            tool: name("Tool"),
            call_tool: "call_tool".to_owned(),
            delegation: DelegationNames::of_type(name("Delegation")),
        }
    }
}

impl Domain {
    /// Type of an action whose type a request leaves empty (C8).
    pub fn action_type(&self) -> String {
        self.in_own_namespace("Action")
    }

    /// A type of the domain's namespace.
    pub fn in_own_namespace(&self, base: &str) -> String {
        within(&self.namespace, base)
    }
}

fn within(namespace: &str, base: &str) -> String {
    if namespace.is_empty() { base.to_owned() } else { format!("{namespace}::{base}") }
}

/// Names a generation, with the rest of its options: names of delegations that are the namespace's own leave no trace, for
/// a generation is called what it was before there were any.
impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, user, chain_required, autonomous, tool, call_tool, delegation } = self;
        let mut shown = f.debug_struct("Domain");
        shown.field("namespace", namespace).field("user", user).field("chain_required", chain_required);
        shown.field("autonomous", autonomous).field("tool", tool).field("call_tool", call_tool);
        if *delegation != Self::in_namespace(namespace).delegation {
            shown.field("delegation", delegation);
        }
        shown.finish()
    }
}

impl Default for Domain {
    fn default() -> Self {
        Self::in_namespace("Mandate")
    }
}

/// The schema, indexed.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// The schema itself.
    pub schema: Schema,
    /// The names the engine gives meaning to.
    pub domain: Domain,
    /// How much is asked of requests.
    pub strictness: Strictness,
    /// How much they may hold.
    pub limits: RequestLimits,
    /// Type of an action whose type a request leaves empty (C8).
    pub(super) default_action: Option<EntityTypeName>,
    /// The declared ones of those that act only on somebody's behalf (D7).
    pub(super) chain_required: Vec<EntityTypeName>,
    /// Type of people, if it is declared.
    pub(super) user: Option<EntityTypeName>,
    /// Type of delegations, if it is declared.
    pub(super) delegation: Option<EntityTypeName>,
    pub(super) types: Map<SmolStr, EntityTypeName>,
    pub(super) kinds: Map<EntityTypeName, EntityKind>,
    pub(super) request_scoped: Set<EntityTypeName>,
    pub(super) token_scoped: Set<EntityTypeName>,
    pub(super) actions: Map<EntityUid, Arc<ActionType>>,
    pub(super) typed: Map<EntityUid, EntityUid>,
}

/// An action, as the schema declares it.
#[derive(Debug)]
pub struct ActionType {
    /// Its name.
    pub uid: EntityUid,
    /// Types of principal it applies to.
    pub principals: Set<EntityTypeName>,
    /// Types of resource it applies to.
    pub resources: Set<EntityTypeName>,
    /// Actions it is in, at any distance.
    pub ancestors: Set<EntityUid>,
    /// Whether other actions are in it.
    pub has_children: bool,
    /// Its context, less what Mandate fills.
    pub supplied: RecordType,
    /// Types of the members that Mandate fills, where declared.
    pub filled: RecordType,
    /// What of a chain Mandate tells, where the action's context declares it. Of equal ones there is one.
    pub delegation: Option<Arc<RecordType>>,
    /// The tool this action types, and how its arguments are checked.
    pub tool: Option<TypedTool>,
    /// What of its context the decision log may tell.
    pub disclosures: Disclosures,
}

/// What makes an action a tool's own (C7).
#[derive(Debug)]
pub struct TypedTool {
    /// The tool, by the action's `@tool`.
    pub uid: EntityUid,
    /// The tool's own JSON Schema, where its definition is on file.
    pub input_schema: Option<InputSchema>,
}

/// A tool's JSON Schema for its arguments.
#[derive(Debug)]
pub struct InputSchema {
    /// As the tool's server states it.
    pub source: serde_json::Value,
    /// Whether it holds references, which may refer to themselves.
    pub refers: bool,
    /// Compiled.
    pub validator: jsonschema::Validator,
}

impl ActionType {
    /// An action of which nothing is known but its name.
    pub(super) fn bare(uid: EntityUid) -> Self {
        Self {
            uid,
            principals: Set::default(),
            resources: Set::default(),
            ancestors: Set::default(),
            has_children: false,
            supplied: RecordType::default(),
            filled: RecordType::default(),
            delegation: None,
            tool: None,
            disclosures: Disclosures::default(),
        }
    }

    /// Whether it applies to a principal and a resource of these types.
    pub fn applies_to(&self, principal: &EntityUid, resource: &EntityUid) -> bool {
        self.principals.contains(principal.type_name()) && self.resources.contains(resource.type_name())
    }

    /// The element type of `touches`, if the action has such a set of entities.
    pub fn touches(&self) -> Option<&EntityTypeName> {
        match &self.supplied.attributes.get("touches")?.ty {
            Type::Set(element) => match &**element {
                Type::Entity(name) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Catalog {
    /// The schema that stored entities must fit; none where none was given, which only the language alone allows.
    pub fn entity_schema(&self) -> Option<&Schema> {
        let declares = !self.kinds.is_empty();
        (declares || self.strictness == Strictness::Full).then_some(&self.schema)
    }

    /// What entities of a type are.
    pub fn entity_kind(&self, name: &EntityTypeName) -> Option<&EntityKind> {
        self.kinds.get(name)
    }

    /// The action of that name.
    pub fn action(&self, uid: &EntityUid) -> Option<&Arc<ActionType>> {
        self.actions.get(uid)
    }

    /// Every action, in no order.
    pub fn actions(&self) -> impl Iterator<Item = &Arc<ActionType>> {
        self.actions.values()
    }

    /// Whether requests may supply entities of this type.
    pub fn is_request_scoped(&self, name: &EntityTypeName) -> bool {
        self.request_scoped.contains(name)
    }

    /// Whether a token may stand in for a principal of this type that is not stored (D8).
    pub fn is_token_scoped(&self, name: &EntityTypeName) -> bool {
        self.token_scoped.contains(name)
    }

    /// Type of delegations, if the schema declares it.
    pub fn delegation_type(&self) -> Option<&EntityTypeName> {
        self.delegation.as_ref()
    }

    /// Whether principals of this type act only on somebody's behalf, unless they are stored as autonomous (D7).
    pub fn requires_chain(&self, name: &EntityTypeName) -> bool {
        self.chain_required.contains(name)
    }

    /// Whether an action is the one that calls tools, or in it.
    pub fn calls_tools(&self, action: &ActionType) -> bool {
        self.is_call_tool(&action.uid) || action.ancestors.iter().any(|uid| self.is_call_tool(uid))
    }

    fn is_call_tool(&self, uid: &EntityUid) -> bool {
        let name = uid.type_name();
        uid.id().unescaped() == self.domain.call_tool
            && name.basename() == "Action"
            && name.namespace() == self.domain.namespace
    }

    /// Every tool that has a typed action, with the action.
    pub fn typed_tools(&self) -> impl Iterator<Item = (&EntityUid, &EntityUid)> {
        self.typed.iter()
    }

    /// The action that types a tool.
    pub fn typed_action(&self, tool: &EntityUid) -> Option<&Arc<ActionType>> {
        self.typed.get(tool).and_then(|action| self.actions.get(action))
    }

    /// The type of that name, if the schema declares it.
    pub fn entity_type(&self, name: &str) -> Option<&EntityTypeName> {
        self.types.get(name)
    }

    /// The entity a reference names. Its type need not be declared: an undeclared one is never stored.
    ///
    /// # Errors
    /// [`InvalidRequest`] at `field` if the type is no type name or either part is too long.
    pub fn uid(&self, reference: &Reference, field: &str) -> Result<EntityUid, InvalidRequest> {
        check_length(&reference.type_name, MAX_TYPE_BYTES, format_args!("{field}.type"))?;
        check_length(&reference.id, MAX_ID_BYTES, format_args!("{field}.id"))?;
        let type_name = match self.types.get(reference.type_name.as_str()) {
            Some(name) => name.clone(),
            None => parse_type(&reference.type_name, format_args!("{field}.type"))?,
        };
        Ok(EntityUid::from_type_name_and_id(type_name, EntityId::new(&reference.id)))
    }

    /// The action a reference names; an empty type means the default namespace's `Action` (C8).
    ///
    /// # Errors
    /// [`InvalidRequest`] if the schema declares no such action.
    pub fn action_named(&self, reference: &Reference) -> Result<&Arc<ActionType>, InvalidRequest> {
        let uid = match &self.default_action {
            Some(default) if reference.type_name.is_empty() => {
                check_length(&reference.id, MAX_ID_BYTES, "action.id")?;
                EntityUid::from_type_name_and_id(default.clone(), EntityId::new(&reference.id))
            }
            _ => self.uid(reference, "action")?,
        };
        self.actions.get(&uid).ok_or_else(|| {
            InvalidRequest::field("action", format!("the schema declares no action {uid}{}", self.near(&uid)))
        })
    }

    fn near(&self, unknown: &EntityUid) -> String {
        let wanted = unknown.id().unescaped();
        let near = self.actions.keys().find(|uid| uid.id().unescaped().eq_ignore_ascii_case(wanted));
        near.map_or_else(String::new, |uid| format!("; it declares {uid}"))
    }
}

/// Refuses a text over its limit.
///
/// # Errors
/// [`InvalidRequest`] at `field`, naming size and limit.
pub(super) fn check_length(text: &str, limit: usize, field: impl fmt::Display) -> Result<(), InvalidRequest> {
    if text.len() <= limit {
        return Ok(());
    }
    let size = text.len();
    Err(InvalidRequest::field(field.to_string(), format!("is {size} bytes long; the limit is {limit}")))
}

fn parse_type(text: &str, field: impl fmt::Display) -> Result<EntityTypeName, InvalidRequest> {
    if text.is_empty() {
        return Err(InvalidRequest::field(field.to_string(), "is empty; it must be a qualified type name"));
    }
    text.parse().map_err(|_error| {
        InvalidRequest::field(
            field.to_string(),
            format!("`{}` is not a type name such as `Mandate::Agent`", text.escape_debug()),
        )
    })
}
