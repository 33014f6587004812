//! What serde asks for at a place of the configuration: found out by giving it something else, and reading its complaint.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserialize as _, Expected, IntoDeserializer, Unexpected, Visitor};

use super::super::written::Written;

/// One step from a table towards a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    /// Into the first element of a list.
    Element,
    /// Nowhere, but the table is of this kind: the key that says so, and what it says.
    Variant(&'static str, String),
}

impl Step {
    pub(super) fn key(name: &str) -> Self {
        Self::Key(name.to_owned())
    }
}

/// What stands at a place.
#[derive(Debug)]
pub(super) enum Kind {
    /// A table of these keys.
    Table(Vec<String>),
    /// A table that is of one of several kinds, and the key that says which.
    Tagged(&'static str, Vec<String>),
    /// A list.
    List,
    /// A table of names that whoever writes it chooses.
    Map,
    /// A value, and what it is.
    Scalar(String),
}

/// What stands at a place.
pub(super) fn kind(path: &[Step]) -> Kind {
    let scalar = |name: &str| Kind::Scalar(name.to_owned());
    if let [.., Step::Variant(..)] = path {
        return table(path);
    }
    match ask(path, Given::Half) {
        Ok(()) | Err(Complaint::Missing(_)) => match ask(path, Given::Text("?".to_owned())) {
            Err(Complaint::Type(expected)) if expected == "f64" => scalar("number, with a fraction"),
            _ => scalar("anything"),
        },
        Err(Complaint::Type(expected)) => match expected.as_str() {
            "a map" => Kind::Map,
            "a sequence" => Kind::List,
            "path string" => scalar("path"),
            "a boolean" => scalar("boolean"),
            "u16" | "u32" | "u64" | "usize" => scalar("number"),
            "a string" => match ask(path, Given::Text("?".to_owned())) {
                Err(Complaint::Other(why)) if why.contains("span of time") => scalar("time span"),
                Err(Complaint::Other(why)) if why.contains("is no address") => scalar("address"),
                _ => scalar("text"),
            },
            WORD | "string or map" => match ask(path, Given::Text("?".to_owned())) {
                Err(Complaint::Variant(words)) => {
                    Kind::Scalar(words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" · "))
                }
                other => panic!("{path:?}: {other:?}"),
            },
            _ if expected.starts_with("struct ") => table(path),
            _ if expected.starts_with("internally tagged enum ") => tagged(path),
            _ => panic!("{path:?} is {expected}: say here what people call that"),
        },
        Err(Complaint::Other(why)) if why.ends_with("enum OneOrMore") => scalar("text or list of texts"),
        Err(Complaint::Other(why)) if why.ends_with("enum Said") => scalar("words, or tables of them"),
        Err(other) => panic!("{path:?}: {other:?}: say here what people call that"),
    }
}

fn table(path: &[Step]) -> Kind {
    match ask(path, Given::Table(vec![("?".to_owned(), Given::Half)])) {
        Err(Complaint::Key(keys)) => Kind::Table(keys),
        other => panic!("{path:?} takes unknown keys: {other:?}"),
    }
}

fn tagged(path: &[Step]) -> Kind {
    let Err(Complaint::Missing(tag)) = ask(path, Given::Table(Vec::new())) else { panic!("{path:?}") };
    match ask(path, Given::Table(vec![(tag.to_owned(), Given::Text("?".to_owned()))])) {
        Err(Complaint::Variant(variants)) => Kind::Tagged(tag, variants),
        other => panic!("{path:?}: {other:?}"),
    }
}

/// What serde says of this, given at this place.
fn ask(path: &[Step], given: Given) -> Result<(), Complaint> {
    let whole = path.iter().rev().fold(given, |inner, step| match step {
        Step::Key(name) => Given::Table(vec![(name.clone(), inner)]),
        Step::Element => Given::List(vec![inner]),
        Step::Variant(tag, variant) => {
            let Given::Table(mut entries) = inner else { panic!("{path:?}") };
            entries.insert(0, ((*tag).to_owned(), Given::Text(variant.clone())));
            Given::Table(entries)
        }
    });
    Written::deserialize(whole).map(drop)
}

/// What is wrong, in serde's words.
#[derive(Debug)]
enum Complaint {
    /// Something of another type is expected.
    Type(String),
    /// One of these words is expected.
    Variant(Vec<String>),
    /// One of these keys is expected.
    Key(Vec<String>),
    /// This key is missing.
    Missing(&'static str),
    Other(String),
}

const WORD: &str = "one of some words";

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Complaint {}

impl de::Error for Complaint {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }

    fn invalid_type(_given: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Type(expected.to_string())
    }

    fn unknown_variant(_given: &str, expected: &'static [&'static str]) -> Self {
        Self::Variant(expected.iter().map(|word| (*word).to_owned()).collect())
    }

    fn unknown_field(_given: &str, expected: &'static [&'static str]) -> Self {
        Self::Key(expected.iter().map(|key| (*key).to_owned()).collect())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

/// What is given.
#[derive(Debug, Clone)]
enum Given {
    /// A number that no key takes.
    Half,
    Text(String),
    List(Vec<Given>),
    Table(Vec<(String, Given)>),
}

impl IntoDeserializer<'_, Complaint> for Given {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> de::Deserializer<'de> for Given {
    type Error = Complaint;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self {
            Self::Half => visitor.visit_f64(0.5),
            Self::Text(text) => visitor.visit_string(text),
            Self::List(elements) => visitor.visit_seq(SeqDeserializer::new(elements.into_iter())),
            Self::Table(entries) => visitor.visit_map(MapDeserializer::new(entries.into_iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        match self {
            Self::Text(word) => visitor.visit_enum(word.into_deserializer()),
            _ => Err(Complaint::Type(WORD.to_owned())),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
