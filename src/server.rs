//! The listeners. Each turns its wire format into a question for [`crate::pdp::Pdp`] and the answer back.

pub mod administrators;
pub mod answer;
pub mod authzen;
pub mod call;
pub mod connections;
pub mod control;
pub mod control_token;
mod deadline;
mod delegating;
mod entities;
pub mod evidence;
pub mod grpc;
pub mod identified;
mod listing;
pub mod ops;
mod outcomes;
pub mod pb;
pub mod protocol;
pub mod report;
pub mod status;
pub mod stored;
pub mod stream;
pub mod structs;
pub mod terms;
pub mod tls;
mod watching;
pub mod wire;
