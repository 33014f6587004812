//! `mandate import-mcp`

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::Exit;
use super::output::{self, BAD, FAINT, Format, GOOD, NAME};
use crate::mcp::{Difference, Import, Options, Stored, Typed, approve, compare, import};

/// Turn an MCP server's tool list into entities and typed actions.
#[derive(Debug, Args)]
pub struct ImportMcp {
    /// JSON answer of `tools/list`.
    file: PathBuf,
    /// Folder to write `schemas/` and `entities/` into.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Name of the server [default: the file's name up to the first dot].
    #[arg(long)]
    server: Option<String>,
    /// Give this tool a typed action, so that policies can read its arguments; may be repeated.
    #[arg(long, value_name = "TOOL", conflicts_with = "typed_all")]
    typed: Vec<String>,
    /// Give every tool a typed action.
    #[arg(long)]
    typed_all: bool,
    /// User who owns the server and its tools [default: a placeholder to fill in].
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// Environment the server runs in: dev, staging, prod.
    #[arg(long, default_value = "dev")]
    env: String,
    /// How sensitive what the tools reach is, 0 (public) to 3 (restricted).
    #[arg(long, default_value_t = 1)]
    level: i64,
    /// Day the ownership was last reviewed [default: 1970-01-01, never].
    #[arg(long, value_name = "DATE", default_value = "1970-01-01")]
    reviewed: String,
    /// A person has reviewed this server.
    #[arg(long)]
    trusted: bool,
    /// Put the server's toolset in this toolset; may be repeated.
    #[arg(long = "in", value_name = "TOOLSET")]
    within: Vec<String>,
    /// Namespace of the agent domain.
    #[arg(long, default_value = "Mandate")]
    namespace: String,
    /// Write nothing: show how the list differs from what was imported into --out, and exit with 3 if it does.
    #[arg(long, conflicts_with = "approve")]
    diff: bool,
    /// Approve the list over what was imported into --out: changed tools take their new digests, removed ones are retired, and
    /// whatever else people have set stays.
    #[arg(long)]
    approve: bool,
}

impl ImportMcp {
    /// Imports and writes.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        self.done(format).unwrap_or_else(|message| {
            output::failure(&message);
            Exit::Failure
        })
    }

    fn done(&self, format: Format) -> Result<Exit, String> {
        let text = read(&self.file)?;
        let options = self.options();
        let wrong = |error| format!("`{}`: {error}", self.file.display());
        if self.diff {
            let files = Files::read(&self.out, &options.server)?;
            let difference = compare(&text, &options, files.stored()).map_err(wrong)?;
            tell(&options.server, &difference, format);
            return Ok(if difference.is_none() { Exit::Ok } else { Exit::Rejected });
        }
        let import = if self.approve {
            let files = Files::read(&self.out, &options.server)?;
            let (import, difference) = approve(&text, &options, files.stored()).map_err(wrong)?;
            if format == Format::Text {
                tell(&options.server, &difference, format);
            }
            import
        } else {
            import(&text, &options).map_err(wrong)?
        };
        let written = write(&self.out, &options.server, &import)?;
        report(&options.server, &import, &written, format);
        Ok(Exit::Ok)
    }

    fn options(&self) -> Options {
        let typed = match (self.typed_all, self.typed.is_empty()) {
            (true, _) => Typed::All,
            (false, true) => Typed::None,
            (false, false) => Typed::Named(self.typed.clone()),
        };
        Options {
            server: self.server.clone().unwrap_or_else(|| stem(&self.file)),
            typed,
            owner: self.owner.clone(),
            env: self.env.clone(),
            level: self.level,
            reviewed: self.reviewed.clone(),
            trusted: self.trusted,
            within: self.within.clone(),
            namespace: self.namespace.clone(),
        }
    }
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("`{}` cannot be read: {error}", file.display()))
}

/// What an earlier import wrote.
struct Files {
    entities: String,
    definitions: Option<String>,
}

