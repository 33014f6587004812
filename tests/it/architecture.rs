//! The shape of the code: who may import whom, and how long a file may be.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest source file, in lines.
const MAX_LINES: usize = 400;

/// Modules in the order of dependency, and what none of their files may name.
const FORBIDDEN: [(&str, &[&str]); 16] = [
    ("outbound", &["tonic", "axum", "crate::"]),
    ("verifiers", &["tonic", "axum", "crate::"]),
    (
        "collector",
        &[
            "axum",
            "crate::server",
            "crate::pdp",
            "crate::store",
            "crate::identity",
            "crate::audit",
            "crate::telemetry",
            "crate::config",
            "crate::cli",
            "crate::app",
        ],
    ),
    (
        "telemetry",
        &["axum", "figment", "crate::server", "crate::pdp", "crate::config", "crate::cli", "crate::app"],
    ),
    (
        "engine",
        &[
            "tonic",
            "axum",
            "tokio",
            "prost",
            "figment",
            "clap",
            "std::fs",
            "std::net",
            "std::env",
            "SystemTime",
            "crate::server",
            "crate::pdp",
            "crate::store",
            "crate::config",
            "crate::cli",
            "crate::app",
            "crate::mcp",
        ],
    ),
    (
        "mcp",
        &[
            "tonic",
            "axum",
            "tokio",
            "std::fs",
            "std::net",
            "crate::server",
            "crate::pdp",
            "crate::store",
            "crate::cli",
        ],
    ),
    (
        "identity",
        &[
            "tonic",
            "axum",
            "crate::server",
            "crate::pdp",
            "crate::store",
            "crate::audit",
            "crate::config",
            "crate::cli",
            "crate::app",
            "crate::mcp",
        ],
    ),
    (
        "store",
        &[
            "tonic",
            "axum",
            "crate::identity",
            "crate::server",
            "crate::pdp",
            "crate::config",
            "crate::cli",
            "crate::app",
        ],
    ),
    (
        "audit",
        &[
            "tonic",
            "axum",
            "prost",
            "figment",
            "clap",
            "tokio::fs",
            "tokio::net",
            "tokio::spawn",
            "tokio::task",
            "crate::server",
            "crate::pdp",
            "crate::store",
            "crate::identity",
            "crate::config",
            "crate::cli",
            "crate::app",
            "crate::mcp",
        ],
    ),
    (
        SINKS,
        &[
            "axum",
            "figment",
            "clap",
            "tokio::fs",
            "tokio::net",
            "tokio::spawn",
            "new_multi_thread",
            "crate::server",
            "crate::pdp",
            "crate::store",
            "crate::identity",
            "crate::config",
            "crate::cli",
            "crate::app",
            "crate::mcp",
        ],
    ),
    ("cases", &["tonic", "axum", "tokio", "std::fs", "crate::server", "crate::cli", "crate::app"]),
    ("pdp", &["tonic", "axum", "crate::server", "crate::config", "crate::cli", "crate::app"]),
    (
        "following",
        &[
            "axum",
            "clap::",
            "crate::pdp",
            "crate::identity",
            "crate::audit",
            "crate::cli",
            "crate::app",
            "crate::config",
        ],
    ),
    ("proxy", &["axum", "clap::", "crate::cli", "crate::app", "crate::config"]),
    ("server", &["crate::proxy", "crate::cli", "crate::app", "crate::config", "clap::"]),
    ("config", &["tonic", "axum", "tokio", "crate::server", "crate::pdp", "crate::cli", "crate::app"]),
];

/// Sinks of the decision log speak to others, each on a runtime of its own thread.
const SINKS: &str = "audit/sinks";

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test(&path) {
            found.push(path);
        }
    }
    found
}

/// Tests beside the code may read files and run longer.
fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_tests"))
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The module a file belongs to: the first name below `src`, but for sinks.
fn module(path: &Path) -> String {
    let sinks = source_root().join(SINKS);
    if path.starts_with(&sinks) || path == sinks.with_extension("rs") {
        return SINKS.to_owned();
    }
    let first =
        path.strip_prefix(source_root()).unwrap().iter().next().unwrap().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// A file's code without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Whether code has a name: not as the end of a longer one.
fn names(code: &str, name: &str) -> bool {
    let mut found = code.match_indices(name);
    found.any(|(at, _)| !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
}

#[test]
fn modules_import_downwards_only() {
    for path in sources(&source_root()) {
        let module = module(&path);
        let code = code(&path);
        let forbidden = FORBIDDEN.iter().filter(|(name, _)| *name == module).flat_map(|(_, names)| *names);
        for name in forbidden {
            assert!(!names(&code, name), "{} names `{name}`, which `{module}` must not", path.display());
        }
    }
}

#[test]
fn only_one_sink_speaks_grpc() {
    let sinks = source_root().join(SINKS);
    for path in sources(&sinks) {
        let speaks = ["tonic", "prost", "opentelemetry"].iter().any(|name| code(&path).contains(name));
        assert!(!speaks || path.ends_with("otlp.rs"), "{} speaks gRPC", path.display());
    }
}

#[test]
fn only_one_module_names_cedars_core() {
    let home = source_root().join("engine").join("cedar");
    for path in sources(&source_root()) {
        if !path.starts_with(&home) && path != home.with_extension("rs") {
            assert!(!code(&path).contains("cedar_policy_core"), "{} names cedar_policy_core", path.display());
        }
    }
}

#[test]
fn only_who_writes_a_program_may_ask_for_less() {
    for path in sources(&source_root()) {
        let lesser = ["Strictness::Language", "PolicyIds"].iter().any(|name| code(&path).contains(name));
        let home = path.starts_with(source_root().join("engine"));
        assert!(home || !lesser, "{} asks for less than everything", path.display());
    }
}

#[test]
fn files_stay_short_enough_to_read() {
    for path in sources(&source_root()) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines; part it at a concept", path.display());
    }
}

#[test]
fn main_fits_on_a_screen() {
    let lines = fs::read_to_string(source_root().join("main.rs")).unwrap().lines().count();
    assert!(lines <= 40, "main.rs has {lines} lines");
}
