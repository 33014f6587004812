//! A schema's declarations, indexed for requests; and what of them this build cannot serve.

use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use serde_json::Value;
use smol_str::SmolStr;

use super::definitions::Definitions;
use super::disclosures::{self, Unknown};
use super::schema::{EMPTY, Fragment, LoadedSchema};
use crate::engine::catalog::{ActionType, Catalog, Domain, RESERVED, TypedTool};
use crate::engine::cedar::{RecordType, Type, shared_name, types};
use crate::engine::convert::{Converter, Form};
use crate::engine::delegation::Hop;
use crate::engine::disclosure::Disclosures;
use crate::engine::generation::Strictness;
use crate::engine::guard::MAX_VALUE_DEPTH;
use crate::engine::map::{Map, Set};
use crate::engine::problem::{Place, Problem, Report};
use crate::engine::request::RequestLimits;

impl LoadedSchema {
    /// Indexes the schema for requests, reporting what this build cannot serve.
    pub(super) fn catalog(&self, domain: &Domain, definitions: Definitions, report: &mut Report) -> Catalog {
        let names: Vec<EntityTypeName> = self.schema.entity_types().map(shared_name).collect();
        let action_types = self.schema.actions().map(|uid| shared_name(uid.type_name()));
        let mut kinds = Map::default();
        for name in names.into_iter().chain(action_types) {
            match types::entity_kind(&self.schema, &name) {
                Some(kind) => {
                    kinds.insert(name, kind);
                }
                None => report.push(
                    Problem::error(self.first(), format!("entity type `{name}` is declared external"))
                        .help("define it in one of the schema's files"),
                ),
            }
        }
        let types: Map<_, _> =
            kinds.keys().map(|name| (SmolStr::new(name.to_string()), name.clone())).collect();
        let declared = |name: &String| types.get(name.as_str()).cloned();
        let mut catalog = Catalog {
            default_action: domain.action_type().parse().ok(),
            chain_required: domain.chain_required.iter().filter_map(declared).collect(),
            user: declared(&domain.user),
            delegation: None,
            types,
            kinds,
            request_scoped: Set::default(),
            token_scoped: Set::default(),
            actions: Map::default(),
            typed: Map::default(),
            schema: self.schema.clone(),
            domain: domain.clone(),
            strictness: Strictness::Full,
            limits: RequestLimits::default(),
        };
        self.check_domain(&catalog, report);
        catalog.delegation = self.delegation_type(&catalog, report);
        self.add_actions(&mut catalog, definitions, report);
        self.check_chains(&catalog, report);
        self.add_request_scoped(&mut catalog, report);
        self.add_token_scoped(&mut catalog, report);
        catalog
    }

    pub(super) fn first(&self) -> &Place {
        self.fragments.first().map_or(&EMPTY, |fragment| &fragment.place)
    }

    fn add_actions(&self, catalog: &mut Catalog, mut definitions: Definitions, report: &mut Report) {
        let actions = match self.schema.action_entities() {
            Ok(actions) => actions,
            Err(error) => return report.push(Problem::error(self.first(), error.to_string())),
        };
        let uids: Vec<EntityUid> = self.schema.actions().cloned().collect();
        for uid in &uids {
            let ancestors: Set<_> = actions.ancestors(uid).into_iter().flatten().cloned().collect();
            let has_children = uids.iter().any(|other| actions.is_ancestor_of(uid, other) && other != uid);
            if let Some(action) = self.action(catalog, uid, ancestors, has_children, &mut definitions, report)
            {
                if action.tool.is_some() && !catalog.calls_tools(&action) {
                    let message =
                        format!("{uid} is annotated `@tool`, but is not in `{}`", domain_call(catalog));
                    report.push(
                        Problem::error(self.place_of_action(uid), message).help("add `in [call_tool]`"),
                    );
                }
                if let Some(tool) = &action.tool
                    && let Some(twin) = catalog.typed.insert(tool.uid.clone(), uid.clone())
                {
                    let message = format!("{twin} and {uid} are both annotated `@tool` of {}", tool.uid);
                    report.push(
                        Problem::error(self.place_of_action(uid), message)
                            .help("a tool has one typed action"),
                    );
                }
                catalog.actions.insert(uid.clone(), Arc::new(action));
            }
        }
        definitions.report_unclaimed(report);
    }

