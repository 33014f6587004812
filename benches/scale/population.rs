//! Who and what there is: people in groups, documents and tables in folders, both in trees.

use std::collections::BTreeSet;
use std::ops::Range;

use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;
use serde_json::{Value, json};

use crate::Attempt;

/// Levels of the trees.
const DEPTH: u32 = 6;
/// Groups, and folders, for each hundred policies: what keeps the candidates of a request at about ten.
const GROUPS_PER_HUNDRED: usize = 22;
/// Most groups of one person.
const MOST_GROUPS: usize = 3;

pub(crate) const REGIONS: [&str; 5] = ["eu", "us", "apac", "latam", "mea"];
pub(crate) const ROLES: [&str; 6] = ["analyst", "engineer", "auditor", "lead", "support", "admin"];
pub(crate) const TAGS: [&str; 8] =
    ["public", "internal", "customer", "finance", "legal", "sealed", "draft", "archived"];
/// Levels of clearance and of sensitivity.
pub(crate) const LEVELS: i64 = 5;

/// Everything that is stored. Folders form the same tree as groups: each group has a folder of its own.
#[derive(Debug)]
pub(crate) struct Population {
    pub(crate) groups: Tree,
    pub(crate) users: Vec<User>,
    pub(crate) resources: Vec<Resource>,
    /// Resources by the leaf they are in, counted from the first leaf.
    in_leaf: Vec<Vec<usize>>,
}

/// A tree, by each node's parent; the first has none.
#[derive(Debug)]
pub(crate) struct Tree {
    parents: Vec<Option<usize>>,
    leaves: Range<usize>,
}

#[derive(Debug)]
pub(crate) struct User {
    /// One to three, all of them leaves; the first is where the person works.
    pub(crate) groups: Vec<usize>,
    clearance: i64,
    region: &'static str,
    roles: Vec<&'static str>,
}

#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    pub(crate) folder: usize,
    pub(crate) owner: usize,
    level: i64,
    tags: Vec<&'static str>,
}

/// Types of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Document,
    Table,
}

impl Population {
    /// What suits so many policies, in about so many entities.
    ///
    /// # Errors
    /// A defect: there are no leaves.
    pub(crate) fn of(policies: usize, entities: usize, random: &mut Xoshiro256PlusPlus) -> Attempt<Self> {
        let groups = Tree::of(policies * GROUPS_PER_HUNDRED / 100);
        let each = (entities.saturating_sub(2 * groups.len()) / 2).max(1);
        let mut population = Self {
            in_leaf: vec![Vec::new(); groups.leaves.len()],
            groups,
            users: Vec::new(),
            resources: Vec::new(),
        };
        for _ in 0..each {
            population.users.push(User::random(&population.groups, random)?);
        }
        for number in 0..each {
            let resource = Resource::random(&population.groups, each, random);
            let leaf = resource.folder - population.groups.leaves.start;
            population.in_leaf.get_mut(leaf).ok_or("a leaf is missing")?.push(number);
            population.resources.push(resource);
        }
        Ok(population)
    }

    /// What a person works with: resources in the folder of the group where the person works.
    pub(crate) fn own(&self, user: usize) -> &[usize] {
        let leaf = self.users.get(user).and_then(|user| user.groups.first()).copied().unwrap_or(0);
        self.in_leaf.get(leaf.saturating_sub(self.groups.leaves.start)).map_or(&[], Vec::as_slice)
    }

    /// Groups a person is in, at any distance.
    pub(crate) fn groups_of(&self, user: usize) -> Vec<usize> {
        let direct = self.users.get(user).map_or(&[][..], |user| &user.groups);
        let mut all: Vec<_> = direct.iter().flat_map(|&group| self.groups.path(group)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Folders a resource is in, at any distance.
    pub(crate) fn folders_of(&self, resource: usize) -> Vec<usize> {
        self.resources
            .get(resource)
            .map_or_else(Vec::new, |resource| self.groups.path(resource.folder).collect())
    }

    /// How many entities there are.
    pub(crate) fn len(&self) -> usize {
        2 * self.groups.len() + self.users.len() + self.resources.len()
    }

    /// Every entity, in Cedar's JSON form.
    pub(crate) fn entities(&self) -> impl Iterator<Item = Value> {
        let users = (0..self.users.len()).filter_map(|user| self.user(user));
        let resources = (0..self.resources.len()).filter_map(|resource| self.resource(resource));
        self.trees().chain(users).chain(resources)
    }

    /// All groups and folders.
    fn trees(&self) -> impl Iterator<Item = Value> {
        (0..self.groups.len()).flat_map(|node| [group, folder].map(|name| self.node(node, name)))
    }

    /// All that people and a resource are in, at any distance.
    pub(crate) fn above(&self, users: &[usize], resource: usize) -> impl Iterator<Item = Value> {
        let groups: BTreeSet<_> = users.iter().flat_map(|&user| self.groups_of(user)).collect();
        let groups = groups.into_iter().map(|node| self.node(node, group));
        groups.chain(self.folders_of(resource).into_iter().map(|node| self.node(node, folder)))
    }

    fn node(&self, node: usize, name: fn(usize) -> Name) -> Value {
        let parents: Vec<_> =
            self.groups.path(node).skip(1).take(1).map(|parent| name(parent).json()).collect();
        json!({"uid": name(node).json(), "attrs": {}, "parents": parents})
    }

    /// One person.
    pub(crate) fn user(&self, number: usize) -> Option<Value> {
        let User { groups, clearance, region, roles } = self.users.get(number)?;
        let parents: Vec<_> = groups.iter().map(|&number| group(number).json()).collect();
        let attributes = json!({"clearance": clearance, "region": region, "roles": roles});
        Some(json!({"uid": user(number).json(), "attrs": attributes, "parents": parents}))
    }

    /// One resource.
    pub(crate) fn resource(&self, number: usize) -> Option<Value> {
        let Resource { owner, level, tags, folder: parent, .. } = self.resources.get(number)?;
        let attributes = json!({"level": level, "owner": {"__entity": user(*owner).json()}, "tags": tags});
        Some(
            json!({"uid": self.name(number)?.json(), "attrs": attributes, "parents": [folder(*parent).json()]}),
        )
    }

    /// A resource's name.
    pub(crate) fn name(&self, resource: usize) -> Option<Name> {
        let kind = self.resources.get(resource)?.kind;
        Some(Name { type_name: kind.type_name(), id: format!("item-{resource:07}") })
    }
}

/// An entity's type and id.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) type_name: &'static str,
    pub(crate) id: String,
}

impl Name {
    fn json(&self) -> Value {
        json!({"type": self.type_name, "id": self.id})
    }

