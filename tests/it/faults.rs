//! `make faults`: the real server, from a release build, on bad days. Each test brings one fault about under load, says in one line what was
//! asked of the server and what was seen, and fails if that is less.
//!
//! In reading order: [`traffic`] is the load, [`connections`] and [`fleet`] whom it reaches; [`capacity`] finds out how much that may be,
//! [`rounds`] compares good moments with bad ones, [`usage`], [`share`] and [`group`] are what a process takes and may take, [`ledger`] is what stands
//! in its decision log, [`finding`] tells. The rest are faults.
//!
//! A fault is a module with tests marked `#[ignore = "make faults"]`, and one line below. `docs/testing-faults.md` says more.

// The harness.
mod capacity;
mod connections;
mod finding;
mod fleet;
mod group;
mod ledger;
mod receiver;
mod rounds;
mod share;
mod traffic;
mod usage;

// What the harness must notice, or it would find nothing.
mod harness;

// F4: the disk of the decision log stands still, or hardly moves.
mod slow_disk;
// F5: the disk of the decision log is full, or that of the entity log.
mod full_disk;
// F6: where the log is delivered to is down, hangs, refuses or crawls.
mod sink_down;
// F7: ten times as many requests as can be answered.
mod burst;
// F11, F20: more to remember than there is room for, and less memory than that takes.
mod memory;
// F15: one replica after another is restarted.
mod rolling;
// From the previous version to this one, and back.
mod upgrade;
// F14: a follower that is cut off, hears everything late, or is frozen and thawed.
mod cut_off;
// F16: `kill -9`, of writers of both logs.
mod kills;
// F8: slow and abusive clients; what they do, and the frames they do it with.
mod abuse;
mod attacks;
mod frames;
// F18: certificates change under load.
mod rotation;
// F25: no file descriptors are left.
mod descriptors;

pub(crate) use capacity::half_load;
pub(crate) use connections::{Asked, Connections, mixed, mixed_sources};
pub(crate) use finding::Finding;
pub(crate) use rounds::alternate;
pub(crate) use traffic::{Ask, Outcome, Tally, Traffic};
pub(crate) use usage::{Usage, threads_that_wait_for_a_disk};
