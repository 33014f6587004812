//! `docs/reference/configuration.md`: every key. Names and types are those that serde asks for, meanings are the doc comments of what
//! is written, and defaults and limits, which stand in the last paragraph of these, are held to what they do.

mod probe;
mod told;

use std::collections::BTreeMap;

use figment::providers::Serialized;
use serde_json::{Value, json};

use super::*;
use crate::reference;
use probe::{Kind, Step, kind};
use told::{Told, told};

const LEAD: &str = "A TOML file (`--config`) comes first, then the environment, then flags. `[section] key` is `MANDATE__SECTION__KEY` in the
environment. An unknown key is an error. Paths are taken from where the process runs; a time span is written as `\"500ms\"`, `\"5s\"` or
`\"1h\"`. Everything together, as one example, is in [configuration](../configuration.md).
";

/// What must be written for keys of a table to be read at all, by the table's heading. Nothing in it can be left out that
/// is said to be required.
fn base(heading: &str) -> Value {
    let sink = |sink: Value| json!({"log": {"sinks": {"name": sink}}});
    let issuer =
        json!({"issuer": "https://i.example", "audience": "m", "profile": "rfc8693", "jwks_file": "k"});
    match heading {
        "[log.sinks.NAME] kind = \"stdout\"" => sink(json!({"kind": "stdout"})),
        "[log.sinks.NAME] kind = \"file\"" => sink(json!({"kind": "file"})),
        "[log.sinks.NAME] kind = \"http\"" => sink(json!({"kind": "http", "url": "http://127.0.0.1:1/"})),
        "[log.sinks.NAME] kind = \"otlp\"" => sink(json!({"kind": "otlp", "url": "http://127.0.0.1:1"})),
        "[log.sinks.NAME] kind = \"nats\"" => {
            sink(json!({"kind": "nats", "servers": ["nats://127.0.0.1:1"], "subject": "s"}))
        }
        "[log.sinks.NAME.batch]" => sink(json!({"kind": "stdout"})),
        "[telemetry.traces]" => json!({"telemetry": {"traces": {"url": "http://127.0.0.1:1"}}}),
        "[telemetry.metrics]" => json!({"telemetry": {"metrics": {"url": "http://127.0.0.1:1"}}}),
        "[ext_authz]" => json!({"ext_authz": {}}),
        "[limits.rate]" => json!({"limits": {"rate": {"per_second": 1}}}),
        "[[limits.rates]]" => json!({"limits": {"rates": [{"caller": "a", "per_second": 1}]}}),
        "[follow]" => json!({"follow": {"primary": "http://127.0.0.1:1", "token_file": "t"}}),
        "[tls]" => json!({"tls": {"certificate": "c", "key": "k"}}),
        "[[issuers]]" => json!({"issuers": [issuer]}),
        "[[callers.self]]" => {
            json!({"callers": {"self": [{"caller": "spiffe://a.example/*", "principal_type": "A"}]}})
        }
        "[[callers.spiffe]]" => json!({
            "callers": {"spiffe": [{"trust_domain": "a.example", "bundle": "b"}]},
            "tls": {"certificate": "c", "key": "k"},
        }),
        "[[ext_authz.peers]]" => json!({"ext_authz": {"peers": [{"peer": "a/*", "principal_type": "A"}]}}),
        _ => json!({}),
    }
}

fn load_json(value: &Value) -> Result<Config, ConfigError> {
    let written = Figment::from(Serialized::defaults(value)).extract::<Written>();
    written.map_err(|error| ConfigError::Invalid(Box::new(error)))?.meaning(Overrides::default())
}

/// The value of a TOML literal.
fn literal(text: &str) -> Value {
    let table: BTreeMap<String, Value> =
        Figment::from(Toml::string(&format!("x = {text}"))).extract().unwrap();
    table["x"].clone()
}