impl Files {
    fn read(out: &Path, server: &str) -> Result<Self, String> {
        let [entities, _, definitions] = places(out, server);
        if !entities.exists() {
            return Err(format!(
                "`{}` is not there: import the server first, without --diff and --approve",
                entities.display()
            ));
        }
        let definitions = definitions.exists().then(|| read(&definitions)).transpose()?;
        Ok(Self { entities: read(&entities)?, definitions })
    }

    fn stored(&self) -> Stored<'_> {
        Stored { entities: &self.entities, definitions: self.definitions.as_deref() }
    }
}

/// Where an import stands: entities, typed actions, definitions.
fn places(out: &Path, server: &str) -> [PathBuf; 3] {
    let name = file_name(server);
    [("entities", "json"), ("schemas", "cedarschema"), ("schemas", "tools.json")]
        .map(|(folder, suffix)| out.join(folder).join(format!("{name}.{suffix}")))
}

/// Shows what is not as it was approved.
fn tell(server: &str, difference: &Difference, format: Format) {
    if format == Format::Json {
        let changed = difference.changed.iter().map(
            |changed| json!({"tool": changed.tool, "was": changed.was, "is": changed.is, "at": changed.at}),
        );
        return output::json(&json!({
            "server": server,
            "added": difference.added,
            "changed": changed.collect::<Vec<_>>(),
            "returned": difference.returned,
            "removed": difference.removed,
            "unchanged": difference.unchanged,
        }));
    }
    let tool = |name: &str| format!("{server}/{}", name.escape_debug());
    for changed in &difference.changed {
        let at = if changed.at.is_empty() {
            "its approved definition is not on file".to_owned()
        } else {
            changed.at.join(" ")
        };
        anstream::println!(
            "{BAD}changed{BAD:#}  {NAME}{}{NAME:#}  {FAINT}{at}{FAINT:#}",
            tool(&changed.tool)
        );
    }
    for (word, names) in
        [("added", &difference.added), ("returned", &difference.returned), ("removed", &difference.removed)]
    {
        for name in names {
            anstream::println!("{BAD}{word}{BAD:#}  {NAME}{}{NAME:#}", tool(name));
        }
    }
    anstream::println!("{} tools are as they were approved", difference.unchanged);
}

fn stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Writes what was imported; each file is complete or not there.
fn write(out: &Path, server: &str, import: &Import) -> Result<Vec<PathBuf>, String> {
    let texts = [Some(&import.entities), import.schema.as_ref(), import.definitions.as_ref()];
    let mut written = Vec::new();
    for (path, text) in places(out, server).into_iter().zip(texts) {
        match text {
            Some(text) => {
                place(&path, text)
                    .map_err(|error| format!("`{}` cannot be written: {error}", path.display()))?;
                written.push(path);
            }
            // What an earlier import typed and this one does not must not linger.
            None if path.exists() => {
                fs::remove_file(&path)
                    .map_err(|error| format!("`{}` cannot be removed: {error}", path.display()))?;
            }
            None => {}
        }
    }
    Ok(written)
}

fn place(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let part = path.with_extension("part");
    fs::write(&part, text)?;
    fs::rename(&part, path)
}

/// A server's name may hold what a file's may not.
fn file_name(server: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' };
    server.chars().map(safe).collect()
}

fn report(server: &str, import: &Import, written: &[PathBuf], format: Format) {
    if format == Format::Json {
        return output::json(&json!({
            "server": server,
            "tools": import.tools,
            "typed": import.typed,
            "files": written,
            "notes": import.notes,
        }));
    }
    let (tools, typed) = (import.tools, import.typed);
    anstream::println!("{GOOD}imported{GOOD:#} {NAME}{server}{NAME:#}: {tools} tools, {typed} of them typed");
    for path in written {
        anstream::println!("  {}", path.display());
    }
    for note in &import.notes {
        anstream::println!("{FAINT}note: {note}{FAINT:#}");
    }
}
