//! Policies by the thousand: what their scopes cover, kept so that candidates can be counted without any engine.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::population::{self, Kind, LEVELS, Population, REGIONS, ROLES, TAGS, pick};
use crate::requests::{Action, Asked, LABELS, PURPOSES};

/// What all dice begin with. Under some others the one person of the smallest set is allowed nearly everything.
const SEED: u64 = 7_000_000;

/// Dice for one thing out of many, the same in every run.
pub(crate) fn dice(number: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(SEED ^ number)
}

/// A policy before it is text.
#[derive(Debug)]
pub(crate) struct Policy {
    effect: &'static str,
    principal: Side,
    action: Actions,
    resource: Side,
    condition: String,
}

/// What a scope says of the principal or the resource, by number.
#[derive(Debug, Clone, Copy)]
enum Side {
    Any,
    Is(Kind),
    Equal(usize),
    In(usize),
    /// `principal is User in …`
    UserIn(usize),
}

/// What a scope says of the action.
#[derive(Debug, Clone, Copy)]
enum Actions {
    Any,
    Equal(Action),
    ReadOrWrite,
    Change,
}

/// What a policy's scope is compared with: a request, and everything it is in.
#[derive(Debug)]
pub(crate) struct Covered<'a> {
    asked: &'a Asked,
    groups: Vec<usize>,
    folders: Vec<usize>,
    kind: Option<Kind>,
}

impl<'a> Covered<'a> {
    pub(crate) fn new(asked: &'a Asked, population: &Population) -> Self {
        Self {
            asked,
            groups: population.groups_of(asked.user),
            folders: population.folders_of(asked.resource),
            kind: population.resources.get(asked.resource).map(|resource| resource.kind),
        }
    }

    fn principal(&self, side: Side) -> bool {
        match side {
            Side::Any => true,
            Side::Is(_) => false,
            Side::Equal(user) => self.asked.user == user,
            Side::In(group) | Side::UserIn(group) => self.groups.contains(&group),
        }
    }

    fn resource(&self, side: Side) -> bool {
        match side {
            Side::Any => true,
            Side::Is(kind) => self.kind == Some(kind),
            Side::Equal(resource) => self.asked.resource == resource,
            Side::In(folder) => self.folders.contains(&folder),
            Side::UserIn(_) => false,
        }
    }

    fn action(&self, actions: Actions) -> bool {
        let action = self.asked.action;
        match actions {
            Actions::Any => true,
            Actions::Equal(named) => named == action,
            Actions::ReadOrWrite => matches!(action, Action::Read | Action::Write),
            Actions::Change => matches!(action, Action::Write | Action::Erase),
        }
    }
}

/// What forbids whatever else is permitted, in every set.
const GLOBAL: [&str; 3] = [
    "!context.mfa && resource.level > 3",
    // About a fifth of all requests: whoever is asked about most, some are denied.
    "context.untrusted && !resource.tags.contains(\"public\")",
    "!context.mfa && !context.ip.isInRange(ip(\"10.0.0.0/8\")) && !context.ip.isInRange(ip(\"192.168.0.0/16\"))",
];

/// So many policies: three global forbids; of the others 40 % name principal and resource, 25 % a group and a folder, 15 %
/// a group and a type, 10 % a group's people and a resource, 10 % forbid a group something in a folder.
pub(crate) fn mixed(count: usize, population: &Population) -> Vec<Policy> {
    let global = GLOBAL.into_iter().map(|condition| Policy {
        effect: "forbid",
        principal: Side::Any,
        action: Actions::Any,
        resource: Side::Any,
        condition: condition.to_owned(),
    });
    let mut policies: Vec<_> = global.collect();
    let others = count.saturating_sub(policies.len());
    let mut nodes = Nodes::shuffled(population, &mut dice(u64::MAX));
    // Shares are exact in every twenty, so that small sets have them too.
    const TURNS: [fn(&Population, &mut Nodes, &mut Xoshiro256PlusPlus) -> Policy; 20] = [
        direct, shared, direct, typed, direct, shared, direct, forbid, members, direct, shared, direct,
        typed, direct, shared, direct, forbid, members, shared, typed,
    ];
    // Dice of its own for each policy: beside more entities the same policies say the same of the same groups.
    for (number, policy) in (0..).zip(TURNS.iter().cycle().take(others)) {
        policies.push(policy(population, &mut nodes, &mut dice(number)));
    }
    policies
}

/// So many permits whose scopes say nothing.
pub(crate) fn scopeless(count: usize) -> Vec<Policy> {
    let one = |number| Policy {
        effect: "permit",
        principal: Side::Any,
        action: Actions::Any,
        resource: Side::Any,
        condition: rare(&mut dice(number)),
    };
    (0..).take(count).map(one).collect()
}

/// Groups, each in its turn: left to chance, some would have several policies of a small set and most none.
struct Nodes {
    shuffled: Vec<usize>,
    dealt: usize,
}

impl Nodes {
    fn shuffled(population: &Population, random: &mut Xoshiro256PlusPlus) -> Self {
        let mut shuffled: Vec<_> = (0..population.groups.len()).collect();
        shuffled.shuffle(random);
        Self { shuffled, dealt: 0 }
    }

    fn next(&mut self) -> usize {
        let node = self.shuffled.get(self.dealt % self.shuffled.len().max(1)).copied();
        self.dealt += 1;
        node.unwrap_or(0)
    }
}

/// A person and something the person works with.
fn direct(population: &Population, _nodes: &mut Nodes, random: &mut Xoshiro256PlusPlus) -> Policy {
    let (user, resource) = working_pair(population, random);
    permit(Side::Equal(user), Side::Equal(resource), random)
}