/// Where a key is in a configuration as JSON.
fn place<'a>(value: &'a mut Value, path: &[Step]) -> &'a mut Value {
    path.iter().fold(value, |value, step| match step {
        Step::Key(name) => &mut value[if name == "NAME" { "name" } else { name }],
        Step::Element => &mut value[0],
        Step::Variant(..) => value,
    })
}

fn with(heading: &str, path: &[Step], value: Value) -> Result<Config, ConfigError> {
    let mut whole = base(heading);
    *place(&mut whole, path) = value;
    load_json(&whole)
}

/// Neighbours of a limit: one less, one more.
fn neighbours(limit: &Value) -> [Value; 2] {
    match limit.as_str() {
        Some(span) => {
            let millis = span.parse::<jiff::SignedDuration>().unwrap().as_millis();
            [millis - 1, millis + 1].map(|millis| json!(format!("{millis}ms")))
        }
        None => [limit.as_u64().unwrap() - 1, limit.as_u64().unwrap() + 1].map(|number| json!(number)),
    }
}

/// Holds what is told of a key to what the key does.
fn check(heading: &str, path: &[Step], told: &Told) {
    let plain = || load_json(&base(heading)).unwrap();
    let name = format!("{heading} {path:?}");
    if let Some(default) = &told.default {
        let written = with(heading, path, literal(default)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(written, plain(), "{name}: the default is not {default}");
    }
    for (limit, beyond) in [(&told.least, 0), (&told.most, 1)] {
        let Some(limit) = limit else { continue };
        let limit = literal(limit);
        assert!(with(heading, path, limit.clone()).is_ok(), "{name}: {limit} is refused");
        let [less, more] = neighbours(&limit);
        let beyond = if beyond == 0 { less } else { more };
        assert!(with(heading, path, beyond.clone()).is_err(), "{name}: {beyond} is accepted");
    }
    if told.required {
        let mut whole = base(heading);
        let (last, above) = path.split_last().unwrap();
        let Step::Key(last) = last else { panic!("{name}") };
        assert!(load_json(&whole).is_ok(), "{name}: base");
        place(&mut whole, above).as_object_mut().unwrap().remove(last);
        assert!(load_json(&whole).is_err(), "{name} can be left out");
    }
}

/// The page, as it is written.
#[derive(Default)]
struct Page {
    text: String,
    /// Tables that were described, by their keys.
    known: BTreeMap<Vec<String>, String>,
}

impl Page {
    /// A table, and then those in it.
    fn table(&mut self, heading: &str, path: &[Step], lead: &str) {
        let Kind::Table(keys) = kind(path) else { panic!("{heading} is no table") };
        self.known.insert(keys.clone(), heading.to_owned());
        let told = told(&keys).unwrap_or_else(|| panic!("nothing in src/config has the keys {keys:?}"));
        let mut rows = String::new();
        let mut inner = Vec::new();
        for (key, told) in keys.iter().zip(&told) {
            let path = [path, &[Step::key(key)]].concat();
            assert!(!told.meaning.is_empty(), "{heading} {key} has no doc comment");
            match self.inside(heading, key, &path) {
                Inside::Scalar(kind) => {
                    check(heading, &path, told);
                    rows.push_str(&row(key, &kind, told));
                }
                Inside::Known(form, heading) => {
                    let told =
                        Told { meaning: format!("{} Keys as in `{heading}`.", told.meaning), ..told.clone() };
                    rows.push_str(&row(key, form, &told));
                }
                Inside::Tables(tables) => {
                    inner.extend(
                        tables.into_iter().map(|(heading, path)| (heading, path, told.meaning.clone())),
                    );
                }
            }
        }
        if !rows.is_empty() {
            let head = "| key | type | default | limits | what |\n|---|---|---|---|---|\n";
            self.text.push_str(&format!("\n## `{heading}`\n\n{lead}\n\n{head}{rows}"));
        } else if let [.., Step::Variant(..)] = path {
            self.text.push_str(&format!("\n## `{heading}`\n\n{lead}\n"));
        }
        for (heading, path, lead) in inner {
            // Of tables alike only the first is described.
            let Kind::Table(keys) = kind(&path) else { panic!("{heading}") };
            if !self.known.contains_key(&keys) {
                self.table(&heading, &path, &lead);
            }
        }
    }

    /// What stands at a key.
    fn inside(&self, heading: &str, key: &str, path: &[Step]) -> Inside {
        let outer = heading.split(' ').next().unwrap().trim_matches(['[', ']']);
        let name = if outer.is_empty() { key.to_owned() } else { format!("{outer}.{key}") };
        let table = |form: &'static str, heading: String, path: Vec<Step>| match kind(&path) {
            Kind::Table(keys) => match self.known.get(&keys) {
                Some(known) => Inside::Known(form, known.clone()),
                None => Inside::Tables(vec![(heading, path)]),
            },
            Kind::Tagged(tag, variants) => Inside::Tables(
                variants
                    .into_iter()
                    .map(|variant| {
                        let heading = format!("{heading} {tag} = \"{variant}\"");
                        (heading, [path.as_slice(), &[Step::Variant(tag, variant)]].concat())
                    })
                    .collect(),
            ),
            Kind::Scalar(name) => Inside::Scalar(format!("{form} of {name}")),
            other => panic!("{heading}: {other:?}"),
        };
        match kind(path) {
            Kind::Scalar(kind) => Inside::Scalar(kind),
            Kind::Table(_) => table("table", format!("[{name}]"), path.to_vec()),
            Kind::List => table("list", format!("[[{name}]]"), [path, &[Step::Element]].concat()),
            Kind::Map => table("table", format!("[{name}.NAME]"), [path, &[Step::key("NAME")]].concat()),
            Kind::Tagged(..) => panic!("{name} is tagged"),
        }
    }
}

