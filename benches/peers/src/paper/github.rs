//! Repositories of organizations, and people who are in teams and permissions.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use serde_json::{Value, json};

use super::{FEW, Graph, MANY, Texts, asked, numbered, some};
use crate::Attempt;
use crate::world::{Members, Name, Question, World, half_allowed, pick};

/// A repository's permissions, each with what it lets do besides what those before it do.
const LEVELS: [(&str, &str); 5] = [
    ("readers", "read"),
    ("triagers", "triage"),
    ("writers", "write"),
    ("maintainers", "maintain"),
    ("admins", "admin"),
];
/// Those that its organization has as well.
const OF_OWNERS: [&str; 3] = ["readers", "writers", "admins"];

const TEXTS: Texts = Texts {
    name: "github",
    schema: include_str!("../../worlds/github.cedarschema"),
    policies: include_str!("../../worlds/github.cedar"),
    cerbos: include_str!("../../worlds/github.yaml"),
};

struct Site {
    users: Vec<Name>,
    teams: Vec<Name>,
    permissions: Vec<Name>,
    repositories: Vec<Name>,
    organizations: Vec<Name>,
    owners: BTreeMap<String, Name>,
    graph: Graph,
}

/// The application.
///
/// # Errors
/// A defect.
pub(super) fn world() -> Attempt<World> {
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(12);
    let site = Site::new(&mut dice)?;
    let questions = half_allowed(|| site.question(&mut dice))?;
    Ok(TEXTS.world(site.entities(), questions))
}

fn permission(of: &Name, level: &str) -> Name {
    Name::new("Permission", format!("{}-{level}", of.id))
}

impl Site {
    fn new(dice: &mut Xoshiro256PlusPlus) -> Attempt<Self> {
        let (users, teams) = (numbered("User", MANY), numbered("Team", FEW));
        let (repositories, organizations) = (numbered("Repository", MANY), numbered("Organization", FEW));
        let of_repositories =
            repositories.iter().flat_map(|repository| LEVELS.map(|(level, _)| permission(repository, level)));
        let of_organizations =
            organizations.iter().flat_map(|owner| OF_OWNERS.map(|level| permission(owner, level)));
        let permissions: Vec<_> = of_repositories.chain(of_organizations).collect();
        let mut graph = Graph::default();
        for (number, team) in teams.iter().enumerate() {
            let above = teams.get(..number).unwrap_or_default();
            graph.put(team, [some(dice, above), some(dice, &permissions)].concat());
        }
        for user in &users {
            graph.put(user, [some(dice, &teams), some(dice, &permissions)].concat());
        }
        let mut owners = BTreeMap::new();
        for repository in &repositories {
            owners.insert(repository.id.clone(), pick(dice, &organizations)?.clone());
        }
        Ok(Self { users, teams, permissions, repositories, organizations, owners, graph })
    }

    fn entities(&self) -> Vec<Value> {
        let of = |name: &Name, levels: &[&str]| -> Members {
            levels.iter().map(|level| ((*level).to_owned(), permission(name, level).reference())).collect()
        };
        let people = self.users.iter().chain(&self.teams);
        let people = people.map(|name| name.entity(json!({}), self.graph.parents(name)));
        let permissions = self.permissions.iter().map(|name| name.entity(json!({}), &[]));
        let organizations =
            self.organizations.iter().map(|name| name.entity(of(name, &OF_OWNERS).into(), &[]));
        let repositories = self.repositories.iter().map(|name| {
            let mut attributes = of(name, &LEVELS.map(|(level, _)| level));
            attributes.extend(self.owners.get(&name.id).map(|owner| ("owner".to_owned(), owner.reference())));
            name.entity(attributes.into(), &[])
        });
        people.chain(permissions).chain(organizations).chain(repositories).collect()
    }

    fn question(&self, dice: &mut Xoshiro256PlusPlus) -> Attempt<Question> {
        let (user, repository) = (pick(dice, &self.users)?, pick(dice, &self.repositories)?);
        let owner = self.owners.get(&repository.id).ok_or("a repository has no owner")?;
        let action = pick(dice, &LEVELS)?.1;
        let held = self.graph.reached(user, "Permission");
        let at_least = LEVELS.iter().skip_while(|(_, lets)| *lets != action).map(|(level, _)| *level);
        let allowed =
            at_least.into_iter().any(|level| holds(&held, repository, level) || holds(&held, owner, level));
        Ok(asked(
            (user, action, repository),
            allowed,
            &json!({"permissions": held}),
            &told_of(repository, owner).into(),
        ))
    }
}

fn holds(held: &BTreeSet<String>, of: &Name, level: &str) -> bool {
    held.contains(&permission(of, level).id)
}

fn told_of(repository: &Name, owner: &Name) -> Members {
    let own = LEVELS.iter().map(|(level, _)| ((*level).to_owned(), permission(repository, level).id.into()));
    let owners = OF_OWNERS.iter().map(|level| (format!("owner_{level}"), permission(owner, level).id.into()));
    own.chain(owners).collect()
}
