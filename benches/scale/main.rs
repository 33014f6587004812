//! What decisions cost as policies and entities grow, and while they change.
//!
//! In reading order: [`population`] is who and what there is, [`policies`] what is permitted, [`requests`] what is asked,
//! [`workload`] all of it from one seed; [`plain`] is Cedar's own `Authorizer` over the same; [`measure`], [`put`], [`memory`]
//! and [`reload`] measure, each size in a process of its own; [`report`] sums up.

#[path = "../grpc/machine.rs"]
mod machine;
mod measure;
mod memory;
mod options;
mod plain;
mod policies;
mod population;
mod put;
mod reload;
mod report;
mod requests;
mod workload;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use mandate::engine::guard::on_parser_stack;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::memory::Resident;
use self::options::{Options, Part, Role};
use self::report::Report;
use self::workload::{Scopes, Workload};

/// What comes of something, or why the benchmark ends.
type Attempt<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Policies beside which the memory of entities is measured, and a number of entities that every process is granted.
const MEMORY_POLICIES: usize = 10;
const MEMORY_FEW: usize = 100;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::read();
    let outcome = match &options.role {
        // Worlds are dropped here too, which takes the same stack as parsing them.
        Some(role) => on_parser_stack(|| play(role, &options)).map_err(Into::into).and_then(|played| played),
        None => measure(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes one measurement in this process, and prints it as JSON.
fn play(role: &Role, options: &Options) -> Attempt<()> {
    let effort = options.effort;
    match role {
        Role::Decisions { policies, entities } => print(&measure::size(*policies, *entities, effort)?),
        Role::Scopeless { policies } => print(&measure::scopeless(*policies, effort)?),
        Role::Put { entities } => print(&put::put(*entities, effort)?),
        Role::Memory { root } => print(&memory::resident(root)?),
        Role::Reload { policies } => print(&reload::reload(*policies, effort)?),
    }
}

fn print(figures: &impl Serialize) -> Attempt<()> {
    anstream::println!("{}", serde_json::to_string(figures)?);
    Ok(())
}

/// Has a process of its own make a measurement.
fn child<T: DeserializeOwned>(role: &Role, options: &Options) -> Attempt<T> {
    let arguments = role.arguments();
    anstream::eprintln!("{}", arguments.join(" "));
    let mut command = Command::new(std::env::current_exe()?);
    command.args(options.effort.arguments()).args(arguments).stderr(Stdio::inherit());
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("the measurement `{role:?}` failed: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn measure(options: &Options) -> Attempt<()> {
    let mut report = Report::new(options);
    let sizes = |sizes: Vec<(usize, usize)>| -> Attempt<Vec<_>> {
        let one = |(policies, entities)| child(&Role::Decisions { policies, entities }, options);
        sizes.into_iter().map(one).collect()
    };
    if options.measures(Part::Policies) {
        report.policies = sizes(options.policy_sizes().collect())?;
    }
    if options.measures(Part::Scopeless) {
        report.scopeless = Some(child(&options.scopeless(), options)?);
    }
    if options.measures(Part::Entities) {
        report.entities = sizes(options.entity_sizes().collect())?;
    }
    if options.measures(Part::Put) {
        report.put = Some(child(&Role::Put { entities: options.most_entities() }, options)?);
    }
    if options.measures(Part::Memory) {
        report.memory = Some([resident(MEMORY_FEW, options)?, resident(options.most_entities(), options)?]);
    }
    if options.measures(Part::Reload) {
        report.reload = Some(child(&options.reload(), options)?);
    }
    anstream::println!("{}", report.text());
    let file = if options.quick { "target/bench/scale-quick.json" } else { "target/bench/scale.json" };
    report.write(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
}

/// Writes so many entities to files, and has a process of its own load them.
fn resident(entities: usize, options: &Options) -> Attempt<Resident> {
    let site = tempfile::tempdir()?;
    Workload::new(MEMORY_POLICIES, entities, Scopes::Mixed)?.write(site.path())?;
    child(&Role::Memory { root: site.path().to_owned() }, options)
}
