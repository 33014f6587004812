//! A world that grows with the number of policies: so many kinds of things, each with policies of its own.
//!
//! A person may see or approve a thing if a role of theirs has been given it for things of that kind, their clearance reaches its
//! level, the amount stays below its limit, and it is their own or their department's.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::Attempt;
use crate::world::{
    Cedarling, CerbosFile, Members, Name, Policy, Question, Told, World, half_allowed, members, pick,
};

const NAME: &str = "scaling";
const ROLES: usize = 20;
const ROLES_OF_A_PERSON: usize = 6;
const DEPARTMENTS: usize = 6;
const PEOPLE: usize = 100;
/// Most things; with more kinds than that, not every kind has one, and its policies only have to be passed by.
const MOST_THINGS: usize = 400;
const LEVELS: i64 = 4;
const LIMIT: i64 = 1_000_000;
const ACTIONS: [&str; 2] = ["view", "approve"];

const SCHEMA: &str = r#"namespace Mandate {
  entity Role;
  entity User in [Role] = { clearance: Long, department: String };
  entity Kind;
  entity Item in [Kind] = { level: Long, limit: Long, owner: User, department: String };
  action view, approve appliesTo { principal: [User], resource: [Item], context: { amount: Long, note?: String } };
}
"#;

const FLAT_SCHEMA: &str = r#"namespace Mandate {
  entity User = { name: String, clearance: Long, department: String, roles: Set<String> };
  entity Item = { kind: String, level: Long, limit: Long, owner: String, department: String };
  action view, approve appliesTo { principal: [User], resource: [Item], context: { amount: Long } };
}
"#;

/// How large the world is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) policies: usize,
    /// Policies whose scope covers the same thing.
    pub(crate) of_a_kind: usize,
}

#[derive(Debug)]
struct Person {
    id: String,
    roles: Vec<usize>,
    clearance: i64,
    department: usize,
}

#[derive(Debug)]
struct Thing {
    id: String,
    kind: usize,
    level: i64,
    owner: usize,
    department: usize,
}

/// The role that a kind's policy of this number is about.
fn role_of(kind: usize, policy: usize) -> usize {
    (kind * 7 + policy * 3) % ROLES
}

/// The world of this size; the same always.
///
/// # Errors
/// A defect.
pub(crate) fn world(size: Size) -> Attempt<World> {
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(7);
    let kinds = size.policies.div_ceil(size.of_a_kind);
    let people: Vec<_> = (0..PEOPLE).map(|number| person(number, &mut dice)).collect();
    let things = kinds.min(MOST_THINGS);
    let things: Vec<_> =
        (0..things).map(|number| thing(number, number * kinds / things, &mut dice)).collect();
    let numbered = (0..size.policies).map(|number| (number / size.of_a_kind, number % size.of_a_kind));
    Ok(World {
        name: NAME,
        schema: SCHEMA.to_owned(),
        policies: numbered.clone().map(|(kind, number)| policy(kind, number)).collect(),
        entities: entities(kinds, &people, &things),
        shipped: None,
        cerbos: Ok((0..kinds).map(|kind| cerbos_file(kind, size)).collect()),
        cedarling: Ok(Cedarling {
            schema: FLAT_SCHEMA.to_owned(),
            policies: numbered.map(|(kind, number)| flat_policy(kind, number)).collect(),
        }),
        old_cedar: Ok(()),
        questions: half_allowed(|| draw(size, &people, &things, &mut dice))?,
        never_twice: false,
    })
}

/// The same world and answers, every question about an amount of its own: no answer was given before.
///
/// # Errors
/// A defect.
pub(crate) fn never_twice(mut world: World, count: usize) -> Attempt<World> {
    let mut questions = Vec::with_capacity(count);
    for number in 0..count {
        let mut question = world.turn(number)?.clone();
        let amount = question.context.get("amount").and_then(serde_json::Value::as_i64).unwrap_or_default();
        // An amount on the other side of the limit would have another answer.
        let fresh = if amount > LIMIT { LIMIT + 1 } else { 0 } + i64::try_from(number)?;
        question.context.insert("amount".to_owned(), json!(fresh));
        question.told.resource.insert("amount".to_owned(), json!(fresh));
        questions.push(question);
    }
    world.questions = questions;
    world.never_twice = true;
    Ok(world)
}

/// A change of policies after which the first question is denied.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) before: Changed,
    pub(crate) after: Changed,
}

/// Policies on one side of a change: all of them, and where only what differs is told, that.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) all: Vec<Policy>,
    pub(crate) group: Vec<Policy>,
    pub(crate) cerbos: CerbosFile,
}

/// The change, for a world of this file whose questions can be asked again: of the first question's kind a level is asked for that nobody reaches.
pub(crate) fn change(world: &World) -> Option<Change> {
    if world.name != NAME || world.never_twice {
        return None;
    }
    let kind = &world.questions.first()?.told.kind;
    let file = world.cerbos.as_ref().ok()?.iter().find(|file| file.name == format!("{kind}.yaml"))?;
    let side = |policies: Vec<Policy>, text: String| Changed {
        group: policies.iter().filter(|policy| policy.group == *kind).cloned().collect(),
        all: policies,
        cerbos: CerbosFile { name: file.name.clone(), text },
    };
    let mut tight = world.policies.clone();
    for policy in tight.iter_mut().filter(|policy| policy.group == *kind) {
        policy.text = policy.text.replace("resource.level &&", "resource.level + 1000 &&");
    }
    let tight_file = file.text.replace("R.attr.level &&", "R.attr.level + 1000.0 &&");
    Some(Change { before: side(world.policies.clone(), file.text.clone()), after: side(tight, tight_file) })
}

