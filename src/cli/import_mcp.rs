//! `mandate import-mcp`

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::Exit;
use super::output::{self, FAINT, Format, GOOD, NAME};
use crate::mcp::{Import, Options, Typed, import};

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
}

impl ImportMcp {
    /// Imports and writes.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        let imported = self.import().and_then(|(server, import)| {
            let written = write(&self.out, &server, &import)?;
            Ok((server, import, written))
        });
        match imported {
            Ok((server, import, written)) => {
                report(&server, &import, &written, format);
                Exit::Ok
            }
            Err(message) => {
                output::failure(&message);
                Exit::Failure
            }
        }
    }

    fn import(&self) -> Result<(String, Import), String> {
        let shown = self.file.display();
        let text =
            fs::read_to_string(&self.file).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
        let server = self.server.clone().unwrap_or_else(|| stem(&self.file));
        let typed = match (self.typed_all, self.typed.is_empty()) {
            (true, _) => Typed::All,
            (false, true) => Typed::None,
            (false, false) => Typed::Named(self.typed.clone()),
        };
        let options = Options {
            server: server.clone(),
            typed,
            owner: self.owner.clone(),
            env: self.env.clone(),
            level: self.level,
            reviewed: self.reviewed.clone(),
            trusted: self.trusted,
            within: self.within.clone(),
            namespace: self.namespace.clone(),
        };
        let import = import(&text, &options).map_err(|error| format!("`{shown}`: {error}"))?;
        Ok((server, import))
    }
}

fn stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Writes what was imported; each file is complete or not there.
fn write(out: &Path, server: &str, import: &Import) -> Result<Vec<PathBuf>, String> {
    let files = [
        ("entities", "json", Some(&import.entities)),
        ("schemas", "cedarschema", import.schema.as_ref()),
        ("schemas", "tools.json", import.definitions.as_ref()),
    ];
    let name = file_name(server);
    let mut written = Vec::new();
    for (folder, suffix, text) in files {
        let path = out.join(folder).join(format!("{name}.{suffix}"));
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
