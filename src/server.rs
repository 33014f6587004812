//! The listeners. Each turns its wire format into a question for [`crate::pdp::Pdp`] and the answer back.

pub mod authzen;
pub mod deadline;
pub mod grpc;
pub mod pb;
pub mod protocol;
pub mod status;
pub mod wire;
