//! From the server to the agent: what the server answers is passed on to whoever asked, and what it asks or tells by itself
//! only as far as the proxy knows it.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use super::capabilities::narrow_hello;
use super::message::{DENIED, Id, METHOD_NOT_FOUND, Message, Outcome, Params, SERVER_GONE, error};
use super::methods;
use super::pending::{Kind, Waiting};
use super::question::Occasion;
use super::relay::Relay;
use super::upstream::Event;
use super::verdict::Verdict;

/// Most requests of a server's that the agent has not answered.
const MAX_ASKED: usize = 1000;

/// Hears the server out.
pub(super) async fn listen(relay: Arc<Relay>, mut incoming: mpsc::Receiver<Event>) {
    while let Some(event) = incoming.recv().await {
        match event {
            Event::Message(Message::Response { id, outcome }) => relay.answered(&id, outcome).await,
            Event::Message(Message::Request { id, method, params }) => {
                relay.asked_back(id, method, params).await
            }
            Event::Message(Message::Notification { method, params }) => {
                relay.told_by_server(method, params).await
            }
            Event::Ended(reason) => return relay.ended(&reason).await,
        }
    }
    relay.ended("the MCP server has ended").await;
}

impl Relay {
    async fn answered(&self, id: &Id, outcome: Outcome) {
        let waiting = self.state().pending.end(id);
        match waiting {
            None => tracing::debug!("the server answered what nobody asked"),
            Some(Waiting::Own(whoever)) => drop(whoever.send(outcome)),
            Some(Waiting::Agent { id, kind }) => match self.may_ask_back(outcome) {
                Ok(outcome) => self.answered_agent(id, kind, outcome).await,
                Err((outcome, detail)) => {
                    if let Kind::Decided(underway) = kind {
                        self.failed(underway, detail);
                    }
                    self.answer(id, outcome).await;
                }
            },
        }
    }

    /// A result that asks something of the agent is held to what the server may ask.
    fn may_ask_back(&self, outcome: Outcome) -> Result<Outcome, (Outcome, &'static str)> {
        let asks = outcome.as_ref().ok().and_then(|result| self.passed.refused_in(result));
        match asks {
            None => Ok(outcome),
            Some(method) => {
                let told = error(
                    DENIED,
                    &format!("the server asks for `{method}`, which the proxy does not pass on"),
                );
                Err((Err(told), "the server asked for what is not passed on"))
            }
        }
    }

    async fn answered_agent(&self, id: Id, kind: Kind, outcome: Outcome) {
        match (kind, outcome) {
            (Kind::Passed, outcome) | (Kind::Hello { .. } | Kind::List { .. }, outcome @ Err(_)) => {
                self.answer(id, outcome).await;
            }
            (Kind::Hello { occasion }, Ok(result)) => {
                let result = self.hello(result, occasion).await;
                self.answer(id, Ok(result)).await;
            }
            (Kind::List { listed, is_first, occasion }, Ok(result)) => {
                let listed = self.listed(listed, is_first, result, occasion).await;
                self.answer(id, listed).await;
            }
            (Kind::Decided(underway), outcome) => self.done(id, underway, outcome).await,
        }
    }

    /// What a server says of itself. Its instructions are words to the agent's model: they are for those who may see its tools.
    async fn hello(&self, mut result: Value, occasion: Occasion) -> Value {
        narrow_hello(&mut result);
        if self.asker.observe || result.get("instructions").is_none() {
            return result;
        }
        let request = self.asker.list_tools(&self.state().facts, occasion);
        if let Verdict::Denied(_) = self.decide(request).await
            && let Some(members) = result.as_object_mut()
        {
            members.remove("instructions");
        }
        result
    }

    async fn asked_back(&self, id: Id, method: String, params: Option<Params>) {
        let refusal = {
            let mut state = self.state();
            if !self.passed.may_ask(&method) {
                Some(format!("the proxy does not pass on `{method}`"))
            } else if state.asked_of_agent.len() >= MAX_ASKED {
                Some("too many requests are under way".to_owned())
            } else {
                state.asked_of_agent.insert(id.clone());
                None
            }
        };
        match refusal {
            None => self.to_agent(&Message::Request { id, method, params }).await,
            Some(reason) => {
                let outcome = Err(error(METHOD_NOT_FOUND, &reason));
                self.to_server(Message::Response { id, outcome }).await;
            }
        }
    }

    async fn told_by_server(&self, method: String, params: Option<Params>) {
        if !methods::may_tell_agent(&method) {
            tracing::debug!(method, "not passed on");
            return;
        }
        if method == "notifications/tools/list_changed" {
            self.state().catalog.changed();
        }
        if method == "notifications/cancelled" {
            let cancelled = params.as_ref().and_then(|params| params.get("requestId")).and_then(Id::read);
            if !cancelled.is_some_and(|id| self.state().asked_of_agent.remove(&id)) {
                return;
            }
        }
        self.to_agent(&Message::Notification { method, params }).await;
    }

    /// Whoever waits is told that nothing will come.
    async fn ended(&self, reason: &str) {
        let left = self.state().pending.gone(reason);
        tracing::info!(reason, "the server has ended");
        for waiting in left {
            if let Waiting::Agent { id, kind } = waiting {
                if let Kind::Decided(underway) = kind {
                    self.failed(underway, reason);
                }
                self.answer(id, Err(error(SERVER_GONE, reason))).await;
            }
        }
    }
}