/// What stands at a key.
enum Inside {
    /// A value, of this type.
    Scalar(String),
    /// A table or a list of tables whose keys are described under this heading.
    Known(&'static str, String),
    /// Tables to describe.
    Tables(Vec<(String, Vec<Step>)>),
}

fn row(key: &str, kind: &str, told: &Told) -> String {
    let default = match &told.default {
        Some(default) => format!("`{default}`{}", told.note),
        None if told.required => "required".to_owned(),
        None => String::new(),
    };
    let limit = |word: &str, limit: &Option<String>| limit.as_ref().map(|limit| format!("{word} `{limit}`"));
    let limits = match (limit("from", &told.least), limit("to", &told.most)) {
        (Some(least), Some(most)) => format!("{least} {most}"),
        (Some(least), None) => least,
        (None, Some(most)) => most.replace("to", "at most"),
        (None, None) => String::new(),
    };
    let cells = [kind, &default, &limits, &told.meaning].map(reference::cell);
    format!("| `{key}` | {} |\n", cells.join(" | "))
}

#[test]
fn the_reference_of_the_configuration_is_current() {
    let mut page = Page::default();
    page.table("", &[], "");
    reference::hold(
        "configuration.md",
        &format!("{}{LEAD}{}", reference::title("Configuration keys"), page.text),
    );
}

#[test]
fn what_a_page_says_of_a_key_is_held_to_what_the_key_does() {
    let path = [Step::key("reload"), Step::key("poll")];
    let told = |default: &str, least: &str, most: &str| Told {
        default: Some(default.to_owned()),
        least: Some(least.to_owned()),
        most: Some(most.to_owned()),
        ..Told::default()
    };
    check("[reload]", &path, &told("\"1s\"", "\"50ms\"", "\"1h\""));
    for wrong in [
        told("\"2s\"", "\"50ms\"", "\"1h\""),
        told("\"1s\"", "\"60ms\"", "\"1h\""),
        told("\"1s\"", "\"40ms\"", "\"1h\""),
        told("\"1s\"", "\"50ms\"", "\"2h\""),
        told("\"1s\"", "\"50ms\"", "\"59m\""),
    ] {
        let path = path.clone();
        assert!(std::panic::catch_unwind(move || check("[reload]", &path, &wrong)).is_err());
    }
}
