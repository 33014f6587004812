//! Mandate decides whether an agent may act: who authorised this action, under which identity, within what boundary.
//!
//! Modules in reading order: [`engine`] decides, purely; [`store`] says where worlds come from;
//! [`identity`] says who asks, and on whose behalf; [`pdp`] is the one
//! door; [`audit`] writes down every answer; [`server`] speaks gRPC and HTTP; [`app`] puts a service together from [`config`]; [`cli`] is the command line;
//! [`proxy`] stands in front of an MCP server and enforces; [`listening`] is what listeners are told, [`outbound`] how this process calls others, [`collector`] an OpenTelemetry collector, [`verifiers`] whose signatures it believes;
//! [`following`] keeps a replica of another server; [`telemetry`] is what it says of itself; [`mcp`] turns tool lists into schema and entities; [`cases`] are policy tests.

pub mod app;
pub mod audit;
pub mod cases;
pub mod cli;
pub mod collector;
pub mod config;
pub mod engine;
pub mod example;
pub mod following;
pub mod identity;
pub mod listening;
pub mod mcp;
pub mod outbound;
pub mod pdp;
pub mod proxy;
#[cfg(test)]
mod reference;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod verifiers;
