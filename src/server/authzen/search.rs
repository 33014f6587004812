//! Who may do it, to what, and what else ("Search APIs"): everything for which a question would be allowed, page by page.

use serde_json::{Map, Value, json};

use super::arrival::Arrived;
use super::model::{self, Deed, Members, Read};
use super::{Settings, evaluation};
use crate::engine::datum::{Datum, Reference, whole};
use crate::engine::request::InvalidRequest;
use crate::engine::search::{Among, Certainty, Found, Sought};
use crate::pdp::{Asked, MAX_PAGE, Refused, SearchAnswer, SearchAsked};

/// Who may do this to that.
pub(super) async fn subjects(arrived: Arrived) -> Result<Value, Refused> {
    answer(arrived, Part::Subject).await
}

/// What that subject may do this to.
pub(super) async fn resources(arrived: Arrived) -> Result<Value, Refused> {
    answer(arrived, Part::Resource).await
}

/// What that subject may do to that.
pub(super) async fn actions(arrived: Arrived) -> Result<Value, Refused> {
    answer(arrived, Part::Action).await
}

/// The part of a question that is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Subject,
    Resource,
    Action,
}

/// A search, as it was asked.
struct Wanted {
    asked: Asked,
    /// The type of what is searched for, in the request's words; empty for actions.
    type_name: String,
    page: Paging,
}

async fn answer(mut arrived: Arrived, part: Part) -> Result<Value, Refused> {
    let body = std::mem::take(&mut arrived.body);
    let Wanted { asked, type_name, page } =
        wanted(&arrived.door.settings, body, part).map_err(|error| arrived.refuse(error))?;
    let asked = SearchAsked {
        asked: Asked { credentials: arrived.credentials.take(), ..arrived.asked(asked) },
        sought: match part {
            Part::Subject => Sought::Principals(Among::Stored),
            Part::Resource => Sought::Resources(Among::Stored),
            Part::Action => Sought::Actions,
        },
        unknown: Vec::new(),
        any_delegation: false,
        page_size: page.size,
        page_token: page.behind.clone(),
    };
    let found = arrived.door.pdp.search(&arrived.call, Ok(asked)).await?;
    Ok(results(&arrived.door.settings, &found, part, &type_name, &page))
}

/// What a body asks to be searched for. Of that part only the type counts.
fn wanted(settings: &Settings, mut body: Members, part: Part) -> Read<Wanted> {
    let page = Paging::read(&mut body)?;
    let mut party = |name: &str, sought: bool| {
        let members = model::required(&mut body, name)?;
        if sought { model::sought(members, name) } else { model::party(members, name) }
    };
    let subject = party("subject", part == Part::Subject)?;
    let resource = party("resource", part == Part::Resource)?;
    let action = match part {
        Part::Action => Deed { name: String::new(), properties: Vec::new() },
        Part::Subject | Part::Resource => model::deed(model::required(&mut body, "action")?)?,
    };
    let type_name = match part {
        Part::Subject => subject.type_name.clone(),
        Part::Resource => resource.type_name.clone(),
        Part::Action => String::new(),
    };
    let context = model::context(&mut body)?;
    let asked = evaluation::question(settings, subject, action, resource, context)?;
    Ok(Wanted { asked, type_name, page })
}

/// A request's `page`.
#[derive(Debug)]
struct Paging {
    /// There is one.
    asked: bool,
    /// Most results at once.
    size: usize,
    /// Where to go on; empty: at the beginning.
    behind: String,
}

impl Paging {
    /// A token carries the limit of the first page, so that those behind it need not repeat it, and must not change it.
    fn read(body: &mut Members) -> Read<Self> {
        let page = model::object(model::take(body, "page"), "page")?;
        let asked = page.is_some();
        let mut page = page.unwrap_or_default();
        let limit = limit(model::take(&mut page, "limit"))?;
        let token = match model::take(&mut page, "token") {
            None => String::new(),
            Some(Datum::String(token)) => token,
            Some(other) => {
                let message = format!("must be a string; it is {}", other.kind());
                return Err(InvalidRequest::field("page.token", message));
            }
        };
        if token.is_empty() {
            return Ok(Self { asked, size: limit.unwrap_or(MAX_PAGE), behind: token });
        }
        let parts = token.split_once('.').filter(|(_, behind)| !behind.is_empty());
        let Some((size, behind)) = parts.and_then(|(size, behind)| Some((size.parse().ok()?, behind))) else {
            return Err(InvalidRequest::field("page.token", "is none that was given with a page"));
        };
        match limit {
            Some(limit) if limit != size => {
                let message = format!("must be {size}, as for the first page, or left out");
                Err(InvalidRequest::field("page.limit", message))
            }
            _ => Ok(Self { asked, size, behind: behind.to_owned() }),
        }
    }

    /// The token of what is behind a page; empty at the end.
    fn next(&self, behind: &str) -> String {
        if behind.is_empty() { String::new() } else { format!("{}.{behind}", self.size) }
    }
}

/// Most results at once, at most [`MAX_PAGE`]; none where nobody says. Nought says nothing: a page of nothing leads nowhere.
fn limit(given: Option<Datum>) -> Read<Option<usize>> {
    let limit = match given {
        None => return Ok(None),
        Some(Datum::Long(limit)) => Some(limit),
        Some(Datum::Number(limit)) => whole(limit),
        Some(_) => None,
    };
    match limit.map(usize::try_from) {
        Some(Ok(0)) => Ok(None),
        Some(Ok(limit)) => Ok(Some(limit.min(MAX_PAGE))),
        _ => Err(InvalidRequest::field("page.limit", "must be a whole number, and not negative")),
    }
}

/// What was found, and where to go on. A search that asks for no page, and is answered whole, is answered with results alone.
fn results(settings: &Settings, found: &SearchAnswer, part: Part, type_name: &str, page: &Paging) -> Value {
    let each = |found: &Found| -> Vec<Value> {
        let id = found.uid.id().unescaped();
        match part {
            Part::Subject | Part::Resource => vec![json!({"type": type_name, "id": id})],
            Part::Action => {
                let action = Reference::new(found.uid.type_name().to_string(), id);
                settings.names.of_action(&action).map(|name| json!({ "name": name })).collect()
            }
        }
    };
    let all = &found.page.found;
    let results: Vec<_> = all.iter().flat_map(each).collect();
    let possible = all.iter().filter(|found| found.certainty == Certainty::Possible);
    let possible: Vec<_> = possible.flat_map(each).collect();
    let mut answer = Map::new();
    let mut say = |name: &str, value: Value| drop(answer.insert(name.to_owned(), value));
    let next = page.next(&found.next_page_token);
    if page.asked || !next.is_empty() {
        say("page", json!({"next_token": next, "count": results.len()}));
    }
    if !possible.is_empty() {
        say("context", json!({ "possible": possible }));
    }
    say("results", json!(results));
    Value::Object(answer)
}
