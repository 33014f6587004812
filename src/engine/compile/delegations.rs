//! Whether the schema declares delegations as the engine reads them: under the names that the configuration gives.

use cedar_policy::EntityTypeName;

use super::schema::LoadedSchema;
use crate::engine::catalog::{Catalog, Domain};
use crate::engine::cedar::{EntityKind, RecordType, Type};
use crate::engine::delegation::names::DelegationNames;
use crate::engine::problem::{Problem, Report};

/// What an attribute of a delegation must be.
#[derive(Debug, Clone, Copy)]
enum Shape<'a> {
    Entity,
    OptionalEntity,
    OptionalOf(&'a EntityTypeName),
    EntitySet,
    ActionSet,
    Datetime,
    Long,
    Text,
}

impl LoadedSchema {
    /// The type of delegations, if the schema declares one, reporting what this build could not read of it: a delegation
    /// that cannot be read would deny every request that shows it.
    pub(super) fn delegation_type(&self, catalog: &Catalog, report: &mut Report) -> Option<EntityTypeName> {
        let names = &catalog.domain.delegation;
        let Some(ty) = catalog.types.get(names.type_name.as_str()) else {
            if names.type_name != Domain::in_namespace(&catalog.domain.namespace).delegation.type_name {
                let message = format!(
                    "`domain.delegation.type` names `{}`, which the schema does not declare",
                    names.type_name
                );
                report.push(Problem::error(self.first(), message));
            }
            return None;
        };
        let place = self.place_of_type(ty);
        match catalog.kinds.get(ty) {
            Some(EntityKind::Standard(record, _)) => {
                for message in misfits(catalog, names, ty, record) {
                    report.push(Problem::error(place, message).help(
                        "delegations are read by the names in `domain.delegation`: correct these, or the schema",
                    ));
                }
            }
            _ => {
                report.push(Problem::error(place, format!("`{ty}` cannot be what delegations are stored as")))
            }
        }
        Some(ty.clone())
    }
}

fn misfits(
    catalog: &Catalog,
    names: &DelegationNames,
    ty: &EntityTypeName,
    record: &RecordType,
) -> Vec<String> {
    let DelegationNames {
        type_name: _,
        from,
        to,
        parent,
        actions,
        scopes,
        data,
        not_before,
        expires,
        max_depth,
        purpose,
    } = names;
    let giver = if from.len() > 1 { Shape::OptionalEntity } else { Shape::Entity };
    let named = [
        ("to", to, Shape::Entity),
        ("parent", parent, Shape::OptionalOf(ty)),
        ("actions", actions, Shape::ActionSet),
        ("not_before", not_before, Shape::Datetime),
        ("expires", expires, Shape::Datetime),
        ("max_depth", max_depth, Shape::Long),
        ("purpose", purpose, Shape::Text),
    ];
    let givers = from.iter().map(|name| ("from", name, giver));
    let sets = scopes.iter().map(|name| ("scopes", name, Shape::EntitySet));
    let mut misfits: Vec<_> = givers
        .chain(sets)
        .chain(named)
        .filter_map(|(key, name, shape)| misfit(catalog, ty, record, key, name, shape))
        .collect();
    if from.is_empty() {
        misfits.push("`domain.delegation.from` names no attribute: nobody could delegate".to_owned());
    }
    if !scopes.contains(data) {
        misfits.push(format!(
            "`domain.delegation.data` names `{data}`, which is none of `domain.delegation.scopes`"
        ));
    }
    misfits
}

