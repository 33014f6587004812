//! Searches: which actions, resources or principals a question would be allowed for.
//!
//! A search is the question asked of each candidate in turn, and an answer to it is nothing but the ordinary decision: what is
//! found is what [`authorize`](super::authorize::authorize) allows. The index only spares asking where no permit's scope covers
//! a candidate, which therefore cannot be allowed.

mod asking;
mod candidates;
mod possibility;
mod ways;
mod within;

#[cfg(test)]
mod law_tests;
#[cfg(test)]
mod unknown_tests;

use std::collections::HashMap;

use cedar_policy::EntityUid;

use serde_json::json;

use super::asserted::{self, Properties, Undeclared};
use super::authorize::Now;
use super::datum::{Datum, Reference};
use super::digest;
use super::request::{AuthzRequest, InvalidRequest, RequestEntity};
use super::unknown::Unknown;
use super::world::World;
use asking::Asking;
use candidates::Candidates;
pub use possibility::Certainty;
use ways::Ways;

/// Most candidates that a search may name.
pub const MAX_NAMED: usize = 10_000;
/// Most candidates that are asked about for one page.
pub const MAX_EXAMINED: usize = 10_000;

/// A question of which one part is searched for.
#[derive(Debug, Clone)]
pub struct Search {
    /// The question. Of the part that is searched for, the type counts and not the id; of an action neither.
    pub question: AuthzRequest,
    /// The part that is searched for.
    pub sought: Sought,
    /// What of the context nobody knows.
    pub unknown: Unknown,
    /// What it says of its parts besides naming them: put where each candidate's action has a place for it.
    pub properties: Option<Box<Properties>>,
    /// Whether whoever acts is asked about under every delegation that was given to it, and by itself.
    pub any_delegation: bool,
}

/// What is searched for.
#[derive(Debug, Clone, PartialEq)]
pub enum Sought {
    /// Actions that apply to the principal and the resource.
    Actions,
    /// Resources.
    Resources(Among),
    /// Principals.
    Principals(Among),
}

/// Where to search.
#[derive(Debug, Clone, PartialEq)]
pub enum Among {
    /// All that are stored of the type, or supplied with the request.
    Stored,
    /// Those of the type that are named.
    Named(Vec<Named>),
}

/// A candidate that a search names.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// Members of the context for it alone: each replaces the question's own of that name whole.
    pub context: Vec<(String, Datum)>,
}

impl Sought {
    /// The candidates that are named, if they are.
    fn named(&self) -> Option<&[Named]> {
        match self {
            Self::Resources(Among::Named(named)) | Self::Principals(Among::Named(named)) => Some(named),
            Self::Actions | Self::Resources(Among::Stored) | Self::Principals(Among::Stored) => None,
        }
    }

    /// The name of what is searched for: `actions`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Actions => "actions",
            Self::Resources(_) => "resources",
            Self::Principals(_) => "principals",
        }
    }
}

/// How much of what is found is wanted at once.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Where to go on: behind this one.
    pub after: Option<EntityUid>,
    /// How many to find.
    pub size: usize,
    /// How many to ask about.
    pub examined: usize,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub uid: EntityUid,
    /// The action by which it was decided: a tool's typed action where it has one.
    pub action: EntityUid,
    /// Whether it is allowed, or could be.
    pub certainty: Certainty,
    /// Where every delegation was asked about: each way in which it is.
    pub through: Vec<Through>,
}

/// On whose authority something is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Through {
    /// The delegation under which the principal acts; none if it acts by itself.
    pub delegation: Option<EntityUid>,
    /// Everybody of its chain, root first, the principal last; empty if it acts by itself.
    pub chain: Vec<EntityUid>,
}

/// Part of what is found, in the order of names.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What was found.
    pub found: Vec<Found>,
    /// How many candidates were looked at.
    pub examined: usize,
    /// How many of them the question could be asked about by whoever asks.
    pub asked: usize,
    /// Of how many of these the question was none.
    pub refused: usize,
    /// What was wrong with the first such question.
    pub refusal: Option<InvalidRequest>,
    /// Where to go on, if there may be more.
    pub last: Option<EntityUid>,
}

