//! A request, understood: names resolved, values converted, ready to decide.

mod language;

use std::sync::Arc;

use cedar_policy::EntityUid;
use jsonschema::paths::LocationSegment;

use super::catalog::{ActionType, Catalog, RESERVED, TypedTool};
use super::cedar::{CedarRecord, CedarValue, Type};
use super::convert::{Converter, Form};
use super::datum::Datum;
use super::delegation::shown::Shown;
use super::generation::Strictness;
use super::guard::{MAX_REFERRING_DEPTH, MAX_VALUE_DEPTH};
use super::request::{AuthzRequest, InvalidRequest};
use super::supplied::{self, Supplied};
use super::token;
use super::unknown::Unknown;
use super::world::World;

/// A request as one world understands it.
#[derive(Debug)]
pub struct Question {
    /// Who acts.
    pub principal: EntityUid,
    /// What it does; a tool's typed action where it has one.
    pub action: Arc<ActionType>,
    /// To what.
    pub resource: EntityUid,
    /// What the caller asserts, converted.
    pub context: CedarRecord,
    /// Every entity the caller referred to.
    pub references: Vec<EntityUid>,
    /// In which role the principal acts, once that is told: an entity, which must exist like anything else.
    pub role: Option<EntityUid>,
    /// Entities the caller supplied.
    pub supplied: Supplied,
    /// What the caller says that the call touches, without what that is in.
    pub touched: Vec<EntityUid>,
    /// On whose behalf the principal acts, as far as the caller shows it.
    pub shown: Shown,
    /// What of the context nobody knows. Of a question that is decided for somebody, nothing.
    pub unknown: Unknown,
}

impl Question {
    /// Understands a request.
    ///
    /// # Errors
    /// [`InvalidRequest`] at the first field that cannot be.
    pub fn of(world: &World, request: &AuthzRequest) -> Result<Self, InvalidRequest> {
        Self::with_unknown(world, request, &Unknown::default())
    }

    /// Understands a request of which not everything is known: for searches alone, which ask what could be allowed.
    ///
    /// # Errors
    /// As [`Question::of`].
    pub(super) fn with_unknown(
        world: &World,
        request: &AuthzRequest,
        unknown: &Unknown,
    ) -> Result<Self, InvalidRequest> {
        let catalog = &world.generation.catalog;
        if catalog.strictness != Strictness::Full {
            return Self::in_language(world, request);
        }
        let shown = Shown::of(catalog, request)?;
        let principal = shown.actor(catalog, &request.principal)?;
        let resource = catalog.uid(&request.resource, "resource")?;
        let asked = catalog.action_named(&request.action)?;
        let action = deciding_action(catalog, asked, &resource)?;
        let unknown = unknown.of_action(&action, request);
        let (mut context, mut references) = convert_context(catalog, &action, request, &unknown)?;
        if !unknown.covers_input()
            && let Some(input) = convert_arguments(catalog, &action, asked, request)?
        {
            context.insert("input", CedarValue::record(input));
        }
        token::fill(catalog, &action, &mut context, request.subject.as_deref())?;
        let touched = close_touches(world, &action, &mut context);
        let mut supplied = supplied::build(world, &request.entities)?;
        if let Some(subject) = request.subject.as_deref() {
            supplied.stand_in(world, subject)?;
        }
        references.extend(supplied.references.iter().cloned());
        let role = None;
        Ok(Self { principal, action, resource, context, references, role, supplied, touched, shown, unknown })
    }
}

/// The action that a request is decided by.
///
/// # Errors
/// [`InvalidRequest`] if its action or resource cannot be.
pub(super) fn decided_by(
    catalog: &Catalog,
    request: &AuthzRequest,
) -> Result<Arc<ActionType>, InvalidRequest> {
    let resource = catalog.uid(&request.resource, "resource")?;
    deciding_action(catalog, catalog.action_named(&request.action)?, &resource)
}

/// A tool that has a typed action is decided by it, whatever the caller named (C7).
pub(super) fn deciding_action(
    catalog: &Catalog,
    asked: &Arc<ActionType>,
    resource: &EntityUid,
) -> Result<Arc<ActionType>, InvalidRequest> {
    let refuse = |message: String| Err(InvalidRequest::field("action", message));
    if let Some(TypedTool { uid, .. }) = &asked.tool
        && uid != resource
    {
        return refuse(format!("{} is the action of {uid}, not of {resource}", asked.uid));
    }
    match catalog.typed_action(resource) {
        Some(typed) if asked.uid == typed.uid || typed.ancestors.contains(&asked.uid) => {
            Ok(Arc::clone(typed))
        }
        Some(typed) if catalog.calls_tools(asked) => {
            refuse(format!("{resource} is called by its typed action {}", typed.uid))
        }
        _ => Ok(Arc::clone(asked)),
    }
}