fn misfit(
    catalog: &Catalog,
    ty: &EntityTypeName,
    record: &RecordType,
    key: &str,
    name: &str,
    shape: Shape<'_>,
) -> Option<String> {
    let Some(attribute) = record.attributes.get(name) else {
        return Some(format!("`{ty}` has no attribute `{name}`, which `domain.delegation.{key}` names"));
    };
    let is_action = |name: &EntityTypeName| matches!(catalog.kinds.get(name), Some(EntityKind::Action));
    let (fits, wanted) = match (shape, &attribute.ty) {
        (Shape::Entity, ty) => (attribute.required && matches!(ty, Type::Entity(_)), "an entity, required"),
        (Shape::OptionalEntity, ty) => (
            !attribute.required && matches!(ty, Type::Entity(_)),
            "an entity, optional: each has one of them",
        ),
        (Shape::OptionalOf(of), ty) => {
            (!attribute.required && *ty == Type::Entity(of.clone()), "a delegation, optional")
        }
        (Shape::EntitySet, Type::Set(element)) => {
            (attribute.required && matches!(**element, Type::Entity(_)), "a set of entities, required")
        }
        (Shape::ActionSet, Type::Set(element)) => {
            let actions = matches!(&**element, Type::Entity(name) if is_action(name));
            (attribute.required && actions, "a set of actions, required")
        }
        (Shape::EntitySet, _) => (false, "a set of entities, required"),
        (Shape::ActionSet, _) => (false, "a set of actions, required"),
        (Shape::Datetime, ty) => (attribute.required && *ty == Type::Datetime, "a datetime, required"),
        (Shape::Long, ty) => (attribute.required && *ty == Type::Long, "a Long, required"),
        (Shape::Text, ty) => (attribute.required && *ty == Type::String, "a String, required"),
    };
    (!fits).then(|| format!("attribute `{name}` of `{ty}` must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use crate::engine::catalog::Domain;
    use crate::engine::compile::{Options, Sources, compile};
    use crate::engine::problem::SourceFile;

    const DELEGATION: &str = "from_user?: User, from_agent?: Agent, to: Agent, parent?: Delegation,
        actions: Set<Action>, tools: Set<Tool>, toolsets: Set<Tool>, data: Set<Tool>, agents: Set<Agent>,
        servers: Set<Tool>, not_before: datetime, expires: datetime, max_depth: Long, purpose: String";

    /// What is wrong with a schema in which delegations have these attributes, and chains these members.
    fn errors_with(attributes: &str, chain: &str, marks: &str, domain: Domain) -> Vec<String> {
        let schema = format!(
            "namespace Mandate {{
               entity Role enum [\"self\", \"autonomous\", \"delegator\", \"actor\"];
               entity User; entity Agent = {{ autonomous: Bool }}; entity Tool; entity Other;
               {marks} entity Delegation = {{ {attributes} }};
               action call_tool appliesTo {{ principal: [User, Agent], resource: [Tool, Delegation],
                 context: {{ delegation: {{ {chain} }} }} }};
             }}"
        );
        let file =
            |name: &str, text: String| SourceFile { name: name.to_owned(), bytes: text.into_bytes().into() };
        let sources = Sources {
            policies: vec![file("p.cedar", "@id(\"p\") permit (principal, action, resource);".to_owned())],
            schemas: vec![file("s.cedarschema", schema)],
            ..Sources::default()
        };
        let compiled = compile(&sources, &Options { domain, ..Options::default() });
        compiled.err().map_or_else(Vec::new, |report| {
            report.errors().map(|problem| format!("{}: {}", problem.file(), problem.message)).collect()
        })
    }

    fn errors(attributes: &str) -> Vec<String> {
        errors_with(attributes, "role: Role", "", Domain::default())
    }

    #[test]
    fn the_shipped_shape_loads() {
        assert_eq!(errors(DELEGATION), Vec::<String>::new());
    }

    #[test]
    fn every_attribute_must_be_there_and_of_its_type() {
        for (from, to, saying) in [
            ("from_user?: User,", "", "no attribute `from_user`"),
            ("from_user?: User,", "from_user: User,", "`from_user`"),
            ("from_agent?: Agent,", "from_agent?: String,", "`from_agent`"),
            ("to: Agent,", "to?: Agent,", "`to`"),
            ("to: Agent,", "to: Set<Agent>,", "`to`"),
            ("parent?: Delegation,", "parent: Delegation,", "`parent`"),
            ("parent?: Delegation,", "parent?: Tool,", "`parent`"),
            ("actions: Set<Action>,", "actions: Set<Tool>,", "`actions`"),
            ("tools: Set<Tool>,", "tools?: Set<Tool>,", "`tools`"),
            ("servers: Set<Tool>,", "servers: Set<String>,", "`servers`"),
            ("not_before: datetime,", "not_before: Long,", "`not_before`"),
            ("expires: datetime,", "expires?: datetime,", "`expires`"),
            ("max_depth: Long,", "max_depth: String,", "`max_depth`"),
            ("purpose: String", "purpose: Bool", "`purpose`"),
        ] {
            assert!(DELEGATION.contains(from), "{from}");
            let found = errors(&DELEGATION.replacen(from, to, 1));
            let told =
                found.iter().any(|error| error.starts_with("s.cedarschema: ") && error.contains(saying));
            assert!(told, "`{to}`: nothing says {saying}: {found:?}");
        }
    }

    #[test]
    fn a_deployment_names_its_own_parts() {
        let own = DELEGATION.replace("from_user?: User, from_agent?: Agent,", "giver: User,");
        let own = own.replace("toolsets: Set<Tool>, ", "").replace("purpose", "why");
        let mut domain = Domain::default();
        domain.delegation.from = vec!["giver".to_owned()];
        domain.delegation.scopes.retain(|scope| scope != "toolsets");
        domain.delegation.purpose = "why".to_owned();
        assert_eq!(errors_with(&own, "role: Role", "", domain.clone()), Vec::<String>::new());
        assert!(errors(&own).len() >= 3, "under the defaults' names it does not");
        for (change, saying) in [
            ((|d| d.delegation.from.clear()) as fn(&mut Domain), "nobody could delegate"),
            (|d| d.delegation.data = "lake".to_owned(), "none of `domain.delegation.scopes`"),
            (|d| d.delegation.type_name = "Mandate::Grant".to_owned(), "does not declare"),
            (
                |d| d.delegation.type_name = "Mandate::Role".to_owned(),
                "cannot be what delegations are stored as",
            ),
        ] {
            let mut wrong = domain.clone();
            change(&mut wrong);
            let found = errors_with(&own, "role: Role", "", wrong);
            assert!(found.iter().any(|error| error.contains(saying)), "nothing says {saying}: {found:?}");
        }
    }

    #[test]
    fn a_chain_that_could_not_be_told_to_policies_is_refused() {
        for (chain, loads) in [
            ("role: Role, user?: User, agents: Set<Agent>, grants: Set<Delegation>", true),
            ("role: Role, user: User", false),
            ("role: Role, agents: Set<Tool>", false),
            ("role: Role, grants: Set<Tool>", false),
            ("role: Role, boss: User", false),
        ] {
            let found = errors_with(DELEGATION, chain, "", Domain::default());
            assert_eq!(found.is_empty(), loads, "{chain}: {found:?}");
            assert!(loads || found[0].contains("cannot be given its delegation"), "{chain}: {found:?}");
        }
    }

    #[test]
    fn no_request_brings_a_delegation_and_no_token_what_is_no_principal() {
        for (mark, saying) in
            [("@request_scoped", "a tool or a delegation"), ("@token_scoped", "no action has it")]
        {
            let found = errors_with(DELEGATION, "role: Role", mark, Domain::default());
            assert!(found.iter().any(|error| error.contains(saying)), "{mark}: {found:?}");
        }
    }
}
