//! Values as bytes that say what they are, however they were written: for digests that outlive the process, and for telling
//! questions apart.

use std::fmt::{self, Write as _};

use cedar_policy::EntityUid;
use cedar_policy_core::ast::{EntityUID, Literal, Value, ValueKind};

use super::members::Members;
use super::value::CedarRecord;
use crate::engine::plan::ContextPlan;

/// What an entity holds, as tagged and length-prefixed bytes: equal ones are the same, and different ones differ.
pub fn bytes_of(members: &Members) -> Vec<u8> {
    let mut out = Vec::new();
    count(members.parents().len(), &mut out);
    members.parents().iter().for_each(|parent| uid(parent.as_ref(), &mut out));
    for named in [members.attributes(), members.tags()] {
        count(named.len(), &mut out);
        for (name, held) in named {
            text(name, &mut out);
            value(&held.0, &mut out);
        }
    }
    out
}

/// Appends an entity's name.
pub fn name(named: &EntityUid, out: &mut Vec<u8>) {
    uid(named.as_ref(), out);
}

/// Appends what a plan reads of a context: contexts of one plan that differ in it have different bytes.
pub fn project(context: &CedarRecord, plan: &ContextPlan, out: &mut Vec<u8>) {
    let record = Value::record_arc(std::sync::Arc::clone(&context.0), None);
    read(&record, plan, out);
}

/// Recursion is bounded by the depth of conditions and of values that loading and requests accept.
fn read(held: &Value, plan: &ContextPlan, out: &mut Vec<u8>) {
    match (held.value_kind(), plan) {
        (ValueKind::Record(members), ContextPlan::Members(read_of)) => {
            out.push(RECORD_IN_PART);
            for (name, plan) in read_of {
                match members.get(name) {
                    None => out.push(0),
                    Some(_) if plan.is_idle() => out.push(1),
                    Some(member) => {
                        out.push(2);
                        read(member, plan, out);
                    }
                }
            }
        }
        _ => value(held, out),
    }
}

/// The tag of a record of which not everything is told; those of whole values are below it.
const RECORD_IN_PART: u8 = 7;

/// Recursion is bounded by the depth of values that loading accepts.
fn value(held: &Value, out: &mut Vec<u8>) {
    match held.value_kind() {
        ValueKind::Lit(Literal::Bool(value)) => out.extend([0, u8::from(*value)]),
        ValueKind::Lit(Literal::Long(value)) => {
            out.push(1);
            out.extend(value.to_be_bytes());
        }
        ValueKind::Lit(Literal::String(value)) => {
            out.push(2);
            text(value, out);
        }
        ValueKind::Lit(Literal::EntityUID(value)) => {
            out.push(3);
            uid(value, out);
        }
        ValueKind::Set(set) => {
            let mut elements: Vec<_> = set
                .iter()
                .map(|element| {
                    let mut bytes = Vec::new();
                    value(element, &mut bytes);
                    bytes
                })
                .collect();
            elements.sort_unstable();
            out.push(4);
            count(elements.len(), out);
            elements.iter().for_each(|element| out.extend(element));
        }
        ValueKind::Record(members) => {
            out.push(5);
            count(members.len(), out);
            for (name, member) in members.iter() {
                text(name, out);
                value(member, out);
            }
        }
        ValueKind::ExtensionValue(extension) => {
            out.push(6);
            let (constructor, arguments) = extension.value().canonical_repr();
            shown(constructor, out);
            count(arguments.len(), out);
            arguments.iter().for_each(|argument| shown(argument, out));
        }
    }
}

fn uid(named: &EntityUID, out: &mut Vec<u8>) {
    shown(named.entity_type(), out);
    text(named.eid().as_ref(), out);
}

/// The text that something is shown as.
fn shown(it: impl fmt::Display, out: &mut Vec<u8>) {
    struct Appending<'o>(&'o mut Vec<u8>);
    impl fmt::Write for Appending<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.extend(text.as_bytes());
            Ok(())
        }
    }
    let at = out.len();
    count(0, out);
    let start = out.len();
    // Appending never fails.
    let _written = write!(Appending(out), "{it}");
    let length = u64::try_from(out.len() - start).unwrap_or(u64::MAX).to_be_bytes();
    out.iter_mut().skip(at).zip(length).for_each(|(byte, of_length)| *byte = of_length);
}

fn text(text: &str, out: &mut Vec<u8>) {
    count(text.len(), out);
    out.extend(text.as_bytes());
}

fn count(count: usize, out: &mut Vec<u8>) {
    out.extend(u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes());
}
