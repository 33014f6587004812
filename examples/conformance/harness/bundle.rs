//! One published test: sources, questions, and what must come of them.

use std::collections::BTreeSet;

use mandate::engine::compile::Sources;
use mandate::engine::datum::Reference;
use mandate::engine::generation::PolicyIds;
use mandate::engine::problem::SourceFile;

/// Sources, and what is asked of them.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    /// Where it stands: file, line, id.
    pub(crate) name: String,
    pub(crate) policies: String,
    pub(crate) ids: PolicyIds,
    /// Links of templates, in the form of Cedar's own command line.
    pub(crate) links: Option<String>,
    pub(crate) schema: Option<SchemaText>,
    /// Entities, as JSON.
    pub(crate) entities: String,
    /// Whether Cedar's strict validator accepts the policies, where the test says.
    pub(crate) valid: Option<bool>,
    pub(crate) cases: Vec<Case>,
}

/// A schema in one of Cedar's two forms.
#[derive(Debug, Clone)]
pub(crate) enum SchemaText {
    Cedar(String),
    Json(String),
}

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) description: String,
    pub(crate) principal: Reference,
    pub(crate) action: Reference,
    pub(crate) resource: Reference,
    /// The context, as Cedar JSON.
    pub(crate) context: String,
    /// Whether the question fits the schema.
    pub(crate) fits: bool,
    pub(crate) expected: Expected,
}

/// The answer.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) allow: bool,
    /// Determining policies and those that fail, where the test says.
    pub(crate) policies: Option<(BTreeSet<String>, BTreeSet<String>)>,
}

impl Bundle {
    /// The bundle as files, without its schema or without its entities where that is asked for.
    pub(crate) fn sources(&self, with_schema: bool, with_entities: bool) -> Sources {
        let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), bytes: text.into() };
        let schema = self.schema.as_ref().filter(|_| with_schema).map(|schema| match schema {
            SchemaText::Cedar(text) => file("test.cedarschema", text),
            SchemaText::Json(text) => file("test.cedarschema.json", text),
        });
        // A mark that text may not begin with is fine inside JSON, if it is written in ASCII.
        let entities = self.entities.replace('\u{feff}', "\\ufeff");
        Sources {
            policies: vec![file("test.cedar", &self.policies)],
            links: self.links.iter().map(|links| file("test.links.json", links)).collect(),
            schemas: schema.into_iter().collect(),
            entities: with_entities.then(|| file("test.json", &entities)).into_iter().collect(),
            ..Sources::default()
        }
    }
}
