//! Documents and folders that people own, share with views, or make public.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::{FEW, Graph, MANY, Texts, asked, numbered, some};
use crate::Attempt;
use crate::world::{Name, Question, World, half_allowed, pick};

/// How probable it is that everybody may read a document.
const PUBLIC: f64 = 0.3;
const OF_DOCUMENTS: [&str; 4] = ["read", "write", "share", "change_owner"];

const TEXTS: Texts = Texts {
    name: "gdrive",
    schema: include_str!("../../worlds/gdrive.cedarschema"),
    policies: include_str!("../../worlds/gdrive.cedar"),
    cerbos: include_str!("../../worlds/gdrive.yaml"),
};

struct Drive {
    users: Vec<Name>,
    folders: Vec<Name>,
    things: Vec<Name>,
    /// Those of people, then those of groups.
    views: Vec<Name>,
    graph: Graph,
    owners: BTreeMap<String, Name>,
    public: BTreeSet<String>,
}

/// The application.
///
/// # Errors
/// A defect.
pub(super) fn world() -> Attempt<World> {
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(11);
    let drive = Drive::new(&mut dice)?;
    let questions = half_allowed(|| drive.question(&mut dice))?;
    Ok(TEXTS.world(drive.entities(), questions))
}

impl Drive {
    fn new(dice: &mut Xoshiro256PlusPlus) -> Attempt<Self> {
        let (users, folders) = (numbered("User", MANY), numbered("Folder", MANY));
        let mut views: Vec<_> = users.iter().map(|user| Name::new("View", &user.id)).collect();
        let mut graph = Graph::default();
        for group in 0..FEW {
            let group = Name::new("View", format!("group-{group}"));
            let members = some(dice, views.get(..MANY).unwrap_or_default());
            graph.put(&group, members);
            views.push(group);
        }
        let things = [folders.clone(), numbered("Document", MANY)].concat();
        let (mut owners, mut public) = (BTreeMap::new(), BTreeSet::new());
        for (number, thing) in things.iter().enumerate() {
            // Folders are in folders that come before them.
            let above = folders.get(..number.min(folders.len())).unwrap_or_default();
            graph.put(thing, [some(dice, above), some(dice, &views)].concat());
            owners.insert(thing.id.clone(), pick(dice, &users)?.clone());
            public.extend((thing.kind == "Document" && dice.random_bool(PUBLIC)).then(|| thing.id.clone()));
        }
        Ok(Self { users, folders, things, views, graph, owners, public })
    }

    fn is_own(&self, user: &Name, thing: &Name) -> bool {
        self.owners.get(&thing.id).is_some_and(|owner| owner.id == user.id)
    }

    fn folders_of(&self, user: &Name) -> impl Iterator<Item = &Name> {
        self.folders.iter().filter(|folder| self.is_own(user, folder))
    }

    fn entities(&self) -> Vec<Value> {
        let views = self.views.iter().map(|view| view.entity(json!({}), self.graph.parents(view)));
        let users = self.users.iter().map(|user| {
            let folders: Vec<_> = self.folders_of(user).map(Name::reference).collect();
            let view = Name::new("View", &user.id).reference();
            user.entity(json!({"view": view, "folders": folders}), &[])
        });
        let things = self.things.iter().map(|thing| {
            let owner = self.owners.get(&thing.id).map(Name::reference);
            let attributes = match thing.kind {
                "Document" => json!({"owner": owner, "public": self.public.contains(&thing.id)}),
                _ => json!({"owner": owner}),
            };
            thing.entity(attributes, self.graph.parents(thing))
        });
        views.chain(users).chain(things).collect()
    }

    fn question(&self, dice: &mut Xoshiro256PlusPlus) -> Attempt<Question> {
        let (user, thing) = (pick(dice, &self.users)?, pick(dice, &self.things)?);
        let action = if thing.kind == "Folder" { "read" } else { pick(dice, &OF_DOCUMENTS)? };
        let (seen, ancestors) = (self.graph.reached(thing, "View"), self.graph.reached(thing, "Folder"));
        let folders: BTreeSet<_> = self.folders_of(user).map(|folder| folder.id.clone()).collect();
        let mine = self.views.iter().filter(|view| self.graph.reached(view, "View").contains(&user.id));
        let mine: BTreeSet<_> = mine.map(|view| view.id.clone()).collect();
        let (own, public) = (self.is_own(user, thing), self.public.contains(&thing.id));
        let allowed = match action {
            "change_owner" => own,
            "read" if public || seen.contains(&user.id) => true,
            _ => own || !ancestors.is_disjoint(&folders),
        };
        let owner = self.owners.get(&thing.id).map(|owner| &owner.id);
        Ok(asked(
            (user, action, thing),
            allowed,
            &json!({"views": mine, "folders": folders}),
            &json!({"views": seen, "ancestors": ancestors, "owner": owner, "public": public}),
        ))
    }
}