    /// A name that the schema does not declare would switch off what the engine does for it: an agent of a type
    /// nobody listed needs no delegation. A schema may lack the defaults' types, but not their namespace.
    fn check_domain(&self, catalog: &Catalog, report: &mut Report) {
        let domain = &catalog.domain;
        let defaults = Domain::in_namespace(&domain.namespace);
        let declares = |fragment: &Fragment| {
            let definition = fragment.json.get(&domain.namespace);
            let holds = |kind: &str| {
                definition
                    .and_then(|definition| definition.get(kind)?.as_object())
                    .is_some_and(|map| !map.is_empty())
            };
            holds("entityTypes") || holds("actions")
        };
        if !self.fragments.iter().any(declares) {
            let message = format!("the schema declares nothing in namespace `{}`", domain.namespace);
            report.push(
                Problem::error(self.first(), message).help("set `domain.namespace` in the configuration"),
            );
        }
        let named = domain.chain_required.iter().chain([&domain.user, &domain.tool]);
        let is_default = |name: &String| {
            defaults.chain_required.contains(name) || [&defaults.user, &defaults.tool].contains(&name)
        };
        for name in named.filter(|name| !is_default(name) && !catalog.types.contains_key(name.as_str())) {
            let message = format!("the configured domain names `{name}`, which the schema does not declare");
            report.push(Problem::error(self.first(), message));
        }
        self.check_chain_types(catalog, report);
    }

    /// If no type that needs a chain is declared, every principal but a person is one that nobody thought of.
    fn check_chain_types(&self, catalog: &Catalog, report: &mut Report) {
        let domain = &catalog.domain;
        let declared = domain.chain_required.iter().any(|name| catalog.types.contains_key(name.as_str()));
        if declared || domain.chain_required.is_empty() {
            return;
        }
        let mut others: Vec<_> = self.schema.principals().map(ToString::to_string).collect();
        others.retain(|name| *name != domain.user);
        others.sort();
        others.dedup();
        if !others.is_empty() {
            let message = format!("{} would act without a delegation", others.join(", "));
            report.push(Problem::error(self.first(), message).help(
                "name those that act on somebody's behalf in `domain.chain_required`, or set it to [] if none does",
            ));
        }
    }

    /// Refuses a `context.delegation` that Mandate could not fill: every request would fail, blaming the caller.
    fn check_chains(&self, catalog: &Catalog, report: &mut Report) {
        for action in catalog.actions.values() {
            let Some(chain) = &action.delegation else { continue };
            if let Err(message) = try_chain(catalog, chain) {
                let message = format!("{} cannot be given its delegation: {message}", action.uid);
                report.push(Problem::error(self.place_of_action(&action.uid), message));
            }
        }
    }

    fn typed_tool(
        &self,
        catalog: &Catalog,
        uid: &EntityUid,
        id: &str,
        definitions: &mut Definitions,
        report: &mut Report,
    ) -> Option<TypedTool> {
        if id.is_empty() {
            let message = format!("`@tool` of {uid} names no tool; write `@tool(\"server/tool\")`");
            report.push(Problem::error(self.place_of_action(uid), message));
            return None;
        }
        let Some(tool_type) = catalog.types.get(catalog.domain.tool.as_str()) else {
            let message =
                format!("{uid} is annotated `@tool`, but the schema declares no `{}`", catalog.domain.tool);
            report.push(Problem::error(self.place_of_action(uid), message));
            return None;
        };
        Some(TypedTool {
            uid: EntityUid::from_type_name_and_id(tool_type.clone(), EntityId::new(id)),
            input_schema: definitions.take(id),
        })
    }

