//! The packed corpus: one test a line, each with its sources in it; plain or gzip.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use mandate::engine::generation::PolicyIds;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Attempt;
use super::bundle::{Bundle, SchemaText};
use super::json_policies;
use super::published::PublishedRequest;

/// Tests that the validator accepts today and did not when they were published; beside the corpus.
const EXCEPTIONS: &str = "validate-exceptions-4.14.1.txt";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: Option<String>,
    policies: Value,
    schema: Option<Value>,
    entities: Option<Box<RawValue>>,
    should_validate: Option<bool>,
    #[serde(rename = "shouldValidate_4_14")]
    should_validate_now: Option<bool>,
    requests: Vec<PublishedRequest>,
}

/// Every test of a file.
///
/// # Errors
/// The file cannot be read, or a line of it is no test.
pub(super) fn read(file: &Path) -> Attempt<Vec<Bundle>> {
    let text = unpacked(file)?;
    let exceptions = exceptions(file);
    let lines = (1_usize..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let bundles = lines.map(|(number, line)| {
        let name = format!("{}:{number}", file.display());
        bundle(line, &name, &exceptions).map_err(|error| format!("{name}: {error}").into())
    });
    bundles.collect()
}

fn unpacked(file: &Path) -> Attempt<String> {
    let bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(bytes.as_slice())
            .read_to_string(&mut text)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        return Ok(text);
    }
    Ok(String::from_utf8(bytes).map_err(|error| format!("{}: {error}", file.display()))?)
}

/// The last word of every line: the tests' ids.
fn exceptions(corpus: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(corpus.with_file_name(EXCEPTIONS)).unwrap_or_default();
    text.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect()
}

fn bundle(line: &str, name: &str, exceptions: &BTreeSet<String>) -> Attempt<Bundle> {
    let Line { id, policies, schema, entities, should_validate, should_validate_now, requests } =
        serde_json::from_str(line)?;
    let id = id.unwrap_or_default();
    let excepted = exceptions.contains(&id);
    let (policies, links, ids) = match policies {
        Value::String(text) => (text, None, PolicyIds::Position),
        set => {
            let (text, links) = json_policies::text_and_links(set)?;
            (text, links, PolicyIds::Annotation)
        }
    };
    Ok(Bundle {
        name: if id.is_empty() { name.to_owned() } else { format!("{name} {id}") },
        policies,
        ids,
        links,
        schema: schema.map(|schema| match schema {
            Value::String(text) => SchemaText::Cedar(text),
            json => SchemaText::Json(json.to_string()),
        }),
        entities: entities.map_or_else(|| "[]".to_owned(), |entities| entities.get().to_owned()),
        valid: should_validate_now.or(should_validate.map(|valid| valid || excepted)),
        cases: requests.into_iter().map(PublishedRequest::case).collect::<Attempt<_>>()?,
    })
}
