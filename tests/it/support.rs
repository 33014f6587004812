//! Starting servers and commands, writing sources, building requests.

mod admin;
mod authority;
mod command;
mod curl;
mod disk;
mod flood;
mod http;
mod link;
mod load;
mod mount;
mod observed;
mod process;
mod server;
mod sources;
mod stream;
mod tokens;
mod unprocessed;
mod wire;
mod workload_api;

pub(crate) use admin::{bearer, get_status, token};
pub(crate) use authority::{Authority, Papers, Shown, authority, svid};
pub(crate) use command::{Finished, binary, mandate, mandate_with_input, run_build};
pub(crate) use curl::{curl, framed, status_within};
pub(crate) use disk::{Ballast, Disk};
pub(crate) use flood::{Flood, Pace, Washed};
pub(crate) use http::{HttpAnswer, evaluation, get, post, try_post};
pub(crate) use link::Link;
pub(crate) use load::{Call, Load, Truth};
pub(crate) use mount::Mount;
pub(crate) use observed::{Numbers, StopOnDrop, all_records, lines, lines_of, records_from};
pub(crate) use process::Process;
pub(crate) use server::{Client, TestServer, keep_in, raw_call, raw_call_with, shipped_server};
pub(crate) use sources::{SMALL_SCHEMA, Sources, doc, repository, repository_config, user};
pub(crate) use stream::Conversation;
pub(crate) use tokens::{Draft, SigningKey, base64url, hmac_sha256, seconds};
pub(crate) use unprocessed::is_unprocessed;
pub(crate) use wire::{
    Question, check_field, decimal_value, determining, entity_value, is_allow, long_value, question, reason,
    record, record_value, reference, set_value, text_value, violation,
};
pub(crate) use workload_api::{Given, WorkloadApi};