/// Searches, as far as the bounds go. At least one candidate is asked about, if there is one.
///
/// `may_ask` says whether whoever asks may ask a question, and `goes_on` whether there is time for another.
///
/// # Errors
/// [`InvalidRequest`] if what the search says cannot be understood whatever it is asked about. Where that shows only when it is
/// asked, the page says so.
pub fn search(
    world: &World,
    search: &Search,
    bounds: &Bounds,
    now: Now,
    may_ask: &mut dyn FnMut(&AuthzRequest) -> bool,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Page, InvalidRequest> {
    let Candidates { next, more } = candidates::of(world, search, bounds)?;
    let ways = Ways::of(world, search, now)?;
    let question = AuthzRequest { explain: false, ..search.question.clone() };
    let mut asking = Asking { world, search, own: search.own_contexts(), ways, now, may_ask, question };
    let mut page = Page::default();
    let count = next.len();
    for uid in next {
        if page.found.len() >= bounds.size || (page.examined > 0 && !goes_on()) {
            break;
        }
        page.examined += 1;
        let answer = asking.about(&uid);
        page.last = Some(uid);
        let Some(answer) = answer else { continue };
        page.asked += 1;
        match answer {
            Ok(found) => page.found.extend(found),
            Err(refusal) => {
                page.refused += 1;
                page.refusal.get_or_insert(refusal);
            }
        }
    }
    if page.examined == count && !more {
        page.last = None;
    }
    Ok(page)
}

impl Search {
    /// Tells this search from others: a digest of all it says, its token and what is wanted at once aside.
    ///
    /// # Errors
    /// A number that JSON cannot say is none of the context's.
    pub fn digest(&self) -> Result<String, InvalidRequest> {
        let AuthzRequest { principal, action, resource, context, arguments, entities, delegations, .. } =
            &self.question;
        let name = |reference: &Reference| json!([reference.type_name, reference.id]);
        let names = |references: &[Reference]| references.iter().map(name).collect::<Vec<_>>();
        let members = |members: &[(String, Datum)]| Datum::Record(members.to_vec()).to_json();
        let entity = |entity: &RequestEntity| {
            let (attributes, tags) = (members(&entity.attributes), members(&entity.tags));
            json!([name(&entity.uid), attributes, tags, names(&entity.parents)])
        };
        let candidate = |Named { id, context }: &Named| json!([id, members(context)]);
        let subject = self.question.subject.as_deref();
        let said = json!({
            "sought": self.sought.as_str(),
            "among": self.sought.named().map(|named| named.iter().map(candidate).collect::<Vec<_>>()),
            "parties": [name(principal), name(action), name(resource)],
            "context": members(context),
            "arguments": arguments.as_ref().map(Datum::to_json),
            "entities": entities.iter().map(entity).collect::<Vec<_>>(),
            "delegations": names(delegations),
            "subject": subject.map(|subject| (name(&subject.root), names(&subject.actors))),
            "unknown": self.unknown.members(),
            "any_delegation": self.any_delegation,
            "properties": self.properties.as_deref().map(|properties| {
                let Properties { subject, action, resource, undeclared } = properties;
                ([subject, action, resource].map(|part| members(part)), *undeclared == Undeclared::Refuse)
            }),
        });
        digest::of_json(&said).map_err(|error| InvalidRequest::field("context", error.to_string()))
    }
}

impl Search {
    /// What is said of candidates one by one, by their ids; none if nothing is.
    fn own_contexts(&self) -> Option<HashMap<&str, &[(String, Datum)]>> {
        let named = self.sought.named()?;
        let says = named.iter().any(|named| !named.context.is_empty());
        says.then(|| named.iter().map(|named| (named.id.as_str(), named.context.as_slice())).collect())
    }

    /// Puts a candidate into the question, with what is said of it. `own` are the members of the context that are its own, where
    /// any candidate may have some.
    fn place(
        &self,
        world: &World,
        uid: &EntityUid,
        own: Option<&[(String, Datum)]>,
        question: &mut AuthzRequest,
    ) -> Result<(), InvalidRequest> {
        let name = Reference::new(uid.type_name().to_string(), uid.id().unescaped());
        match self.sought {
            Sought::Actions => question.action = name,
            Sought::Resources(_) => question.resource = name,
            Sought::Principals(_) => question.principal = name,
        }
        if own.is_some() || self.properties.is_some() {
            question.context.clone_from(&self.question.context);
        }
        for (name, value) in own.into_iter().flatten() {
            question.context.retain(|(known, _)| known != name);
            question.context.push((name.clone(), value.clone()));
        }
        let Some(properties) = &self.properties else { return Ok(()) };
        question.entities.clone_from(&self.question.entities);
        asserted::place(world, question, properties).map(drop)
    }
}
