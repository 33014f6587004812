//! Connections to one server, and what is asked of it.

use std::fmt;
use std::time::Duration;

use mandate::server::pb;
use mandate::server::pb::authorization_service_client::AuthorizationServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use uuid::Uuid;

use super::traffic::{Ask, CLIENTS, Outcome};
use crate::reload::{hiding, questions};
use crate::support::{Sources, is_allow};

/// Connections of every load.
const CONNECTIONS: usize = 4;
/// Longest time for an answer, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(20);

/// A question, and whether it is allowed.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) request: pb::AuthorizeRequest,
    pub(crate) allow: bool,
}

impl Asked {
    /// Holds an answer to what is expected.
    pub(crate) fn hold(&self, answer: Result<pb::AuthorizeResponse, Status>) -> Outcome {
        match answer {
            Err(status) => Outcome::Refused(format!("{:?}", status.code()), format!("{status:?}")),
            Ok(answer) if is_allow(&answer) != self.allow => {
                Outcome::Wrong(format!("allowed should be {}: {answer:?}", self.allow))
            }
            Ok(answer) => match Uuid::try_parse(&answer.decision_id) {
                Ok(decision) => Outcome::Right(decision),
                Err(error) => Outcome::Wrong(format!("{error}: {answer:?}")),
            },
        }
    }
}

/// Sources under which half of the [`mixed`] questions are allowed.
pub(crate) fn mixed_sources() -> Sources {
    hiding("plan")
}

/// May `ana` see this document? The plan no, the notes yes, in turn.
pub(crate) fn mixed(number: u64) -> Asked {
    let turn = usize::from(!number.is_multiple_of(2));
    Asked { request: questions().swap_remove(turn), allow: turn == 1 }
}

type Questions = dyn Fn(u64) -> Asked + Send + Sync;

/// Long-lived gRPC connections, used in turn.
pub(crate) struct Connections {
    services: Vec<AuthorizationServiceClient<Channel>>,
    questions: Box<Questions>,
    patience: Duration,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Connections {
    /// Connections to a data listener, over which the [`mixed`] questions are asked.
    pub(crate) fn to(address: &str) -> Self {
        Self::asking(address, mixed)
    }

    /// Connections over which the call of each number asks what `questions` says.
    pub(crate) fn asking(address: &str, questions: impl Fn(u64) -> Asked + Send + Sync + 'static) -> Self {
        let endpoint = Endpoint::from_shared(address.to_owned()).expect("an address");
        let _entered = CLIENTS.enter();
        let services =
            (0..CONNECTIONS).map(|_| AuthorizationServiceClient::new(endpoint.connect_lazy())).collect();
        Self { services, questions: Box::new(questions), patience: PATIENCE }
    }

    /// The same, each call with this deadline.
    pub(crate) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

impl Ask for Connections {
    async fn ask(&self, number: u64) -> Outcome {
        let asked = (self.questions)(number);
        let turn = usize::try_from(number).expect("few") % self.services.len();
        let mut service = self.services[turn].clone();
        let mut request = Request::new(asked.request.clone());
        request.set_timeout(self.patience);
        asked.hold(service.authorize(request).await.map(tonic::Response::into_inner))
    }
}
