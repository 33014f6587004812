//! Why a tool list was refused.

use super::strict_json::MAX_TEXT_BYTES;
use super::tools_list::MAX_LEVELS;

/// Why a tool list was refused: what is wrong, where, and what to do about it.
///
/// Names in it are quoted and cut to a readable length, as they are the server's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// An option has a value that the domain has no place for.
    #[error("option {option} is {value}; it must be {expected}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What it was set to, quoted.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The server's name cannot be the first half of an id.
    #[error("server name {name} cannot be used: {reason}; choose another name")]
    ServerName {
        /// The name, quoted.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// The text is longer than is read.
    #[error(
        "the tool list has {bytes} bytes, more than the {MAX_TEXT_BYTES} that are read; import it in parts"
    )]
    TooLarge {
        /// The text's length in bytes.
        bytes: usize,
    },
    /// The text is not JSON.
    #[error("not JSON at line {line}, column {column}: {reason}; give the answer to tools/list as it came")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser met.
        reason: String,
    },
    /// An object gives one member twice, so two readers may see two documents.
    #[error("{path}: member {member} is given twice; remove one of them")]
    DuplicateMember {
        /// The object, as a JSON path from the top of the text.
        path: String,
        /// The member's name, quoted.
        member: String,
    },
    /// The text is JSON but no tool list.
    #[error("{path}: expected {expected}, found {found}; give the answer to tools/list as it came")]
    Shape {
        /// Where, as a JSON path from the top of the text.
        path: String,
        /// What belongs there.
        expected: &'static str,
        /// The kind of JSON value that is there.
        found: &'static str,
    },
    /// A tool has no name to be known by.
    #[error("{path}: the tool's name is empty; give it a name or remove the tool")]
    EmptyName {
        /// Where, as a JSON path from the top of the text.
        path: String,
    },
    /// Several tools share a name, so an id would not say which is meant.
    #[error("tools share a name: {}; rename or remove all but one of each", .names.join(", "))]
    DuplicateTools {
        /// The shared names, quoted and sorted.
        names: Vec<String>,
    },
    /// A definition is nested beyond what is read.
    #[error("{at}: nested over {MAX_LEVELS} levels; flatten the definition or remove the tool")]
    TooDeep {
        /// The tool, where its name is known, and a JSON path.
        at: String,
    },
    /// Something in a tool's definition has no meaning.
    #[error("tool {tool}: {path}: {reason}")]
    Definition {
        /// The tool's name, quoted.
        tool: String,
        /// Where, as a JSON path from the top of the tool's definition.
        path: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Tools were named to be typed that the list does not have.
    #[error("no such tool to be typed: {}; use a name from the list", .missing.join(", "))]
    UnknownTyped {
        /// The names, quoted, each with the names nearest to it.
        missing: Vec<String>,
    },
    /// A tool's digest could not be made.
    #[error("tool {tool}: its definition has no canonical form: {reason}; remove the tool")]
    Digest {
        /// The tool's name, quoted.
        tool: String,
        /// What the canonicalizer met.
        reason: String,
    },
    /// What an earlier import wrote is not what an import writes.
    #[error("{reason}; import the server anew")]
    Stored {
        /// What is wrong.
        reason: &'static str,
    },
    /// Tools that are on other pages would seem removed.
    #[error("the answer names a next page (nextCursor): give the tools of all pages as one list")]
    Incomplete,
}

/// How many characters of a foreign name a message shows.
const SHOWN_CHARS: usize = 80;

/// A name as messages show it: quoted, invisible characters escaped, cut if long.
pub(super) fn shown(name: &str) -> String {
    match name.char_indices().nth(SHOWN_CHARS) {
        None => format!("{name:?}"),
        Some((end, _)) => format!("{:?}…", name.get(..end).unwrap_or_default()),
    }
}
