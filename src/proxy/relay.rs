//! The proxy at work: what both directions share, and its beginning and end.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use super::capabilities::Passed;
use super::catalog::Catalog;
use super::decider::{Answered, Decider};
use super::facts::{Claims, Facts};
use super::learn::Learner;
use super::lines;
use super::message::{Id, Message, Outcome};
use super::outcomes::Reporter;
use super::pending::Pending;
use super::question::Asker;
use super::subject::Subject;
use super::upstream::Upstream;
use super::verdict::{Denial, Verdict};
use super::{agent, server_side};
use crate::server::pb;

/// What a proxy is told.
#[derive(Debug)]
pub struct Config {
    /// Who decides.
    pub decider: Decider,
    /// The server's name in Mandate: the first half of its tools' ids.
    pub server: String,
    /// Namespace of the agent domain.
    pub namespace: String,
    /// Who acts.
    pub subject: Subject,
    /// What is said of the session.
    pub claims: Claims,
    /// What the server may ask of the agent.
    pub passed: Passed,
    /// Nothing is enforced.
    pub observe: bool,
    /// Where what was done is kept as policies.
    pub learner: Option<Learner>,
}

/// How a proxy ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The agent has gone, or the proxy was told to stop.
    Told,
    /// The server went first.
    Server(String),
}

/// What both directions share.
pub(super) struct Relay {
    pub(super) asker: Asker,
    pub(super) decider: Arc<Decider>,
    pub(super) passed: Passed,
    pub(super) reporter: Reporter,
    pub(super) learner: Option<Mutex<Learner>>,
    state: Mutex<State>,
    /// None once the agent has gone.
    to_server: Mutex<Option<mpsc::Sender<Message>>>,
    to_agent: AsyncMutex<Box<dyn AsyncWrite + Send + Unpin>>,
}

/// What changes. Never held while anything is waited for.
pub(super) struct State {
    pub(super) pending: Pending,
    pub(super) facts: Facts,
    pub(super) catalog: Catalog,
    /// Requests of the server's that the agent has not answered.
    pub(super) asked_of_agent: HashSet<Id>,
    /// What the agent says it is.
    pub(super) agent_version: String,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("asker", &self.asker).finish_non_exhaustive()
    }
}

/// Relays until the agent closes its end, or `stop` completes; then ends the server, and reports what is left to report.
pub async fn run(
    config: Config,
    upstream: Upstream,
    from_agent: impl AsyncRead + Send + Unpin,
    to_agent: impl AsyncWrite + Send + Unpin + 'static,
    stop: impl Future<Output = ()>,
) -> Ended {
    let Config { decider, server, namespace, subject, claims, passed, observe, learner } = config;
    let decider = Arc::new(decider);
    let Upstream { outgoing, incoming, ending } = upstream;
    let relay = Arc::new(Relay {
        asker: Asker { namespace, server, subject, observe },
        reporter: Reporter::start(Arc::clone(&decider)),
        decider,
        passed,
        learner: learner.map(Mutex::new),
        state: Mutex::new(State {
            pending: Pending::default(),
            facts: Facts::new(claims),
            catalog: Catalog::default(),
            asked_of_agent: HashSet::new(),
            agent_version: String::new(),
        }),
        to_server: Mutex::new(Some(outgoing)),
        to_agent: AsyncMutex::new(Box::new(to_agent)),
    });
    let listening = tokio::spawn(server_side::listen(Arc::clone(&relay), incoming));
    tokio::select! {
        () = agent::listen(&relay, from_agent) => {}
        () = stop => {}
    }
    let went_first = relay.state().pending.is_gone();
    drop(relay.to_server.lock().unwrap_or_else(PoisonError::into_inner).take());
    let (_ended, _listened) = (ending.await, listening.await);
    if let Some(relay) = Arc::into_inner(relay) {
        if let Some(learner) = relay.learner {
            learner.into_inner().unwrap_or_else(PoisonError::into_inner).write();
        }
        relay.reporter.close().await;
    }
    went_first.map_or(Ended::Told, Ended::Server)
}

impl Relay {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends to the server; whether there is one.
    pub(super) async fn to_server(&self, message: Message) -> bool {
        let sender = self.to_server.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match sender {
            Some(sender) => sender.send(message).await.is_ok(),
            None => false,
        }
    }

    /// Sends to the agent. One that does not listen any more closes its other end too, which is where the proxy ends.
    pub(super) async fn to_agent(&self, message: &impl Serialize) {
        let mut pipe = self.to_agent.lock().await;
        if let Err(error) = lines::write(&mut *pipe, message).await {
            tracing::debug!(%error, "the agent takes no messages");
        }
    }

    /// Answers a request of the agent's.
    pub(super) async fn answer(&self, id: Id, outcome: Outcome) {
        self.to_agent(&Message::Response { id, outcome }).await;
    }

    /// What Mandate says. Without a token that should be there, nobody is asked.
    pub(super) async fn decide(&self, request: pb::AuthorizeRequest) -> Verdict {
        match self.with_token(request) {
            Ok(request) => {
                let asked = self.learner.is_some().then(|| request.clone());
                let answered = self.decider.authorize(request).await;
                if let Some(asked) = asked {
                    self.learn(&asked, &answered);
                }
                Verdict::of(answered)
            }
            Err(denial) => Verdict::Denied(denial),
        }
    }

    /// What Mandate says of each.
    pub(super) async fn decide_all(&self, requests: Vec<pb::AuthorizeRequest>) -> Vec<Answered> {
        let asked = requests.len();
        match self.with_token(pb::AuthorizeRequest::default()) {
            Ok(defaults) => self.decider.authorize_all(&defaults, requests).await,
            Err(denial) => vec![Err(tonic::Status::unavailable(denial.reason)); asked],
        }
    }

    /// Ids of the resources that Mandate finds. Without a token that should be there, nobody is asked.
    pub(super) async fn search(&self, request: pb::SearchRequest) -> HashSet<String> {
        let question = request.question.unwrap_or_default();
        let Ok(question) = self.with_token(question) else { return HashSet::new() };
        let request = pb::SearchRequest { question: Some(question), ..request };
        self.decider.search(request).await.unwrap_or_else(|status| {
            let (code, message) = (status.code(), status.message());
            tracing::warn!(?code, message, "nobody says which tools may be called, so none is shown");
            HashSet::new()
        })
    }

    fn with_token(&self, request: pb::AuthorizeRequest) -> Result<pb::AuthorizeRequest, Denial> {
        match self.asker.subject.token() {
            Ok(credentials) => Ok(pb::AuthorizeRequest { credentials, ..request }),
            Err(error) => {
                tracing::error!(%error, "the subject's token cannot be read");
                Err(Denial {
                    code: "no_token".to_owned(),
                    reason: "The proxy has no token to say who acts: its operator should look.".to_owned(),
                    decision_id: String::new(),
                })
            }
        }
    }
}
