//! `mandate proxy` between agents and MCP servers: the real command, real servers and clients of other makers, and a server
//! that does what no honest one does.

mod agent;
mod calls;
mod decisions;
mod learning;
mod others;
mod protocol;
mod world;
