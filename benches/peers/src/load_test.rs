//! The shape of the load test that Cerbos publishes: units of eight policies, of which one derives roles and seven are about
//! records of employees.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::Attempt;
use crate::world::{CerbosFile, Name, Policy, Question, Told, World, half_allowed, members, pick};

const RECORDS: [&str; 7] = ["leave", "expense", "travel", "review", "training", "equipment", "salary"];
const PLACES: [&str; 4] = ["GB", "US", "DE", "IN"];
const STATES: [&str; 2] = ["PENDING_APPROVAL", "DRAFT"];
const ACTIONS: [&str; 4] = ["create", "view", "view:public", "approve"];
const PEOPLE: usize = 100;
/// Most records that exist.
const MOST_RECORDS: usize = 400;

const SCHEMA: &str = r#"namespace Mandate {
  entity Role;
  entity User in [Role] = { geography: String, manages: String };
  entity Kind;
  entity Record in [Kind] = { owner: User, geography: String, status: String };
  action "create", "view", "view:public", "approve" appliesTo { principal: [User], resource: [Record], context: {} };
}
"#;

#[derive(Debug)]
struct Person {
    name: Name,
    roles: Vec<&'static str>,
    geography: &'static str,
    manages: &'static str,
}

#[derive(Debug)]
struct Record {
    name: Name,
    kind: String,
    owner: Name,
    geography: &'static str,
    status: &'static str,
}

/// So many units.
///
/// # Errors
/// A defect.
pub(crate) fn world(units: usize) -> Attempt<World> {
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(17);
    let kinds: Vec<_> =
        (0..units).flat_map(|unit| RECORDS.map(|record| format!("{record}_{unit}"))).collect();
    let people: Vec<_> = (0..PEOPLE).map(|number| person(number, &mut dice)).collect::<Attempt<_>>()?;
    let records = kinds.len().min(MOST_RECORDS);
    let records: Vec<_> =
        (0..records).map(|number| record(number, &kinds, &people, &mut dice)).collect::<Attempt<_>>()?;
    let derived = (0..units).map(derived_roles);
    let resources = (0..units).flat_map(|unit| RECORDS.map(|record| resource_policy(record, unit)));
    Ok(World {
        name: "cerbos load test",
        schema: SCHEMA.to_owned(),
        policies: kinds.iter().flat_map(|kind| policies(kind)).collect(),
        entities: entities(&kinds, &people, &records),
        shipped: None,
        cerbos: Ok(derived.chain(resources).collect()),
        cedarling: Err("measured by the workload that scales"),
        old_cedar: Ok(()),
        questions: half_allowed(|| question(&people, &records, &mut dice))?,
        never_twice: false,
    })
}

fn person(number: usize, dice: &mut Xoshiro256PlusPlus) -> Attempt<Person> {
    let mut roles = vec!["employee"];
    roles.extend(number.is_multiple_of(3).then_some("manager"));
    roles.extend(number.is_multiple_of(20).then_some("admin"));
    let geography = *pick(dice, &PLACES)?;
    let manages = if dice.random_bool(0.7) { geography } else { *pick(dice, &PLACES)? };
    Ok(Person { name: Name::new("User", format!("user-{number}")), roles, geography, manages })
}

fn record(
    number: usize,
    kinds: &[String],
    people: &[Person],
    dice: &mut Xoshiro256PlusPlus,
) -> Attempt<Record> {
    Ok(Record {
        name: Name::new("Record", format!("record-{number}")),
        kind: pick(dice, kinds)?.clone(),
        owner: pick(dice, people)?.name.clone(),
        geography: pick(dice, &PLACES)?,
        status: pick(dice, &STATES)?,
    })
}