    /// As Cedar's policies write it.
    pub(crate) fn cedar(&self) -> String {
        format!("{}::\"{}\"", self.type_name, self.id)
    }
}

pub(crate) fn group(number: usize) -> Name {
    Name { type_name: "Mandate::Group", id: format!("group-{number:06}") }
}

pub(crate) fn folder(number: usize) -> Name {
    Name { type_name: "Mandate::Folder", id: format!("folder-{number:06}") }
}

pub(crate) fn user(number: usize) -> Name {
    Name { type_name: "Mandate::User", id: format!("user-{number:07}") }
}

impl Kind {
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Document => "Mandate::Document",
            Self::Table => "Mandate::Table",
        }
    }
}

impl Tree {
    /// A tree of [`DEPTH`] levels and about so many nodes, each level larger than the one above by the same factor.
    fn of(nodes: usize) -> Self {
        let mut parents = vec![None];
        let mut above = 0..1;
        for size in level_sizes(nodes).skip(1) {
            let start = parents.len();
            parents.extend((0..size).map(|number| Some(above.start + number * above.len() / size)));
            above = start..parents.len();
        }
        Self { parents, leaves: above }
    }

    pub(crate) fn len(&self) -> usize {
        self.parents.len()
    }

    /// The node and those above it.
    fn path(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(node), |&node| self.parents.get(node).copied().flatten())
    }

    fn leaf(&self, random: &mut Xoshiro256PlusPlus) -> usize {
        random.random_range(self.leaves.clone())
    }
}

/// Sizes of the levels, the root's first.
fn level_sizes(nodes: usize) -> impl Iterator<Item = usize> {
    let sizes = |factor: f64| (0..DEPTH).map(move |level| whole(factor.powf(level.into())).max(1));
    let (mut low, mut high) = (1.0, 100.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if sizes(middle).sum::<usize>() <= nodes { low = middle } else { high = middle }
    }
    sizes(low)
}

/// The nearest whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes and ranks are positive and far below 2^53"
)]
pub(crate) fn whole(number: f64) -> usize {
    number.round() as usize
}

impl User {
    fn random(groups: &Tree, random: &mut Xoshiro256PlusPlus) -> Attempt<Self> {
        let mut own: Vec<_> =
            (0..random.random_range(1..=MOST_GROUPS)).map(|_| groups.leaf(random)).collect();
        let home = *own.first().ok_or("somebody is in no group")?;
        own.sort_unstable_by_key(|&group| (group != home, group));
        own.dedup();
        Ok(Self {
            groups: own,
            clearance: random.random_range(0..LEVELS),
            region: pick(&REGIONS, random),
            roles: some(&ROLES, random),
        })
    }
}

impl Resource {
    fn random(folders: &Tree, users: usize, random: &mut Xoshiro256PlusPlus) -> Self {
        Self {
            kind: if random.random_bool(0.7) { Kind::Document } else { Kind::Table },
            folder: folders.leaf(random),
            owner: random.random_range(0..users),
            level: random.random_range(0..LEVELS),
            tags: some(&TAGS, random),
        }
    }
}

/// One of them.
pub(crate) fn pick(texts: &[&'static str], random: &mut Xoshiro256PlusPlus) -> &'static str {
    texts.get(random.random_range(0..texts.len())).copied().unwrap_or_default()
}

/// One to three of them.
pub(crate) fn some(texts: &[&'static str], random: &mut Xoshiro256PlusPlus) -> Vec<&'static str> {
    let mut some: Vec<_> = (0..random.random_range(1..=3)).map(|_| pick(texts, random)).collect();
    some.sort_unstable();
    some.dedup();
    some
}
