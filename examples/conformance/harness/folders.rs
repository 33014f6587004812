//! What a path holds: a corpus, a test written by hand, an example application, or a folder of any of these.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use mandate::engine::datum::Reference;
use mandate::engine::generation::PolicyIds;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::bundle::{Bundle, Case, Expected, SchemaText};
use super::published::{PublishedRequest, PublishedUid};
use super::{Attempt, corpus, json_policies};

/// Every test at a path.
///
/// # Errors
/// It cannot be read, or what must be a test is none.
pub(crate) fn read(path: &Path) -> Attempt<Vec<Bundle>> {
    let found = if path.is_dir() { folder(path)? } else { file(path, true)? };
    if found.is_empty() {
        return Err(format!("{} holds no test", path.display()).into());
    }
    Ok(found)
}

fn folder(path: &Path) -> Attempt<Vec<Bundle>> {
    let entries = entries(path)?;
    if entries.iter().any(|entry| entry.is_dir() && is_verdict(entry)) {
        return Ok(vec![application(path, &entries)?]);
    }
    let mut found = Vec::new();
    for entry in &entries {
        found.extend(if entry.is_dir() { folder(entry)? } else { file(entry, false)? });
    }
    Ok(found)
}

fn entries(path: &Path) -> Attempt<Vec<PathBuf>> {
    let unreadable = |error| format!("{}: {error}", path.display());
    let entries = fs::read_dir(path).map_err(unreadable)?;
    let mut paths: Vec<_> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}

fn is_verdict(folder: &Path) -> bool {
    ["ALLOW", "DENY"].iter().any(|name| folder.file_name() == Some(OsStr::new(name)))
}

/// The tests of a file. One that was named must hold some; one that was found may be anything.
fn file(path: &Path, named: bool) -> Attempt<Vec<Bundle>> {
    let name = path.to_string_lossy();
    if [".jsonl", ".jsonl.gz"].iter().any(|end| name.ends_with(end)) {
        return corpus::read(path);
    }
    if !name.ends_with(".json") {
        return if named { corpus::read(path) } else { Ok(Vec::new()) };
    }
    let text = text(path)?;
    // Beside the tests lie entities and the like.
    let is_test = || serde_json::from_str::<Value>(&text).is_ok_and(|json| json.get("requests").is_some());
    if !named && !is_test() {
        return Ok(Vec::new());
    }
    let test = serde_json::from_str::<Handwritten>(&text).map_err(Into::into);
    let bundle = test.and_then(|test| test.bundle(path));
    Ok(vec![bundle.map_err(|error| format!("{}: {error}", path.display()))?])
}

fn text(path: &Path) -> Attempt<String> {
    Ok(fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// A test that names its sources.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Handwritten {
    policies: PathBuf,
    entities: PathBuf,
    schema: PathBuf,
    should_validate: Option<bool>,
    #[serde(default)]
    policy_format: Syntax,
    #[serde(default)]
    schema_format: Syntax,
    requests: Vec<PublishedRequest>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Syntax {
    #[default]
    Cedar,
    Json,
}

impl Handwritten {
    fn bundle(self, path: &Path) -> Attempt<Bundle> {
        // Its paths begin at a folder above it.
        let root = path.ancestors().skip(1).find(|folder| folder.join(&self.policies).is_file());
        let root = root.ok_or_else(|| format!("{} is in no folder above it", self.policies.display()))?;
        let policies = text(&root.join(&self.policies))?;
        let schema = text(&root.join(&self.schema))?;
        let (policies, links, ids) = match self.policy_format {
            Syntax::Cedar => (policies, None, PolicyIds::Position),
            Syntax::Json => {
                let (text, links) = json_policies::text_and_links(serde_json::from_str(&policies)?)?;
                (text, links, PolicyIds::Annotation)
            }
        };
        Ok(Bundle {
            name: path.display().to_string(),
            policies,
            ids,
            links,
            schema: Some(match self.schema_format {
                Syntax::Cedar => SchemaText::Cedar(schema),
                Syntax::Json => SchemaText::Json(schema),
            }),
            entities: text(&root.join(&self.entities))?,
            valid: self.should_validate,
            cases: self.requests.into_iter().map(PublishedRequest::case).collect::<Attempt<_>>()?,
        })
    }
}

/// An application: its sources, and queries in folders named by their answer.
fn application(path: &Path, entries: &[PathBuf]) -> Attempt<Bundle> {
    let ending = |end: &str| {
        entries
            .iter()
            .find(|entry| entry.is_file() && entry.to_string_lossy().ends_with(end))
            .map(|entry| text(entry))
    };
    let missing = |what: &str| format!("{} has no {what}", path.display());
    let mut cases = Vec::new();
    for folder in entries.iter().filter(|entry| entry.is_dir() && is_verdict(entry)) {
        let allow = folder.ends_with("ALLOW");
        for query in self::entries(folder)? {
            cases.push(query_case(&query, allow).map_err(|error| format!("{}: {error}", query.display()))?);
        }
    }
    Ok(Bundle {
        name: path.display().to_string(),
        policies: ending(".cedar").ok_or_else(|| missing("policies"))??,
        ids: PolicyIds::Annotation,
        links: ending("linked").transpose()?,
        schema: ending(".cedarschema").transpose()?.map(SchemaText::Cedar),
        entities: ending("entities.json").ok_or_else(|| missing("entities"))??,
        // An application's policies fit its schema.
        valid: Some(true),
        cases,
    })
}

#[derive(Debug, Deserialize)]
struct Query {
    principal: PublishedUid,
    action: PublishedUid,
    resource: PublishedUid,
    context: Option<Box<RawValue>>,
}

fn query_case(path: &Path, allow: bool) -> Attempt<Case> {
    let Query { principal, action, resource, context } = serde_json::from_str(&text(path)?)?;
    let reference = |uid: PublishedUid| -> Attempt<Reference> { uid.reference() };
    Ok(Case {
        description: path.display().to_string(),
        principal: reference(principal)?,
        action: reference(action)?,
        resource: reference(resource)?,
        context: context.map_or_else(|| "{}".to_owned(), |context| context.get().to_owned()),
        fits: true,
        expected: Expected { allow, policies: None },
    })
}
