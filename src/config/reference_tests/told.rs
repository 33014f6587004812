//! What doc comments of keys say.

use std::fs;
use std::path::{Path, PathBuf};

/// What is told of a key. Its last paragraph, where that begins so, says what can be checked: "Default `1`, from `1` to `9`.",
/// "Required." or "At least `1`."
#[derive(Debug, Default, Clone)]
pub(super) struct Told {
    pub(super) meaning: String,
    /// A TOML literal.
    pub(super) default: Option<String>,
    /// What else is said of the default.
    pub(super) note: String,
    pub(super) least: Option<String>,
    pub(super) most: Option<String>,
    pub(super) required: bool,
}

/// What a paragraph begins with that can be checked.
const CHECKED: [&str; 5] = ["Default `", "Required", "From `", "At least `", "At most `"];

/// What is told of the keys of the table that has these and no others.
pub(super) fn told(keys: &[String]) -> Option<Vec<Told>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config");
    let tables = sources(&folder).into_iter().flat_map(|path| tables(&fs::read_to_string(path).unwrap()));
    let mut same = tables.filter(|table| table.iter().map(|(key, _)| key).eq(keys));
    same.next().map(|table| table.into_iter().map(|(_, text)| Told::read(&text)).collect())
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The structs of a file: names of fields, as they are written in a configuration, with their doc comments.
fn tables(source: &str) -> Vec<Vec<(String, String)>> {
    let mut tables = Vec::new();
    let mut fields = None;
    let (mut text, mut renamed) = (String::new(), None);
    for line in source.lines() {
        let bare = line.trim();
        let bare = match bare.strip_prefix("pub(") {
            Some(rest) => rest.split_once(") ").map_or(bare, |(_, bare)| bare),
            None => bare.trim_start_matches("pub "),
        };
        if line == "}" {
            tables.extend(fields.take());
        } else if bare.starts_with("struct ") && bare.ends_with('{') {
            fields = Some(Vec::new());
            text.clear();
        } else if let Some(words) = bare.strip_prefix("///") {
            text.push_str(words.trim());
            text.push('\n');
        } else if let Some(name) = bare.strip_prefix("#[serde(rename = \"") {
            renamed = name.split('"').next().map(str::to_owned);
        } else if let (Some(fields), Some((name, _)), false) =
            (&mut fields, bare.split_once(": "), bare.starts_with('#'))
        {
            let name = renamed.take().unwrap_or_else(|| name.trim_start_matches("r#").to_owned());
            fields.push((name, std::mem::take(&mut text)));
        }
    }
    tables
}

impl Told {
    fn read(text: &str) -> Self {
        let text = text.trim();
        let is_checked = |text: &str| CHECKED.iter().any(|word| text.starts_with(word));
        let (meaning, checked) =
            text.rsplit_once("\n\n").filter(|(_, last)| is_checked(last)).unwrap_or((text, ""));
        let mut told = Self { meaning: meaning.replace('\n', " "), ..Self::default() };
        let checked = checked.replace('\n', " ");
        let checked = checked.trim_end_matches('.');
        told.required = checked.starts_with("Required");
        let limits = match checked.trim_start_matches("Required").strip_prefix("Default ") {
            Some(rest) => {
                let (default, rest) = quoted(rest);
                told.default = Some(default);
                rest
            }
            None => checked.trim_start_matches("Required").replace("From", "from").replace("At", "at"),
        };
        let limits = limits.trim_start_matches(',').trim_start().to_owned();
        let after = |word: &str| limits.split_once(word).map(|(_, rest)| quoted(rest).0);
        told.least = after("from `").or(after("at least `"));
        told.most = after(" to `").or(after("at most `"));
        if told.least.is_none() && told.most.is_none() && !limits.is_empty() {
            told.note = format!(", {limits}");
        }
        told
    }
}

/// The text up to the next backtick, with or without one before, and what is after it.
fn quoted(text: &str) -> (String, String) {
    let text = text.trim_start_matches('`');
    let (inside, rest) = text.split_once('`').unwrap_or_else(|| panic!("no backtick ends {text}"));
    (inside.to_owned(), rest.to_owned())
}
