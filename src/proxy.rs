//! `mandate proxy`: an enforcement point in front of one MCP server.
//!
//! An agent starts the proxy as if it were the server, and speaks MCP to it over standard input and output; the proxy speaks
//! to the server, which it starts itself or finds at a URL. Of what they say to each other it passes on what it knows, each
//! call after a decision, and refuses the rest. Messages are JSON throughout: a proxy that read them into types of one
//! revision of MCP would drop what a later one adds, and the digest of a tool's definition is over all of it.

mod agent;
mod answer;
mod capabilities;
mod catalog;
mod child;
mod decider;
mod definitions;
mod facts;
mod held;
mod http;
mod http_client;
mod learn;
mod learned;
mod learning;
mod lines;
mod listing;
mod message;
mod methods;
mod outcomes;
mod pending;
mod question;
mod refusal;
mod relay;
mod server_side;
mod subject;
mod tap;
mod unprocessed;
mod upstream;
mod verdict;

pub use capabilities::{Capability, Passed};
pub use decider::{Decider, Embedded, Remote};
pub use facts::Claims;
pub use http::Address;
pub use learn::Learner;
pub use relay::{Config, Ended, run};
pub use subject::Subject;
pub use upstream::{Start, Upstream, UpstreamError};