    fn action(
        &self,
        catalog: &Catalog,
        uid: &EntityUid,
        ancestors: Set<EntityUid>,
        has_children: bool,
        definitions: &mut Definitions,
        report: &mut Report,
    ) -> Option<ActionType> {
        let Some(context) = types::context_type(&self.schema, uid) else {
            let message = format!("the context of {uid} has a type that requests cannot be converted to");
            report.push(Problem::error(self.place_of_action(uid), message));
            return None;
        };
        let (mut filled, supplied) = split(context);
        let tool = self
            .annotation(uid, "tool")
            .and_then(|id| self.typed_tool(catalog, uid, &id, definitions, report));
        self.mark_input(uid, &mut filled, report);
        self.check_filled(uid, &filled, tool.is_some(), report);
        let disclosures = self.disclosures(uid, report);
        let applies = |types: Option<Vec<EntityTypeName>>| types.into_iter().flatten().collect();
        Some(ActionType {
            principals: applies(self.schema.principals_for_action(uid).map(|types| types.cloned().collect())),
            resources: applies(self.schema.resources_for_action(uid).map(|types| types.cloned().collect())),
            uid: uid.clone(),
            ancestors,
            has_children,
            supplied,
            delegation: delegation(catalog, &filled),
            filled,
            tool,
            disclosures,
        })
    }

    /// Refuses what could never be filled: every request would fail, and the load says why (W8).
    fn check_filled(&self, uid: &EntityUid, filled: &RecordType, typed: bool, report: &mut Report) {
        for (name, attribute) in &filled.attributes {
            let problem = match name.as_str() {
                "now" if attribute.ty != Type::Datetime => Some("must be a datetime"),
                "delegation" if !matches!(attribute.ty, Type::Record(_)) => Some("must be a record"),
                "input" if !typed => {
                    Some("is filled from a tool's arguments: annotate the action with `@tool`")
                }
                "input" if !matches!(attribute.ty, Type::Record(_)) => Some("must be a record"),
                "token" if !matches!(attribute.ty, Type::Record(_)) => Some("must be a record"),
                "token" if attribute.required => {
                    Some("is absent where a request shows no token: make it optional")
                }
                "caller" | "approval" if attribute.required => {
                    Some("is filled by Mandate, which this build does not do yet: make it optional")
                }
                _ => None,
            };
            if let Some(problem) = problem {
                let message = format!("`context.{name}` of {uid} {problem}");
                report.push(Problem::error(self.place_of_action(uid), message));
            }
        }
    }

    /// Finds where `input` is declared, through whatever names stand in between, and reads its annotations.
    fn mark_input(&self, uid: &EntityUid, filled: &mut RecordType, report: &mut Report) {
        let Some(input) = filled.attributes.get_mut("input") else { return };
        let namespace = uid.type_name().namespace();
        let resolve = |declared| self.resolve(&namespace, declared);
        let declared = self.declaration(uid).and_then(|action| {
            let context = resolve(action.pointer("/appliesTo/context")?);
            context.get("attributes")?.get("input")
        });
        match declared {
            Some(declared) => types::mark(&mut input.ty, declared, &resolve),
            None => {
                let message = format!("the declaration of `context.input` of {uid} is not found");
                report.push(Problem::error(self.place_of_action(uid), message));
            }
        }
    }

    /// What the action's context says of what may be told of it.
    fn disclosures(&self, uid: &EntityUid, report: &mut Report) -> Disclosures {
        let namespace = uid.type_name().namespace();
        let resolve = |declared| self.resolve(&namespace, declared);
        let context = self.declaration(uid).and_then(|action| action.pointer("/appliesTo/context"));
        let Some(context) = context else { return Disclosures::default() };
        let mut unknown = Vec::new();
        let found = disclosures::of_type(context, &resolve, &mut unknown);
        for Unknown { path, value } in unknown {
            let message = format!("`@log` of `{path}` of {uid} is \"{value}\"");
            report.push(
                Problem::error(self.place_of_action(uid), message)
                    .help("write `@log(\"clear\")`, `@log(\"masked\")` or `@log(\"hmac\")`"),
            );
        }
        found
    }