fn convert_context(
    catalog: &Catalog,
    action: &ActionType,
    request: &AuthzRequest,
    unknown: &Unknown,
) -> Result<(CedarRecord, Vec<EntityUid>), InvalidRequest> {
    let size: usize = request.context.iter().map(|(name, value)| name.len() + value.size()).sum();
    let limit = catalog.limits.context_bytes;
    if size > limit {
        let message = format!("is {size} bytes large; the limit is {limit} (`limits.context_bytes`)");
        return Err(InvalidRequest::field("context", message));
    }
    if let Some((name, _)) = request.context.iter().find(|(name, _)| RESERVED.contains(&name.as_str())) {
        let message = "is filled by Mandate and must not be supplied";
        return Err(InvalidRequest::field(format!("context.{name}"), message));
    }
    let mut converter = Converter::new(catalog, request.context_form, "context");
    let context = converter.record(&request.context, &unknown.left_out_of(&action.supplied))?;
    Ok((context, converter.references))
}

fn convert_arguments(
    catalog: &Catalog,
    action: &ActionType,
    asked: &ActionType,
    request: &AuthzRequest,
) -> Result<Option<CedarRecord>, InvalidRequest> {
    let arguments = request.arguments.as_ref();
    let mut converter = Converter::new(catalog, Form::Arguments, "arguments");
    let Some(tool) = &action.tool else {
        let Some(arguments) = arguments else { return Ok(None) };
        if !catalog.calls_tools(asked) {
            let message = format!("are for tool calls; {} takes none", asked.uid);
            return Err(InvalidRequest::field("arguments", message));
        }
        return converter.check_arguments(arguments, MAX_VALUE_DEPTH).map(|()| None);
    };
    // Absent arguments are not empty ones: a caller that does not forward them would switch off what reads them.
    let Some(arguments) = arguments else {
        let message =
            format!("are required: {} is decided by its arguments; a call without any sends {{}}", tool.uid);
        return Err(InvalidRequest::field("arguments", message));
    };
    converter.check_arguments(arguments, tool.max_depth())?;
    tool.check(arguments)?;
    match (arguments, action.filled.attributes.get("input").map(|input| &input.ty)) {
        (Datum::Record(members), Some(Type::Record(ty))) => converter.record(members, ty).map(Some),
        _ => Ok(None),
    }
}

impl TypedTool {
    /// Deepest nesting of the tool's arguments. A schema that refers to itself can make checking exponential in the
    /// depth of a value.
    fn max_depth(&self) -> usize {
        let refers = self.input_schema.as_ref().is_some_and(|schema| schema.refers);
        if refers { MAX_REFERRING_DEPTH } else { MAX_VALUE_DEPTH }
    }

    /// Checks arguments against the tool's own JSON Schema: what Cedar's types cannot say (enums, bounds, patterns).
    fn check(&self, arguments: &Datum) -> Result<(), InvalidRequest> {
        let Some(schema) = &self.input_schema else { return Ok(()) };
        schema.validator.validate(&arguments.to_json()).map_err(|error| {
            let path: String = error.instance_path().into_iter().map(step).collect();
            InvalidRequest::field(
                format!("arguments{path}"),
                format!("does not fit the tool's schema: {error}"),
            )
        })
    }
}

/// A step of a JSON Schema error's path, as conversion writes it.
fn step(segment: LocationSegment<'_>) -> String {
    match segment {
        LocationSegment::Property(name) => format!(".{name}"),
        LocationSegment::Index(index) => format!("[{index}]"),
    }
}

/// Adds to `context.touches` everything its members are in, so that `containsAny` sees ancestors (C7). Gives back what the
/// members were.
fn close_touches(world: &World, action: &ActionType, context: &mut CedarRecord) -> Vec<EntityUid> {
    if action.touches().is_none() {
        return Vec::new();
    }
    let Some(elements) = context.get("touches").and_then(|touches| touches.elements()) else {
        return Vec::new();
    };
    let touched: Vec<_> = elements.iter().filter_map(CedarValue::as_entity).collect();
    let stored = touched.iter().filter_map(|uid| world.prepared(uid));
    let above: Vec<_> =
        stored.flat_map(|prepared| prepared.built.ancestors().cloned().collect::<Vec<_>>()).collect();
    if !above.is_empty() {
        let closed = elements.into_iter().chain(above.iter().map(CedarValue::entity));
        context.insert("touches", CedarValue::set(closed));
    }
    touched
}