fn policies(kind: &str) -> [Policy; 4] {
    let scoped = |id: &str, role: &str, action: &str, condition: &str| {
        let id = format!("{kind}-{id}");
        let text = format!(
            "@id(\"{id}\")\npermit (principal in Mandate::Role::\"{role}\", {action}, resource in Mandate::Kind::\"{kind}\"){condition};\n"
        );
        Policy { id, group: kind.to_owned(), text }
    };
    [
        scoped("admin", "admin", "action", ""),
        scoped(
            "own",
            "employee",
            "action in [Mandate::Action::\"create\", Mandate::Action::\"view\"]",
            "\nwhen { resource.owner == principal }",
        ),
        scoped("public", "employee", "action == Mandate::Action::\"view:public\"", ""),
        scoped(
            "approve",
            "manager",
            "action == Mandate::Action::\"approve\"",
            "\nwhen { resource.geography == principal.geography && resource.geography == principal.manages }\nwhen { resource.status == \"PENDING_APPROVAL\" }",
        ),
    ]
}

fn derived_roles(unit: usize) -> CerbosFile {
    let text = format!(
        "apiVersion: api.cerbos.dev/v1
derivedRoles:
  name: unit_{unit}
  definitions:
    - name: owner
      parentRoles: [employee]
      condition:
        match:
          expr: R.attr.owner == P.id
    - name: any_employee
      parentRoles: [employee]
    - name: direct_manager
      parentRoles: [manager]
      condition:
        match:
          all:
            of:
              - expr: R.attr.geography == P.attr.geography
              - expr: R.attr.geography == P.attr.manages
"
    );
    CerbosFile { name: format!("unit_{unit}.yaml"), text }
}

fn resource_policy(record: &str, unit: usize) -> CerbosFile {
    let text = format!(
        "apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: {record}_{unit}
  version: default
  importDerivedRoles: [unit_{unit}]
  rules:
    - actions: [\"*\"]
      effect: EFFECT_ALLOW
      roles: [admin]
    - actions: [create, view]
      effect: EFFECT_ALLOW
      derivedRoles: [owner]
    - actions: [\"view:public\"]
      effect: EFFECT_ALLOW
      derivedRoles: [any_employee]
    - actions: [approve]
      effect: EFFECT_ALLOW
      derivedRoles: [direct_manager]
      condition:
        match:
          expr: R.attr.status == \"PENDING_APPROVAL\"
"
    );
    CerbosFile { name: format!("{record}_{unit}.yaml"), text }
}

fn entities(kinds: &[String], people: &[Person], records: &[Record]) -> Vec<Value> {
    let roles = ["employee", "manager", "admin"].map(|role| Name::new("Role", role).entity(json!({}), &[]));
    let kinds = kinds.iter().map(|kind| Name::new("Kind", kind).entity(json!({}), &[]));
    let people = people.iter().map(|Person { name, roles, geography, manages }| {
        let roles: Vec<_> = roles.iter().map(|role| Name::new("Role", *role)).collect();
        name.entity(json!({"geography": geography, "manages": manages}), &roles)
    });
    let records = records.iter().map(|Record { name, kind, owner, geography, status }| {
        let attributes = json!({"owner": owner.reference(), "geography": geography, "status": status});
        name.entity(attributes, &[Name::new("Kind", kind)])
    });
    roles.into_iter().chain(kinds).chain(people).chain(records).collect()
}

fn question(people: &[Person], records: &[Record], dice: &mut Xoshiro256PlusPlus) -> Attempt<Question> {
    let (person, record, action) = (pick(dice, people)?, pick(dice, records)?, *pick(dice, &ACTIONS)?);
    let allowed = person.roles.contains(&"admin")
        || match action {
            "view:public" => true,
            "approve" => {
                person.roles.contains(&"manager")
                    && record.geography == person.geography
                    && record.geography == person.manages
                    && record.status == "PENDING_APPROVAL"
            }
            _ => record.owner.id == person.name.id,
        };
    Ok(Question {
        principal: person.name.clone(),
        action: action.to_owned(),
        resource: record.name.clone(),
        context: members([]),
        arguments: None,
        delegation: None,
        allowed,
        told: Told {
            roles: person.roles.iter().map(|role| (*role).to_owned()).collect(),
            principal: members([("geography", json!(person.geography)), ("manages", json!(person.manages))]),
            kind: record.kind.clone(),
            resource: members([
                ("owner", json!(record.owner.id)),
                ("geography", json!(record.geography)),
                ("status", json!(record.status)),
            ]),
        },
    })
}
