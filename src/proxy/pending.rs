//! Requests under way to the server, by the ids that the proxy gives them: an agent's ids are its own business, and a server
//! that answers twice, or what nobody asked, is not heard.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::message::{Id, Outcome};
use super::methods::Listed;
use super::question::Occasion;
use crate::server::pb;

/// Most requests under way at once.
const MAX_PENDING: usize = 1000;

/// A request that the server has not answered.
#[derive(Debug)]
pub(super) enum Waiting {
    /// The agent's.
    Agent { id: Id, kind: Kind },
    /// The proxy's own.
    Own(oneshot::Sender<Outcome>),
}

/// What becomes of an answer to an agent.
#[derive(Debug)]
pub(super) enum Kind {
    /// It is passed on.
    Passed,
    /// What the agent could not use is taken out.
    Hello { occasion: Occasion },
    /// What the agent may not use is taken out.
    List { listed: Listed, is_first: bool, occasion: Occasion },
    /// It is passed on, and what came of the decision is reported.
    Decided(Underway),
}

/// Something that was decided and is being done.
#[derive(Debug)]
pub(super) struct Underway {
    /// Empty where nobody decided and nobody enforces.
    pub(super) decision_id: String,
    pub(super) advice: Vec<pb::Advice>,
    pub(super) input_digest: String,
    /// Whether what the server answers may come from anywhere.
    pub(super) from_outside: bool,
    pub(super) is_call: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Pending {
    by_id: HashMap<i64, Waiting>,
    last: i64,
    /// Why there is no server any more.
    gone: Option<String>,
}

/// Why a request cannot be sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsent {
    #[error("{0}")]
    Gone(String),
    #[error("too many requests are under way: wait for answers")]
    TooMany,
    #[error("a request of this id is under way")]
    Repeated,
}

impl Pending {
    /// Takes in a request, and gives the id to send it by; or gives it back.
    pub(super) fn begin(&mut self, waiting: Waiting) -> Result<Id, Box<(Unsent, Waiting)>> {
        if let Some(reason) = &self.gone {
            return Err(Box::new((Unsent::Gone(reason.clone()), waiting)));
        }
        if self.by_id.len() >= MAX_PENDING {
            return Err(Box::new((Unsent::TooMany, waiting)));
        }
        if let Waiting::Agent { id, .. } = &waiting
            && self.find(id).is_some()
        {
            return Err(Box::new((Unsent::Repeated, waiting)));
        }
        self.last += 1;
        self.by_id.insert(self.last, waiting);
        Ok(Id::Number(self.last))
    }

    /// Takes out the request that an answer is to; none if there is none.
    pub(super) fn end(&mut self, id: &Id) -> Option<Waiting> {
        match id {
            Id::Number(number) => self.by_id.remove(number),
            Id::Text(_) => None,
        }
    }

    /// The id by which the server knows a request of the agent's.
    pub(super) fn find(&self, agents: &Id) -> Option<Id> {
        let found = self
            .by_id
            .iter()
            .find(|(_, waiting)| matches!(waiting, Waiting::Agent { id, .. } if id == agents));
        found.map(|(number, _)| Id::Number(*number))
    }

    /// Why there is no server any more, if so.
    pub(super) fn is_gone(&self) -> Option<String> {
        self.gone.clone()
    }

    /// Nothing will be answered any more: gives back what was not, and takes in nothing from now on.
    pub(super) fn gone(&mut self, reason: &str) -> Vec<Waiting> {
        self.gone = Some(reason.to_owned());
        self.by_id.drain().map(|(_, waiting)| waiting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agents(id: i64) -> Waiting {
        Waiting::Agent { id: Id::Number(id), kind: Kind::Passed }
    }

    #[test]
    fn an_answer_is_heard_once() {
        let mut pending = Pending::default();
        let id = pending.begin(agents(70)).unwrap();
        assert_eq!(pending.find(&Id::Number(70)), Some(id.clone()));
        assert!(pending.end(&Id::Number(70)).is_none(), "that is the agent's id, not the server's");
        assert!(pending.end(&id).is_some());
        assert!(pending.end(&id).is_none());
    }

    #[test]
    fn what_is_under_way_is_bounded_and_named_once() {
        let mut pending = Pending::default();
        pending.begin(agents(0)).unwrap();
        let refused = |begun: Result<Id, Box<(Unsent, Waiting)>>| begun.unwrap_err().0;
        assert_eq!(refused(pending.begin(agents(0))), Unsent::Repeated);
        for id in 1..i64::try_from(MAX_PENDING).unwrap() {
            pending.begin(agents(id)).unwrap();
        }
        assert_eq!(refused(pending.begin(agents(-1))), Unsent::TooMany);
    }

    #[test]
    fn without_a_server_nothing_begins() {
        let mut pending = Pending::default();
        pending.begin(agents(1)).unwrap();
        assert_eq!(pending.gone("it ended").len(), 1);
        let (unsent, _given_back) = *pending.begin(agents(2)).unwrap_err();
        assert_eq!(unsent, Unsent::Gone("it ended".to_owned()));
    }
}
