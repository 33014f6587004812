//! The decision log as evidence: what a real server wrote is verified and proven, and found out whatever is changed of it.

mod python;
mod receipts;
mod start;
mod tampering;
mod written;
