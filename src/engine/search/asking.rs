//! Asking about one candidate, in every way there is.

use std::collections::HashMap;

use cedar_policy::EntityUid;

use super::possibility::{self, Certainty, Possibility};
use super::ways::{Ways, shown};
use super::{Found, Search, Through};
use crate::engine::authorize::Now;
use crate::engine::datum::Datum;
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::engine::world::World;

/// A search under way.
pub(super) struct Asking<'a> {
    pub(super) world: &'a World,
    pub(super) search: &'a Search,
    pub(super) own: Option<HashMap<&'a str, &'a [(String, Datum)]>>,
    pub(super) ways: Ways,
    pub(super) now: Now,
    /// Whether whoever asks may ask a question.
    pub(super) may_ask: &'a mut dyn FnMut(&AuthzRequest) -> bool,
    /// The question about one candidate after the other.
    pub(super) question: AuthzRequest,
}

impl Asking<'_> {
    /// What is found at a candidate; none within if it is not allowed in any way, none if whoever asks may not ask.
    pub(super) fn about(&mut self, uid: &EntityUid) -> Option<Result<Option<Found>, InvalidRequest>> {
        let Self { world, search, own, ways, now, may_ask, question } = self;
        let own = own.as_ref().map(|own| own.get(uid.id().unescaped()).copied().unwrap_or_default());
        let placed = search.place(world, uid, own, question);
        let each = match ways.each(uid) {
            Ok(each) => each,
            Err(refusal) => return may_ask(question).then_some(Err(refusal)),
        };
        let mut asked = false;
        let mut found = None;
        for way in each {
            if ways.is_any() {
                question.delegations = shown(way);
            }
            // Rights are held to all that a question asserts, and come before what is wrong with it.
            if !may_ask(question) {
                continue;
            }
            asked = true;
            match placed.clone().and_then(|()| possibility::of(world, question, &search.unknown, *now)) {
                Err(refusal) => return Some(Err(refusal)),
                Ok(None) => {}
                Ok(Some(possibility)) => {
                    let through = ways.is_any().then_some(way);
                    found.get_or_insert_with(|| Found::new(uid, &possibility)).add(through, possibility);
                }
            }
        }
        asked.then_some(Ok(found))
    }
}

impl Found {
    fn new(uid: &EntityUid, possibility: &Possibility) -> Self {
        let Possibility { action, certainty, .. } = possibility;
        Self { uid: uid.clone(), action: action.clone(), certainty: *certainty, through: Vec::new() }
    }

    /// Adds a way in which it could be allowed: as certain as the most certain of them.
    fn add(&mut self, through: Option<Option<&EntityUid>>, possibility: Possibility) {
        if possibility.certainty == Certainty::Certain {
            self.certainty = Certainty::Certain;
        }
        let chain = possibility.chain;
        self.through.extend(through.map(|delegation| Through { delegation: delegation.cloned(), chain }));
    }
}
