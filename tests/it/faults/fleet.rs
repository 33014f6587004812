//! Replicas behind a client that spreads its calls over them, as a Kubernetes Service's clients do: by the list of those that are ready,
//! which follows readiness with a delay. Nothing is tried again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use mandate::server::pb::authorization_service_client::AuthorizationServiceClient;
use rand::RngExt as _;
use tonic::transport::{Channel, Endpoint};

use super::connections::{Asked, mixed};
use super::traffic::{Ask, CLIENTS, Outcome};
use crate::support::{Process, evaluation};

/// Longest time until a change of readiness is in every client's list.
const PROPAGATION: Duration = Duration::from_secs(1);
/// How often readiness is looked at.
const PROBE: Duration = Duration::from_millis(100);
/// How long a client keeps an idle HTTP connection: for less than servers do, or it asks over one that is just being closed.
const IDLE: Duration = Duration::from_secs(30);
/// Longest time for a replica to be ready, or not to be any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// A replica as clients have it: one long-lived gRPC connection, and HTTP connections that are kept alive.
#[derive(Debug)]
struct Listed {
    ops: String,
    grpc: AuthorizationServiceClient<Channel>,
    http: Client<HttpConnector, Body>,
    url: String,
}

impl Listed {
    fn new(process: &Process) -> Self {
        let _entered = CLIENTS.enter();
        let channel = Endpoint::from_shared(process.data.clone()).expect("an address").connect_lazy();
        let http = Client::builder(TokioExecutor::new())
            .retry_canceled_requests(false)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build_http();
        let url = format!("{}/access/v1/evaluation", process.http);
        Self { ops: process.ops.clone(), grpc: AuthorizationServiceClient::new(channel), http, url }
    }

    async fn over_grpc(&self, asked: &Asked) -> Outcome {
        let answer = self.grpc.clone().authorize(asked.request.clone()).await;
        asked.hold(answer.map(tonic::Response::into_inner))
    }

    async fn over_http(&self, asked: &Asked) -> Outcome {
        let named = |entity: &Option<mandate::server::pb::EntityRef>| {
            let entity = entity.clone().expect("a whole question");
            (entity.r#type, entity.id)
        };
        let (subject, resource) = (named(&asked.request.principal), named(&asked.request.resource));
        let body = evaluation(
            (&subject.0, &subject.1),
            &asked.request.action.as_ref().expect("a whole question").id,
            (&resource.0, &resource.1),
        );
        let request = Request::builder().method(Method::POST).uri(&self.url);
        let request = request.header("content-type", "application/json").body(body.to_string().into());
        let refused = |what: &dyn std::fmt::Debug| Outcome::Refused("HTTP".to_owned(), format!("{what:?}"));
        let response = match self.http.request(request.expect("a request")).await {
            Ok(response) => response,
            Err(error) => return refused(&error),
        };
        let status = response.status();
        let bytes = match response.into_body().collect().await {
            Ok(bytes) => bytes.to_bytes(),
            Err(error) => return refused(&error),
        };
        let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let decision = answer["context"]["decision_id"].as_str().and_then(|id| id.parse().ok());
        match (answer["decision"].as_bool(), decision) {
            (Some(allow), Some(decision)) if allow == asked.allow => Outcome::Right(decision),
            (None, _) => Outcome::Refused(format!("HTTP {}", status.as_u16()), answer.to_string()),
            _ => Outcome::Wrong(format!("allowed should be {}: {answer}", asked.allow)),
        }
    }
}

/// The replicas that a client may ask now.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    list: RwLock<Vec<Arc<Listed>>>,
    turn: AtomicUsize,
}

impl Fleet {
    /// A fleet of these replicas, once all of them are listed.
    pub(crate) fn of(processes: &[Process]) -> Arc<Self> {
        let fleet = Arc::new(Self::default());
        for process in processes {
            fleet.joins(process);
        }
        fleet
    }

    /// Waits until a replica is ready, and a random while later lists it. Returns how long it took to be ready.
    pub(crate) fn joins(&self, process: &Process) -> Duration {
        let took = wait_for_readiness(&process.ops, true);
        delay();
        self.list.write().expect("nobody panicked").push(Arc::new(Listed::new(process)));
        took
    }

    /// Takes a replica off the list as soon as that is known of it: a random while after it stopped being ready.
    pub(crate) fn leaves(self: &Arc<Self>, process: &Process) -> std::thread::JoinHandle<()> {
        let (fleet, ops) = (Arc::clone(self), process.ops.clone());
        std::thread::spawn(move || {
            wait_for_readiness(&ops, false);
            delay();
            fleet.list.write().expect("nobody panicked").retain(|listed| listed.ops != ops);
        })
    }

    fn next(&self) -> Arc<Listed> {
        let list = self.list.read().expect("nobody panicked");
        Arc::clone(&list[self.turn.fetch_add(1, Ordering::Relaxed) % list.len()])
    }
}

impl Ask for Fleet {
    /// Two of three calls are gRPC's, the third is HTTP's; whichever replica has its turn.
    async fn ask(&self, number: u64) -> Outcome {
        let (asked, replica) = (mixed(number), self.next());
        if number % 3 == 2 { replica.over_http(&asked).await } else { replica.over_grpc(&asked).await }
    }
}

fn delay() {
    std::thread::sleep(rand::rng().random_range(Duration::ZERO..PROPAGATION));
}

/// A replica that does not answer its probe is not ready.
fn wait_for_readiness(ops: &str, ready: bool) -> Duration {
    let begun = Instant::now();
    let url = format!("{ops}/readyz");
    let is_ready = || ureq::get(&url).call().is_ok();
    while is_ready() != ready {
        assert!(begun.elapsed() < PATIENCE, "{url} is not {ready} within {PATIENCE:?}");
        std::thread::sleep(PROBE);
    }
    begun.elapsed()
}