fn person(number: usize, dice: &mut Xoshiro256PlusPlus) -> Person {
    let first = dice.random_range(0..ROLES);
    Person {
        id: format!("user-{number}"),
        roles: (0..ROLES_OF_A_PERSON).map(|step| (first + step * 3) % ROLES).collect(),
        clearance: dice.random_range(0..LEVELS),
        department: dice.random_range(0..DEPARTMENTS),
    }
}

fn thing(number: usize, kind: usize, dice: &mut Xoshiro256PlusPlus) -> Thing {
    Thing {
        id: format!("item-{number}"),
        kind,
        level: dice.random_range(0..LEVELS),
        owner: dice.random_range(0..PEOPLE),
        department: dice.random_range(0..DEPARTMENTS),
    }
}

fn policy(kind: usize, number: usize) -> Policy {
    let role = role_of(kind, number);
    let text = format!(
        r#"@id("kind-{kind}-{number}")
permit (
  principal in Mandate::Role::"role-{role}",
  action in [Mandate::Action::"view", Mandate::Action::"approve"],
  resource in Mandate::Kind::"kind-{kind}"
)
when {{ principal.clearance >= resource.level && context.amount <= resource.limit }}
when {{ resource.owner == principal || resource.department == principal.department }};
"#
    );
    Policy { id: format!("kind-{kind}-{number}"), group: format!("kind-{kind}"), text }
}

fn flat_policy(kind: usize, number: usize) -> Policy {
    let role = role_of(kind, number);
    let text = format!(
        r#"@id("kind-{kind}-{number}")
permit (principal, action in [Mandate::Action::"view", Mandate::Action::"approve"], resource)
when {{ resource.kind == "kind-{kind}" && principal.roles.contains("role-{role}") }}
when {{ principal.clearance >= resource.level && context.amount <= resource.limit }}
when {{ resource.owner == principal.name || resource.department == principal.department }};
"#
    );
    Policy { id: format!("kind-{kind}-{number}"), group: format!("kind-{kind}-{number}"), text }
}

fn cerbos_file(kind: usize, size: Size) -> CerbosFile {
    let mut text = format!(
        "apiVersion: api.cerbos.dev/v1\nresourcePolicy:\n  resource: kind-{kind}\n  version: default\n  rules:\n"
    );
    for number in 0..size.of_a_kind.min(size.policies - kind * size.of_a_kind) {
        let role = role_of(kind, number);
        text += &format!(
            r"    - actions: [view, approve]
      effect: EFFECT_ALLOW
      roles: [role-{role}]
      condition:
        match:
          all:
            of:
              - expr: P.attr.clearance >= R.attr.level && R.attr.amount <= R.attr.limit
              - expr: R.attr.owner == P.id || R.attr.department == P.attr.department
"
        );
    }
    CerbosFile { name: format!("kind-{kind}.yaml"), text }
}

fn role_name(role: usize) -> String {
    format!("role-{role}")
}

fn department(number: usize) -> String {
    format!("department-{number}")
}

fn entities(kinds: usize, people: &[Person], things: &[Thing]) -> Vec<serde_json::Value> {
    let bare = |name: Name| name.entity(json!({}), &[]);
    let roles = (0..ROLES).map(|role| bare(Name::new("Role", role_name(role))));
    let kinds = (0..kinds).map(|kind| bare(Name::new("Kind", format!("kind-{kind}"))));
    let people = people.iter().map(|person| {
        let roles: Vec<_> = person.roles.iter().map(|&role| Name::new("Role", role_name(role))).collect();
        let attributes = json!({"clearance": person.clearance, "department": department(person.department)});
        Name::new("User", &person.id).entity(attributes, &roles)
    });
    let things = things.iter().map(|thing| {
        let owner = Name::new("User", format!("user-{}", thing.owner)).reference();
        let attributes = json!({
            "level": thing.level, "limit": LIMIT, "owner": owner, "department": department(thing.department),
        });
        Name::new("Item", &thing.id).entity(attributes, &[Name::new("Kind", format!("kind-{}", thing.kind))])
    });
    roles.chain(kinds).chain(people).chain(things).collect()
}

fn draw(size: Size, people: &[Person], things: &[Thing], dice: &mut Xoshiro256PlusPlus) -> Attempt<Question> {
    let (person, thing, action) = (pick(dice, people)?, pick(dice, things)?, pick(dice, &ACTIONS)?);
    Ok(question(size, person, thing, action, dice.random_range(0..LIMIT * 5 / 4)))
}

fn question(size: Size, person: &Person, thing: &Thing, action: &str, amount: i64) -> Question {
    let numbers = 0..size.of_a_kind.min(size.policies - thing.kind * size.of_a_kind);
    let own = format!("user-{}", thing.owner) == person.id;
    let allowed = numbers.into_iter().any(|number| person.roles.contains(&role_of(thing.kind, number)))
        && person.clearance >= thing.level
        && amount <= LIMIT
        && (own || thing.department == person.department);
    Question {
        principal: Name::new("User", &person.id),
        action: action.to_owned(),
        resource: Name::new("Item", &thing.id),
        context: members([("amount", json!(amount))]),
        arguments: None,
        delegation: None,
        allowed,
        told: Told {
            roles: person.roles.iter().map(|&role| role_name(role)).collect(),
            principal: told_of(person),
            kind: format!("kind-{}", thing.kind),
            resource: members([
                ("amount", json!(amount)),
                ("level", json!(thing.level)),
                ("limit", json!(LIMIT)),
                ("owner", json!(format!("user-{}", thing.owner))),
                ("department", json!(department(thing.department))),
            ]),
        },
    }
}

fn told_of(person: &Person) -> Members {
    members([("clearance", json!(person.clearance)), ("department", json!(department(person.department)))])
}