    /// What a declaration stands for, if it names common types of its namespace: in any of the files, any times over.
    fn resolve<'a>(&'a self, namespace: &str, mut declared: &'a Value) -> &'a Value {
        for _ in 0..MAX_VALUE_DEPTH {
            let name = match declared.get("type").and_then(Value::as_str) {
                Some("EntityOrCommon") => declared.get("name").and_then(Value::as_str),
                other => other,
            };
            let Some(name) = name else { break };
            let base = name.strip_prefix(namespace).and_then(|rest| rest.strip_prefix("::")).unwrap_or(name);
            let common = |fragment: &'a Fragment| fragment.json.get(namespace)?.get("commonTypes")?.get(base);
            match self.fragments.iter().find_map(common) {
                Some(meant) => declared = meant,
                None => break,
            }
        }
        declared
    }

    /// The action, in the schema's JSON form.
    fn declaration(&self, uid: &EntityUid) -> Option<&Value> {
        let namespace = uid.type_name().namespace();
        self.fragments
            .iter()
            .find_map(|fragment| fragment.json.get(&namespace)?.get("actions")?.get(uid.id().unescaped()))
    }

    fn annotation(&self, uid: &EntityUid, name: &str) -> Option<String> {
        self.declaration(uid)?.get("annotations")?.get(name)?.as_str().map(str::to_owned)
    }

    fn place_of_action(&self, uid: &EntityUid) -> &Place {
        let namespace = uid.type_name().namespace();
        let declares = |fragment: &&Fragment| {
            fragment
                .json
                .get(&namespace)
                .and_then(|definition| definition.get("actions")?.get(uid.id().unescaped()))
                .is_some()
        };
        self.fragments.iter().find(declares).map_or(self.first(), |fragment| &fragment.place)
    }
}

/// Fills a chain with something of everything.
fn try_chain(catalog: &Catalog, chain: &RecordType) -> Result<(), String> {
    if let Some(unknown) = chain.attributes.keys().find(|name| !Hop::MEMBERS.contains(&name.as_str())) {
        return Err(format!("`{unknown}` is nothing that Mandate fills"));
    }
    let some = |name: &String| {
        let declared = catalog.types.get(name.as_str());
        declared.map(|ty| EntityUid::from_type_name_and_id(ty.clone(), EntityId::new("sample")))
    };
    let domain = &catalog.domain;
    let agents: Vec<_> = domain.chain_required.iter().filter_map(some).collect();
    let hop = Hop::sample(some(&domain.user), agents, some(&domain.delegation.type_name));
    let filled = hop.written(chain);
    let is_filled = |name: &str| filled.iter().any(|(member, _)| member == name);
    if chain.attributes.contains_key("role") && !is_filled("role") {
        return Err("`role` must be an entity of a closed set".to_owned());
    }
    // An autonomous agent has no person behind it.
    let alone = Hop { user: None, ..hop };
    let hops = [filled, alone.written(chain)].into_iter().take(if alone.agents.is_empty() { 1 } else { 2 });
    hops.into_iter().try_for_each(|members| {
        let mut converter = Converter::new(catalog, Form::Typed, "context.delegation");
        converter.record(&members, chain).map(drop).map_err(|error| error.to_string())
    })
}

/// What of a chain is told where this is filled in: most actions have the same, which is kept once.
fn delegation(catalog: &Catalog, filled: &RecordType) -> Option<Arc<RecordType>> {
    let Type::Record(declared) = &filled.attributes.get("delegation")?.ty else { return None };
    let mut known = catalog.actions.values().filter_map(|action| action.delegation.as_ref());
    Some(known.find(|known| ***known == *declared).map_or_else(|| Arc::new(declared.clone()), Arc::clone))
}

fn domain_call(catalog: &Catalog) -> String {
    format!("{}::Action::\"{}\"", catalog.domain.namespace, catalog.domain.call_tool)
}

/// Parts a context into what Mandate fills and what callers supply.
fn split(context: RecordType) -> (RecordType, RecordType) {
    let (filled, supplied) =
        context.attributes.into_iter().partition(|(name, _)| RESERVED.contains(&name.as_str()));
    (RecordType { attributes: filled }, RecordType { attributes: supplied })
}
