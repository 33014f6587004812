//! What a write at run time costs, among many entities: until it is on disk and served, and the part of that in memory.
//!
//! `cargo bench --bench entity_log -- [ENTITIES] [WRITES]`

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mandate::engine::compile::Options;
use mandate::engine::edits::{Edit, Grants};
use mandate::store::data_dir::DataDir;
use mandate::store::directory::Folders;
use mandate::store::entity_log::{EntityLogConfig, Order, Write};
use mandate::store::loader::{Loader, LoaderConfig};

const SCHEMA: &str = "namespace Mandate { entity User = { level: Long }; entity Doc in [Doc] = { level: Long };\n\
                      action view appliesTo { principal: [User], resource: [Doc] }; }\n";

#[expect(clippy::print_stdout, reason = "what a benchmark is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let (entities, writes) =
        (numbers.first().copied().unwrap_or(1_000_000), numbers.get(1).copied().unwrap_or(2_000));
    let site = tempfile::tempdir()?;
    let config = write_site(site.path(), entities)?;
    let data = DataDir::open(&site.path().join("data"))?;
    let (loader, store, _warnings) = Loader::open(config, &data)?;
    let loader = loader.spawn()?;
    let log = loader.log.clone().ok_or("no entity log")?;
    let mut durable = Histogram::<u64>::new(3)?;
    let mut memory = Histogram::<u64>::new(3)?;
    for number in 0..writes {
        let text = doc(&format!("own{}", number % 500), number);
        let write = Write::Put(vec![text]);
        let begun = Instant::now();
        log.write_blocking(Order { write, if_revision: String::new(), by: "bench".into() })?;
        durable.record(u64::try_from(begun.elapsed().as_micros())?)?;
    }
    for number in 0..writes * 10 {
        let edit = [Edit::Put(doc(&format!("own{}", number % 500), number))];
        let begun = Instant::now();
        let current = store.current();
        let edited = current.world.edit(&edit, Grants::Refused)?;
        drop(current);
        drop(store.publish(edited.world));
        memory.record(u64::try_from(begun.elapsed().as_nanos())?)?;
    }
    let [p50, p99] = [0.5, 0.99].map(|at| Duration::from_micros(durable.value_at_quantile(at)));
    println!("{entities} entities, on disk and served: p50 {p50:?}, p99 {p99:?} ({writes} writes)");
    let [p50, p99] = [0.5, 0.99].map(|at| Duration::from_nanos(memory.value_at_quantile(at)));
    println!("{entities} entities, checked and published: p50 {p50:?}, p99 {p99:?}");
    let _ended = loader.stop(Duration::from_secs(10));
    Ok(())
}

fn doc(id: &str, level: usize) -> String {
    format!(
        r#"{{"uid":{{"type":"Mandate::Doc","id":"{id}"}},"attrs":{{"level":{level}}},"parents":[{{"type":"Mandate::Doc","id":"d0"}}]}}"#
    )
}

fn write_site(site: &Path, entities: usize) -> Result<LoaderConfig, Box<dyn Error>> {
    for folder in ["policies", "schemas", "entities"] {
        fs::create_dir(site.join(folder))?;
    }
    fs::write(site.join("policies/p.cedar"), "@id(\"p\")\npermit (principal, action, resource);\n")?;
    fs::write(site.join("schemas/s.cedarschema"), SCHEMA)?;
    let mut lines = String::new();
    for number in 0..entities {
        writeln!(
            lines,
            r#"{{"uid":{{"type":"Mandate::Doc","id":"d{number}"}},"attrs":{{"level":1}},"parents":[]}}"#
        )?;
    }
    fs::write(site.join("entities/d.jsonl"), lines)?;
    let within = |name: &str| site.join(name);
    Ok(LoaderConfig {
        folders: Folders {
            policies: within("policies"),
            schemas: within("schemas"),
            entities: within("entities"),
        },
        emergency: within("emergency"),
        revocations: within("revocations.json"),
        options: Options::default(),
        watch: false,
        poll: Duration::from_secs(3_600),
        settle: Duration::ZERO,
        serve_last_known_good: false,
        signers: Default::default(),
        cache_bytes: None,
        entity_log: EntityLogConfig::default(),
        progress: std::sync::Arc::default(),
    })
}
