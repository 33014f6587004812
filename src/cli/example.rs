//! `mandate example`

use clap::Args;

use super::Exit;
use super::output::{self, Format};
use super::sources::SourceArgs;
use crate::engine::catalog::{ActionType, Catalog};
use crate::engine::datum::Reference;
use crate::engine::world::World;
use crate::example::{self, ExampleRequest};
use crate::listening::Address;

/// Print a valid request for an action.
#[derive(Debug, Args)]
pub struct Example {
    #[command(flatten)]
    sources: SourceArgs,
    /// Id of the action: call_tool, or a typed action such as github/merge_pull_request.
    action: String,
    /// Print it as AuthZEN says it.
    #[arg(long)]
    authzen: bool,
    /// Have an agent do it, under a stored delegation.
    #[arg(long)]
    delegated: bool,
}

impl Example {
    /// Prints the request to standard output.
    #[must_use]
    pub fn run(self) -> Exit {
        let world = match self.sources.load(Format::Text) {
            Ok(loaded) => loaded.world,
            Err(exit) => return exit,
        };
        match self.example(&world) {
            Ok(example) => {
                output::json(&if self.authzen { example.authzen() } else { example.json() });
                Exit::Ok
            }
            Err(message) => {
                output::failure(&message);
                Exit::Failure
            }
        }
    }

    fn example(&self, world: &World) -> Result<ExampleRequest, String> {
        let catalog = &world.generation.catalog;
        let action = catalog.action_named(&Reference::new("", &self.action)).map_err(|error| {
            let known =
                actions(catalog).map(|action| action.uid.id().unescaped().to_owned()).collect::<Vec<_>>();
            format!("{}; actions are {}", error.message, known.join(", "))
        })?;
        let (found, whose) = if self.delegated {
            (example::delegated(world, action), "delegation")
        } else {
            (example::of(world, action), "principal")
        };
        found.ok_or_else(|| format!("no stored {whose} and resource that {} applies to", action.uid))
    }
}

/// Every action that applies to something, by name.
fn actions(catalog: &Catalog) -> impl Iterator<Item = &ActionType> {
    let mut actions: Vec<_> = catalog.actions().map(AsRef::as_ref).collect();
    actions.sort_by_key(|action: &&ActionType| action.uid.id().unescaped().to_owned());
    actions.into_iter().filter(|action| !action.principals.is_empty())
}

/// Most stored entities for which a server looks for an example before it serves.
const MAX_BROWSED: usize = 20_000;

/// A call to copy that gets a decision from a server at `address`: an allowed one, if there is one.
#[must_use]
pub fn curl(world: &World, address: &Address) -> Option<String> {
    if world.entities.len() > MAX_BROWSED {
        return None;
    }
    let catalog = &world.generation.catalog;
    let call_tool = Reference::new("", catalog.domain.call_tool.as_str());
    let preferred = catalog.action_named(&call_tool).ok().map(AsRef::as_ref);
    let examples =
        preferred.into_iter().chain(actions(catalog)).filter_map(|action| example::of(world, action));
    let mut first = None;
    for example in examples {
        if example.allowed {
            first = Some(example);
            break;
        }
        first.get_or_insert(example);
    }
    let body = first?.authzen().to_string().replace('\'', "'\\''");
    let server = match address {
        Address::Tcp(address) => format!("http://{address}"),
        Address::Unix(path) => format!("--unix-socket '{}' http://localhost", path.display()),
    };
    Some(format!("curl -s {server}/access/v1/evaluation -H 'content-type: application/json' -d '{body}'"))
}
