//! Typed actions as Cedar schema text.

use super::input_type::{InputType, Record, parts};

/// One tool's action: the id is the tool's, and the input its arguments.
pub(super) struct TypedAction {
    pub(super) id: String,
    pub(super) input: Record,
}

const HEADER: &str = "\
// Typed actions for tools of one MCP server, made from its answer to tools/list.
// @tool says whose arguments an action governs. @union: a record of parts named by kind, where a value fills each part it fits.
// @json: the value's canonical JSON text (RFC 8785), for what has no closed type.
";

/// Names the schema grammar reads as something else than a name.
const RESERVED: [&str; 10] = ["true", "false", "if", "then", "else", "in", "is", "like", "has", "__cedar"];

/// A whole schema fragment, which joins the domain schema of that namespace.
pub(super) fn schema(namespace: &str, actions: &[TypedAction]) -> String {
    let mut text = SchemaText::new();
    text.line(&format!("namespace {namespace} {{"));
    for action in actions {
        text.action(action);
    }
    text.line("}");
    text.out
}

struct SchemaText {
    out: String,
    depth: usize,
}

impl SchemaText {
    fn new() -> Self {
        SchemaText { out: HEADER.to_owned(), depth: 0 }
    }

    /// Writes one line, indented by the brackets that are open before it.
    fn line(&mut self, line: &str) {
        if line.starts_with('}') {
            self.depth -= 1;
        }
        for _ in 0..self.depth {
            self.out.push_str("  ");
        }
        self.out.push_str(line);
        self.out.push('\n');
        if line.ends_with('{') {
            self.depth += 1;
        }
    }

    fn action(&mut self, action: &TypedAction) {
        let id = quoted(&action.id);
        self.line(&format!("@tool({id})"));
        self.line(&format!("action {id} in [call_tool] appliesTo {{"));
        self.line("principal: [User, Agent],");
        self.line("resource: [Tool],");
        self.line("context: {");
        self.line("now: datetime,");
        self.line("delegation: Chain,");
        self.line("token?: Token,");
        self.line("approval?: Approval,");
        self.line("session: Session,");
        self.line("@log(\"clear\") digest: String,");
        self.line("@log(\"clear\") touches: Set<Data>,");
        self.record("input: ", &action.input, "");
        self.line("},");
        self.line("};");
    }

    fn record(&mut self, before: &str, record: &Record, after: &str) {
        if record.is_empty() {
            return self.line(&format!("{before}{{}}{after},"));
        }
        self.line(&format!("{before}{{"));
        for (name, attribute) in record {
            self.attribute(name, attribute.is_optional(), &attribute.input_type);
        }
        self.line(&format!("}}{after},"));
    }

    fn union(&mut self, before: &str, branches: &[InputType], after: &str) {
        self.line(&format!("{before}{{"));
        for (part, branch) in parts(branches) {
            self.attribute(&part, true, branch);
        }
        self.line(&format!("}}{after},"));
    }

    fn attribute(&mut self, name: &str, optional: bool, input_type: &InputType) {
        let sets = set_depth(input_type);
        let inner = input_type.innermost();
        let mark = if optional { "?" } else { "" };
        let open = "Set<".repeat(sets);
        let close = ">".repeat(sets);
        let before = format!("{}{}{mark}: {open}", annotation(inner), attribute_name(name));
        match inner {
            InputType::Record(record) => self.record(&before, record, &close),
            InputType::Union(branches) => self.union(&before, branches, &close),
            other => self.line(&format!("{before}{}{close},", primitive(other))),
        }
    }
}

fn set_depth(input_type: &InputType) -> usize {
    match input_type {
        InputType::Set(element) => 1 + set_depth(element),
        _ => 0,
    }
}

fn annotation(input_type: &InputType) -> &'static str {
    match input_type {
        InputType::Union(_) => "@union ",
        InputType::Any | InputType::Structured => "@json ",
        _ => "",
    }
}

fn primitive(input_type: &InputType) -> &'static str {
    match input_type {
        InputType::Long => "Long",
        InputType::Decimal => "decimal",
        InputType::Bool => "Bool",
        _ => "String",
    }
}

fn attribute_name(name: &str) -> String {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    let continues = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_identifier = name.starts_with(starts) && name.chars().all(continues);
    if is_identifier && !RESERVED.contains(&name) {
        return name.to_owned();
    }
    quoted(name)
}

/// A Cedar string. Invisible characters and those that turn the writing direction are escaped too, so that a schema
/// reads as it means.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}
