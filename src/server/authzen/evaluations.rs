//! Many questions at once ("Access Evaluations API").

use serde_json::{Value, json};

use super::arrival::Arrived;
use super::model::{self, Members, Read};
use super::{answer, evaluation};
use crate::engine::datum::Datum;
use crate::engine::request::InvalidRequest;
use crate::pdp::{Refused, Until};
use crate::server::sizes::Sizes;

/// Members that an item takes from the body where it lacks them.
const DEFAULTS: [&str; 4] = ["subject", "action", "resource", "context"];

/// Members without which a subject, action or resource is none, and which an item's takes from the body's. Nothing else of
/// it does: what an item says replaces the default.
const NAMING: [&str; 3] = ["type", "id", "name"];

/// Decides the questions of a body; the one question that it asks itself, if it holds no others.
pub(super) async fn answer(mut arrived: Arrived) -> Result<Value, Refused> {
    let items = match items(&mut arrived.body) {
        Ok(items) if items.is_empty() => return evaluation::answer(arrived).await,
        Ok(items) => items,
        Err(error) => return Err(arrived.refuse(error)),
    };
    let batch = Batch::read(std::mem::take(&mut arrived.body), items, arrived.door.admission.sizes());
    let Batch { until, defaults, items } = batch.map_err(|error| arrived.refuse(error))?;
    let asked = items.into_iter().map(|item| {
        let asked = defaults
            .complete(item)
            .and_then(|item| evaluation::asked(&arrived.door.settings, item))
            .map(|asked| arrived.asked(asked));
        (arrived.call.request_id.clone(), asked)
    });
    let credentials = arrived.credentials.as_ref();
    let decided = arrived.door.pdp.authorize_until(until, &arrived.call, credentials, asked).await?;
    let evaluations: Vec<_> = decided.answers.iter().map(|(_, item)| answer::item(item)).collect();
    Ok(json!({ "evaluations": evaluations }))
}

fn items(body: &mut Members) -> Read<Vec<Datum>> {
    match model::take(body, "evaluations") {
        None => Ok(Vec::new()),
        Some(Datum::List(items)) => Ok(items),
        Some(other) => {
            Err(InvalidRequest::field("evaluations", format!("must be a list; it is {}", other.kind())))
        }
    }
}

/// A body that holds questions.
struct Batch {
    until: Until,
    defaults: Defaults,
    items: Vec<Datum>,
}

impl Batch {
    fn read(mut body: Members, items: Vec<Datum>, sizes: &Sizes) -> Read<Self> {
        let until = until(&mut body)?;
        let defaults = Defaults::read(body)?;
        sizes.check_batch(("evaluations", items.len()), ("evaluations", defaults.size()))?;
        Ok(Self { until, defaults, items })
    }
}

/// `options.evaluations_semantic`.
fn until(body: &mut Members) -> Read<Until> {
    const FIELD: &str = "options.evaluations_semantic";
    let mut options = model::object(model::take(body, "options"), "options")?.unwrap_or_default();
    let semantic = match model::take(&mut options, "evaluations_semantic") {
        None => return Ok(Until::Last),
        Some(Datum::String(semantic)) => semantic,
        Some(other) => {
            return Err(InvalidRequest::field(FIELD, format!("must be a string; it is {}", other.kind())));
        }
    };
    match semantic.as_str() {
        "execute_all" => Ok(Until::Last),
        "deny_on_first_deny" => Ok(Until::Deny),
        "permit_on_first_permit" => Ok(Until::Allow),
        _ => {
            let message = "must be execute_all, deny_on_first_deny or permit_on_first_permit";
            Err(InvalidRequest::field(FIELD, message))
        }
    }
}

/// What items take from the body: objects, as far as they are there.
struct Defaults(Vec<(&'static str, Members)>);

impl Defaults {
    fn read(mut body: Members) -> Read<Self> {
        let mut defaults = Vec::new();
        for name in DEFAULTS {
            let default = model::object(model::take(&mut body, name), name)?;
            defaults.extend(default.map(|members| (name, members)));
        }
        Ok(Self(defaults))
    }

    fn size(&self) -> usize {
        let members = self.0.iter().flat_map(|(_, members)| members);
        members.map(|(name, value)| name.len() + value.size()).sum()
    }

    /// An item, with what it lacks.
    fn complete(&self, item: Datum) -> Read<Members> {
        let mut item = model::object(Some(item), "the evaluation")?
            .ok_or_else(|| InvalidRequest::field("the evaluation", "must be an object; it is null"))?;
        for (name, default) in &self.0 {
            let value = match model::take(&mut item, name) {
                None => default.clone(),
                Some(Datum::Record(own)) if *name != "context" => named_by(own, default),
                Some(own) => {
                    item.push(((*name).to_owned(), own));
                    continue;
                }
            };
            item.push(((*name).to_owned(), Datum::Record(value)));
        }
        Ok(item)
    }
}

/// What an item says of a part, named by the default as far as it lacks a name.
fn named_by(mut own: Members, default: &Members) -> Members {
    for name in NAMING {
        let lacks = own.iter().all(|(member, value)| member != name || *value == Datum::Null);
        if let Some(given) = default.iter().find(|(member, _)| member == name).filter(|_| lacks) {
            own.retain(|(member, _)| member != name);
            own.push(given.clone());
        }
    }
    own
}
