//! What the command line says.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::load::Shape;

/// What a decision costs over gRPC, against a bare echo of the same messages.
#[derive(Debug, Clone, Parser)]
pub(crate) struct Options {
    /// Rounds; each runs every configuration once, in turn.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Requests measured in each round, under saturation.
    #[arg(long, default_value_t = 50_000)]
    pub(crate) requests: usize,
    /// Requests before anything is measured.
    #[arg(long, default_value_t = 5_000)]
    pub(crate) warm_up: usize,
    /// Connections.
    #[arg(long, default_value_t = 2)]
    connections: usize,
    /// Calls under way on each connection, under saturation.
    #[arg(long, default_value_t = 16)]
    streams: usize,
    /// Requests a second of the paced load.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) rate: u32,
    /// How long the paced load lasts in each round, in seconds.
    #[arg(long, default_value_t = 3)]
    pub(crate) seconds: u64,
    /// Worker threads of each server. The client has one thread.
    #[arg(long, default_value_t = 1)]
    pub(crate) workers: usize,
    /// Cargo says so to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// What this process is, if not the benchmark itself.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Role {
    /// Serve the answers in a file.
    #[command(hide = true)]
    Echo {
        /// Answers, each with its length before it.
        answers: PathBuf,
    },
}

impl Options {
    /// How the client spreads its calls.
    pub(crate) fn shape(&self) -> Shape {
        Shape { connections: self.connections, streams: self.streams }
    }
}
