//! Decide in your own process, without a server: compile sources once, ask as often as you like.
//!
//! Run from the repository's root: `cargo run --example embed`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::path::PathBuf;

use mandate::engine::authorize::authorize;
use mandate::engine::compile::{Options, compile};
use mandate::engine::datum::{Datum, Reference};
use mandate::engine::decision::Effect;
use mandate::engine::request::AuthzRequest;
use mandate::pdp;
use mandate::store::directory::{self, Folders};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folders = Folders {
        policies: PathBuf::from("policies"),
        schemas: PathBuf::from("schemas"),
        entities: PathBuf::from("entities"),
    };
    let loaded = compile(&directory::read(&folders)?, &Options::default())?;

    // May Ana list the tools of the GitHub server?
    let mut request = AuthzRequest::new(
        Reference::new("Mandate::User", "ana"),
        Reference::new("", "list_tools"),
        Reference::new("Mandate::ToolServer", "github"),
    );
    request.context = vec![("session".to_owned(), session())];

    let decision = authorize(&loaded.world, &request, pdp::now())?;
    let verdict = if decision.effect == Effect::Allow { "allow" } else { "deny" };
    println!("{verdict}");
    for policy in &decision.determining {
        println!("  by {} at {}", policy.id, policy.location);
    }
    if let Some(denial) = &decision.denial {
        println!("  {}: {}", denial.code.as_str(), denial.message);
    }
    Ok(())
}

fn session() -> Datum {
    let text = |text: &str| Datum::String(text.to_owned());
    Datum::Record(vec![
        ("id".to_owned(), text("session-1")),
        ("purpose".to_owned(), text("look around")),
        ("attended".to_owned(), Datum::Bool(true)),
        ("untrusted".to_owned(), Datum::Bool(false)),
        ("read_level".to_owned(), Datum::Long(0)),
        ("calls".to_owned(), Datum::Long(1)),
        ("spent_cents".to_owned(), Datum::Long(0)),
    ])
}
