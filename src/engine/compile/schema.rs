//! Schema fragments to one schema.

use std::collections::HashMap;

use cedar_policy::{Schema, SchemaFragment};
use miette::Diagnostic;
use serde_json::Value;

use super::common_types::check_common_types;
use super::{check_schema, place};
use crate::engine::problem::{Place, Problem, Report, Severity, SourceFile};

/// A parsed schema and the files it came from.
pub(super) struct LoadedSchema {
    pub(super) schema: Schema,
    pub(super) fragments: Vec<Fragment>,
}

/// One file of the schema. The JSON form is where annotations can be read.
pub(super) struct Fragment {
    pub(super) place: Place,
    pub(super) json: Value,
}

/// Parses and merges the schema's files.
pub(super) fn load(files: &[SourceFile], report: &mut Report) -> Option<LoadedSchema> {
    if files.is_empty() {
        let place = Place::new("schemas", "");
        report.push(Problem::error(&place, "there is no schema").help("add a `*.cedarschema` file"));
        return None;
    }
    let parsed: Vec<_> = files.iter().map(|file| parse(file, report)).collect();
    let parsed = parsed.into_iter().collect::<Option<Vec<_>>>()?;
    let (places, fragments): (Vec<_>, Vec<_>) = parsed.into_iter().unzip();
    let described =
        places.into_iter().zip(&fragments).map(|(place, fragment)| describe(place, fragment, report));
    let described = described.collect::<Option<Vec<_>>>()?;
    if !check_common_types(&described, report) {
        return None;
    }
    if report_duplicates(&described, report) {
        return None;
    }
    match Schema::from_schema_fragments(fragments) {
        Ok(schema) => Some(LoadedSchema { schema, fragments: described }),
        Err(error) => {
            let place = origin(&error, &described);
            report.push(Problem::from_cedar(place, Severity::Error, &error));
            None
        }
    }
}

fn parse(file: &SourceFile, report: &mut Report) -> Option<(Place, SchemaFragment)> {
    let place = place(file, report)?;
    if file.name.ends_with(".json") {
        return match SchemaFragment::from_json_str(place.text()) {
            Ok(fragment) => Some((place, fragment)),
            Err(error) => {
                report.push(Problem::from_cedar(&place, Severity::Error, &error));
                None
            }
        };
    }
    if !check_schema(&place, report) {
        return None;
    }
    match SchemaFragment::from_cedarschema_str(place.text()) {
        Ok((fragment, warnings)) => {
            for warning in warnings {
                report.push(Problem::from_cedar(&place, Severity::Warning, &warning));
            }
            Some((place, fragment))
        }
        Err(error) => {
            report.push(Problem::from_cedar(&place, Severity::Error, &error));
            None
        }
    }
}

/// Without its JSON form a fragment's annotations would be lost, and typed actions with them.
fn describe(place: Place, fragment: &SchemaFragment, report: &mut Report) -> Option<Fragment> {
    match fragment.clone().to_json_value() {
        Ok(json) => Some(Fragment { place, json }),
        Err(error) => {
            report.push(Problem::error(&place, error.to_string()));
            None
        }
    }
}

/// The file an error of the merged schema points into: the one that holds the text its label covers.
fn origin<'a>(error: &dyn Diagnostic, fragments: &'a [Fragment]) -> &'a Place {
    let covered = error.labels().and_then(|mut labels| labels.next()).and_then(|label| {
        let span = *label.inner();
        let source = error.source_code()?;
        let text = source.read_span(&span, 0, 0).ok()?.data().to_vec();
        Some((span.offset(), text))
    });
    let holds = |fragment: &&Fragment| {
        covered.as_ref().is_some_and(|(at, text)| {
            fragment.place.text().as_bytes().get(*at..at + text.len()) == Some(text.as_slice())
        })
    };
    // Without a label, a file that alone holds a name the message quotes.
    let message = error.to_string();
    let quoted: Vec<_> = message.split('`').skip(1).step_by(2).chain(message.rsplit(": ").next()).collect();
    let alone = || {
        let mut quoting =
            fragments.iter().filter(|file| quoted.iter().any(|name| file.place.text().contains(name)));
        quoting.next().filter(|_| quoting.next().is_none())
    };
    match (fragments.iter().find(holds).or_else(alone), fragments) {
        (Some(fragment), _) | (None, [fragment]) => &fragment.place,
        // Better no file than another's.
        _ => &EMPTY,
    }
}

/// Stands for the schema where no file does.
pub(super) static EMPTY: std::sync::LazyLock<Place> = std::sync::LazyLock::new(|| Place::new("schemas", ""));

/// Reports what two files declare, naming both. Cedar would name neither.
fn report_duplicates(fragments: &[Fragment], report: &mut Report) -> bool {
    let mut first: HashMap<(String, &str, &str), &Place> = HashMap::new();
    let mut found = false;
    for fragment in fragments {
        for (namespace, definition) in fragment.json.as_object().into_iter().flatten() {
            for kind in ["entityTypes", "actions", "commonTypes"] {
                for name in
                    definition.get(kind).and_then(Value::as_object).into_iter().flat_map(|map| map.keys())
                {
                    let key = (namespace.clone(), kind, name.as_str());
                    if let Some(other) = first.insert(key, &fragment.place) {
                        let message = format!("`{name}` is declared in {} too", other.name());
                        report.push(Problem::error(&fragment.place, message).help("declare it once"));
                        found = true;
                    }
                }
            }
        }
    }
    found
}
