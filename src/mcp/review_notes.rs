//! What a person should look at before imported files go into service.

use super::entities::OWNER_PLACEHOLDER;
use super::error::shown;
use super::input_type::json_places;
use super::options::Options;
use super::root_schema::Input;
use super::tools_list::{Tool, ToolsList};

/// How many examples a note gives.
const EXAMPLES: usize = 5;

/// The longest name that MCP recommends, in characters.
const MAX_NAME_CHARS: usize = 128;

/// What an import came across.
pub(super) struct Findings {
    notes: Vec<String>,
    json: Vec<String>,
    refusing: Vec<String>,
}

impl Findings {
    pub(super) fn new(list: &ToolsList<'_>, options: &Options) -> Self {
        let mut findings = Findings { notes: Vec::new(), json: Vec::new(), refusing: Vec::new() };
        findings.about_completeness(list);
        if options.owner.is_none() {
            findings.note(format!(
                "no owner was given: replace the user {OWNER_PLACEHOLDER:?} by the people who answer for server and tools"
            ));
        }
        findings.about_hints(list);
        findings.about_names(list);
        findings
    }

    /// Keeps what typing a tool came across.
    pub(super) fn typed(&mut self, tool: &str, input: &Input) {
        let tool = shown(tool);
        let json = json_places(&input.record);
        if !json.is_empty() {
            self.json.push(format!("{tool} {json}"));
        }
        if !input.refusing.is_empty() {
            self.refusing.push(format!("{tool} {}", input.refusing));
        }
    }

    pub(super) fn into_notes(mut self) -> Vec<String> {
        let json = std::mem::take(&mut self.json);
        self.note_some(
            &json,
            "with arguments kept as JSON text, which policies can only compare or match with `like`",
        );
        let refusing = std::mem::take(&mut self.refusing);
        self.note_some(
            &refusing,
            "with members beyond those declared; typed calls that carry such members are refused",
        );
        self.notes
    }

    fn about_completeness(&mut self, list: &ToolsList<'_>) {
        if list.tools.is_empty() {
            self.note("the list has no tools".to_owned());
        }
        if list.has_more {
            self.note(
                "the answer names a next page (nextCursor): tools of other pages are missing here".to_owned(),
            );
        }
    }

    fn about_hints(&mut self, list: &ToolsList<'_>) {
        let silent = names(list, |tool| !tool.hints.given());
        self.note_some(&silent, "without annotations about risk, treated as destructive and outward");
        let read_only = names(list, |tool| tool.hints.read_only());
        self.note_some(
            &read_only,
            "in the toolset \"read-only\" on the server's word alone; check before relying on it",
        );
    }

    fn about_names(&mut self, list: &ToolsList<'_>) {
        let odd = names(list, |tool| !is_recommended(tool.name));
        self.note_some(
            &odd,
            "with names beyond the 128 characters of [A-Za-z0-9_.-] that MCP recommends; look for look-alikes",
        );
    }

    fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// `3 tools without …: "a", "b", "c"`; nothing for none.
    fn note_some(&mut self, subjects: &[String], what: &str) {
        let count = subjects.len();
        if count == 0 {
            return;
        }
        let examples: Vec<&str> = subjects.iter().take(EXAMPLES).map(String::as_str).collect();
        let more = match count.saturating_sub(EXAMPLES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let tools = if count == 1 { "tool" } else { "tools" };
        self.note(format!("{count} {tools} {what}: {}{more}", examples.join(", ")));
    }
}

fn names(list: &ToolsList<'_>, chosen: impl Fn(&Tool<'_>) -> bool) -> Vec<String> {
    let tools = list.tools.iter().filter(|tool| chosen(tool));
    tools.map(|tool| shown(tool.name)).collect()
}

fn is_recommended(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.len() <= MAX_NAME_CHARS && name.chars().all(plain)
}