/// A group and the folder it has.
fn shared(_population: &Population, nodes: &mut Nodes, random: &mut Xoshiro256PlusPlus) -> Policy {
    let node = nodes.next();
    permit(Side::In(node), Side::In(node), random)
}

fn typed(_population: &Population, nodes: &mut Nodes, random: &mut Xoshiro256PlusPlus) -> Policy {
    let kind = if random.random_bool(0.5) { Kind::Document } else { Kind::Table };
    permit(Side::In(nodes.next()), Side::Is(kind), random)
}

/// The people of a group, and something that one of them works with.
fn members(population: &Population, _nodes: &mut Nodes, random: &mut Xoshiro256PlusPlus) -> Policy {
    let (user, resource) = working_pair(population, random);
    let groups = population.groups_of(user);
    let group = groups.get(random.random_range(0..groups.len().max(1))).copied().unwrap_or(0);
    permit(Side::UserIn(group), Side::Equal(resource), random)
}

fn forbid(population: &Population, nodes: &mut Nodes, random: &mut Xoshiro256PlusPlus) -> Policy {
    let policy = shared(population, nodes, random);
    Policy { effect: "forbid", condition: [atom(random), atom(random), rare(random)].join(" && "), ..policy }
}

fn working_pair(population: &Population, random: &mut Xoshiro256PlusPlus) -> (usize, usize) {
    let user = random.random_range(0..population.users.len());
    let own = population.own(user);
    let any = random.random_range(0..population.resources.len());
    let resource = own.get(random.random_range(0..own.len().max(1))).copied().unwrap_or(any);
    (user, resource)
}

fn permit(principal: Side, resource: Side, random: &mut Xoshiro256PlusPlus) -> Policy {
    let action = match random.random_range(0..100) {
        0..20 => Actions::Equal(Action::Read),
        20..30 => Actions::Equal(Action::Write),
        30..70 => Actions::ReadOrWrite,
        70..80 => Actions::Change,
        _ => Actions::Any,
    };
    let condition = match random.random_range(0..50) {
        // Overflows for whoever is cleared for more than level 1.
        0 => "principal.clearance * 5000000000000000000 >= resource.level".to_owned(),
        1..25 => format!("{} && {}", atom(random), atom(random)),
        _ => format!("{} && {} && {}", atom(random), atom(random), atom(random)),
    };
    Policy { effect: "permit", principal, action, resource, condition }
}

/// Something that about half of the requests fulfil.
fn atom(random: &mut Xoshiro256PlusPlus) -> String {
    let level = random.random_range(1..LEVELS);
    match random.random_range(0..11) {
        0 => "context.mfa".to_owned(),
        1 => "principal.clearance >= resource.level".to_owned(),
        2 => format!("(principal == resource.owner || principal.clearance >= {level})"),
        3 => format!("resource.level < {level}"),
        4 => {
            let [one, other] = [pick(&TAGS, random), pick(&TAGS, random)];
            format!("(resource.tags.contains(\"{one}\") || !resource.tags.contains(\"{other}\"))")
        }
        5 => format!("[\"{}\", \"eu\", \"us\"].contains(principal.region)", pick(&REGIONS, random)),
        6 => format!("context.now < datetime(\"2027-0{level}-01T00:00:00Z\")"),
        7 => "context.now.durationSince(context.issued) <= duration(\"8h\")".to_owned(),
        8 => format!("context.ip.isInRange(ip(\"10.{}.0.0/9\"))", 128 * random.random_range(0..2)),
        9 => format!("context.purpose like \"{}*\"", pick(&PURPOSES, random)),
        _ => "resource.owner.region == principal.region".to_owned(),
    }
}

/// Something that few requests fulfil.
fn rare(random: &mut Xoshiro256PlusPlus) -> String {
    let [label, role] = [pick(&LABELS, random), pick(&ROLES, random)];
    format!("context.labels.contains(\"{label}\") && principal.roles.contains(\"{role}\")")
}

impl Policy {
    /// Whether the scope covers a request.
    pub(crate) fn covers(&self, request: &Covered<'_>) -> bool {
        request.action(self.action) && request.principal(self.principal) && request.resource(self.resource)
    }

    /// The policy as Cedar reads it. None if it names what there is not.
    pub(crate) fn text(&self, id: &str, population: &Population) -> Option<String> {
        let principal = match self.principal {
            Side::Any | Side::Is(_) => "principal".to_owned(),
            Side::Equal(user) => format!("principal == {}", population::user(user).cedar()),
            Side::In(group) => format!("principal in {}", population::group(group).cedar()),
            Side::UserIn(group) => {
                format!("principal is Mandate::User in {}", population::group(group).cedar())
            }
        };
        let resource = match self.resource {
            Side::Any | Side::UserIn(_) => "resource".to_owned(),
            Side::Is(kind) => format!("resource is {}", kind.type_name()),
            Side::Equal(resource) => format!("resource == {}", population.name(resource)?.cedar()),
            Side::In(folder) => format!("resource in {}", population::folder(folder).cedar()),
        };
        let (effect, action, condition) = (self.effect, self.action.text(), &self.condition);
        Some(format!("@id(\"{id}\")\n{effect} ({principal}, {action}, {resource}) when {{ {condition} }};\n"))
    }
}

impl Actions {
    fn text(self) -> String {
        let name = |id: &str| format!("Mandate::Action::\"{id}\"");
        match self {
            Self::Any => "action".to_owned(),
            Self::Equal(action) => format!("action == {}", name(action.id())),
            Self::ReadOrWrite => format!("action in [{}, {}]", name("read"), name("write")),
            Self::Change => format!("action in {}", name("change")),
        }
    }
}
