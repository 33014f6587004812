//! One binary for every test that needs the real parts: the service behind its listeners, and the `mandate` command.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::too_many_lines,
    reason = "tests fail by panicking, and say loudly what they skip"
)]

// Starting servers and commands, writing sources, building requests. No test.
mod support;

// Callers: who is on the other end of a connection, and what of it is believed.
mod callers;
// What callers may ask.
mod rights;
// What `AuthorizationService` answers, and the services beside it on the data listener.
mod grpc;
// What connections may hold, and whom they may not keep out.
mod connections;
// Too much to do: who is turned away, and who is not kept waiting.
mod overload;
// What is refused or bounded before a question is understood: fields not honoured, sizes, bytes, deadlines.
mod grpc_limits;
// How large a request may be, through every door.
mod sizes;
// What an Allow asks and permits of whoever acts on it: obligations, reuse, and until when it holds.
mod terms;
// Batches: order, defaults, limits, an item's own failure.
mod batch;
// Searches: what would be allowed, page by page, for callers that may ask it.
mod search;
// Streams: each message its own question, answer, world and record; deadlines, slow readers.
mod stream;
// The cache is invisible except for speed.
mod cache_law;
// The decision log: one line for every answer, and what stands in it.
mod decision_log;
// The decision log, read: over the control listener and from the command line.
mod log_reading;
// A word in every field that callers fill, and where it may not be found again.
mod canaries;
// What became of decisions, as whoever enforces them says.
mod outcomes;
// Chains of delegations through every door: what they answer, explain and record.
mod delegation;
// The decision log as evidence: verified, proven, and changed in every way that comes to mind.
mod log_evidence;
// The account of the decision log, and what happens to answers when it cannot keep up.
mod log_account;
// The decision log where processes are killed, power is cut, and disks are full or stand still.
mod log_faults;
// Where the decision log is delivered to, and what a sink has whatever it does.
mod log_sinks;
// What callers want remembered, and whether they will enforce: for the record, never for the decision.
mod evidence;
// Probes and metrics.
mod ops;
// What OpenTelemetry collectors are told: spans and metrics.
mod telemetry;
// Administration: who is let in, and what it says.
mod control;
// What is written at run time: entities, revocations, suspensions; and what of it outlives kills.
mod entity_log;
// Followers: what they serve is what their primary serves, for as long as that can be proven.
mod follow;
// `Delegate`: may this delegator hand this on?
mod delegating;
// JSON, `Struct`, typed values and Cedar JSON on their way into Cedar, as the schema directs.
mod conversion;
// Request entities: who may be supplied, and what is refused.
mod entities;
// What must exist before policies are asked, and who needs somebody behind them.
mod presence;
// Tools whose arguments policies read.
mod typed_tools;
// Tokens of subjects: which are believed, and what is made of them.
mod subjects;
// AuthZEN over HTTP, and `/healthz`.
mod authzen;
// Envoy's `ext_authz`, by hand and through the real Envoy.
mod ext_authz;
// Sources that must not load, and what is said of them.
mod loading;
// Configuration that must not be accepted.
mod configuration;
// Policies that cannot be evaluated.
mod errors_in_policies;
// Input made to break a parser: the process lives, or says what is wrong and exits.
mod hostile;
// Requests made to break a running process: it answers, and goes on answering.
mod hostile_requests;
// Files that change under a running server, well and badly: what it serves meanwhile, and what it says.
mod reload;
// Rollbacks and emergency forbids, from the command line.
mod rollback;
mod signed_sources;
// Revoked delegations, and delegations that must not change.
mod revocations;
// How a server starts again after it was killed, and with broken files.
mod restart;
// How a server stops, and what its log then holds.
mod shutdown;
// Names of published worlds, which callers hand back.
mod revisions;
// The command line.
mod cli;
// What stands in front of MCP servers.
mod proxy;
// Tool lists of real servers, imported, loaded and called.
mod real_tool_lists;

// Ways to a wrong Allow, or to a stall, that were open once.
mod holes;
// Tests that others publish of the Cedar language, through every door that decides.
mod conformance;
// The shipped schema, policies and cases, and the pages generated from them.
mod shipped;
// Parsers of outside bytes, on the seeds that are kept for the fuzzer.
mod fuzz_seeds;
// The contract, compared with that of the last release.
mod contract;
// Pages for people: every code is explained, every link leads somewhere.
mod pages;
// Whatever goes wrong, no door says Allow.
mod fail_closed;
// Bad days, by `make faults`.
mod faults;
// Who may import whom, and how long a file may be.
mod architecture;
