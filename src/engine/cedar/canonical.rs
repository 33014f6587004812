//! Values as bytes that say what they are, however they were written: for digests that outlive the process.

use cedar_policy_core::ast::{EntityUID, Literal, Value, ValueKind};

use super::members::Members;

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
            text(&constructor.to_string(), out);
            count(arguments.len(), out);
            arguments.iter().for_each(|argument| text(&argument.to_string(), out));
        }
    }
}

fn uid(named: &EntityUID, out: &mut Vec<u8>) {
    text(&named.entity_type().to_string(), out);
    text(named.eid().as_ref(), out);
}

fn text(text: &str, out: &mut Vec<u8>) {
    count(text.len(), out);
    out.extend(text.as_bytes());
}

fn count(count: usize, out: &mut Vec<u8>) {
    out.extend(u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes());
}
