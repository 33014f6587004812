//! Starting servers and commands, writing sources, building requests.

mod command;
mod http;
mod load;
mod mount;
mod process;
mod server;
mod sources;
mod wire;

pub(crate) use command::{Finished, binary, mandate, mandate_with_input};
pub(crate) use http::{HttpAnswer, evaluation, get, post, try_post};
pub(crate) use load::{Call, Load, Truth};
pub(crate) use mount::Mount;
pub(crate) use process::Process;
pub(crate) use server::{Client, TestServer, raw_call, shipped_server};
pub(crate) use sources::{SMALL_SCHEMA, Sources, doc, repository, user};
pub(crate) use wire::{
    Question, check_field, decimal_value, determining, entity_value, is_allow, long_value, question, reason,
    record, record_value, reference, set_value, text_value, violation,
};
