//! Lists of tasks with an owner, and teams that read and edit them.

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use serde_json::{Value, json};

use super::{FEW, Graph, MANY, Texts, asked, numbered, some};
use crate::Attempt;
use crate::world::{Name, Question, World, half_allowed, pick};

const ACTIONS: [&str; 6] =
    ["get_list", "update_list", "create_task", "update_task", "delete_task", "edit_shares"];

const TEXTS: Texts = Texts {
    name: "tinytodo",
    schema: include_str!("../../worlds/tinytodo.cedarschema"),
    policies: include_str!("../../worlds/tinytodo.cedar"),
    cerbos: include_str!("../../worlds/tinytodo.yaml"),
};

struct Board {
    users: Vec<Name>,
    teams: Vec<Name>,
    lists: Vec<List>,
    graph: Graph,
}

struct List {
    name: Name,
    owner: Name,
    readers: Name,
    editors: Name,
}

/// The application.
///
/// # Errors
/// A defect.
pub(super) fn world() -> Attempt<World> {
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(13);
    let board = Board::new(&mut dice)?;
    let questions = half_allowed(|| board.question(&mut dice))?;
    Ok(TEXTS.world(board.entities(), questions))
}

impl Board {
    fn new(dice: &mut Xoshiro256PlusPlus) -> Attempt<Self> {
        let (users, teams) = (numbered("User", MANY), numbered("Team", FEW));
        let mut graph = Graph::default();
        for (number, team) in teams.iter().enumerate() {
            graph.put(team, some(dice, teams.get(..number).unwrap_or_default()));
        }
        for user in &users {
            graph.put(user, some(dice, &teams));
        }
        let mut lists = Vec::new();
        for name in numbered("List", MANY) {
            let owner = pick(dice, &users)?.clone();
            let (readers, editors) = (pick(dice, &teams)?.clone(), pick(dice, &teams)?.clone());
            lists.push(List { name, owner, readers, editors });
        }
        Ok(Self { users, teams, lists, graph })
    }

    fn entities(&self) -> Vec<Value> {
        let people = self.users.iter().chain(&self.teams);
        let people = people.map(|name| name.entity(json!({}), self.graph.parents(name)));
        let lists = self.lists.iter().map(|List { name, owner, readers, editors }| {
            let [owner, readers, editors] = [owner, readers, editors].map(Name::reference);
            name.entity(json!({"owner": owner, "readers": readers, "editors": editors}), &[])
        });
        people.chain(lists).collect()
    }

    fn question(&self, dice: &mut Xoshiro256PlusPlus) -> Attempt<Question> {
        let (user, list, action) =
            (pick(dice, &self.users)?, pick(dice, &self.lists)?, *pick(dice, &ACTIONS)?);
        let teams = self.graph.reached(user, "Team");
        let edits = teams.contains(&list.editors.id);
        let allowed = list.owner.id == user.id
            || match action {
                "edit_shares" => false,
                "get_list" => edits || teams.contains(&list.readers.id),
                _ => edits,
            };
        Ok(asked(
            (user, action, &list.name),
            allowed,
            &json!({"teams": teams}),
            &json!({"owner": list.owner.id, "readers": list.readers.id, "editors": list.editors.id}),
        ))
    }
}
