//! AuthZEN 1.0 over HTTP and JSON (OpenID Authorization API 1.0), and `GET /healthz`: the HTTP listener.

mod answer;
mod arrival;
mod evaluation;
mod evaluations;
mod ijson;
mod metadata;
mod model;
mod names;
mod problem;
mod request_id;
mod search;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};

use crate::engine::asserted::Undeclared;
use crate::pdp::{Pdp, Refused};
use crate::server::admission::Admission;
use crate::server::call::Entrance;
use crate::server::observing::Observer;
use arrival::Arrived;
pub use names::Names;

/// Where one question is asked ("Access Evaluation API").
const EVALUATION: &str = "/access/v1/evaluation";
/// Where many are ("Access Evaluations API").
const EVALUATIONS: &str = "/access/v1/evaluations";
/// Where searches are asked: who may ("Subject Search API"),
const SEARCH_SUBJECT: &str = "/access/v1/search/subject";
/// to what ("Resource Search API"),
const SEARCH_RESOURCE: &str = "/access/v1/search/resource";
/// and what ("Action Search API").
const SEARCH_ACTION: &str = "/access/v1/search/action";

/// How AuthZEN is spoken here.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What names in requests mean.
    pub names: Names,
    /// What happens to what the schema declares nowhere.
    pub undeclared: Undeclared,
    /// Where callers find the decision point, without a slash at the end; none: where they asked.
    pub url: Option<String>,
    /// Whether the listener speaks TLS.
    pub secured: bool,
}

/// What every request is answered from.
#[derive(Debug)]
struct Door {
    pdp: Arc<Pdp>,
    admission: Arc<Admission>,
    observer: Arc<Observer>,
    settings: Settings,
}

/// Everything the HTTP listener serves.
pub fn router(entrance: Entrance, settings: Settings) -> Router {
    let Entrance { pdp, admission, observer } = entrance;
    let metadata = metadata::path(settings.url.as_deref());
    Router::new()
        .route(EVALUATION, answering(EVALUATION, evaluation::answer))
        .route(EVALUATIONS, answering(EVALUATIONS, evaluations::answer))
        .route(SEARCH_SUBJECT, answering(SEARCH_SUBJECT, search::subjects))
        .route(SEARCH_RESOURCE, answering(SEARCH_RESOURCE, search::resources))
        .route(SEARCH_ACTION, answering(SEARCH_ACTION, search::actions))
        .route(&metadata, get(metadata::answer))
        .route("/healthz", get(|| async { "ok" }))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(from_fn(request_id::echo))
        .with_state(Arc::new(Door { pdp, admission, observer, settings }))
}

/// POST, from callers that are known, of JSON.
fn answering<A, F>(route: &'static str, answer: A) -> MethodRouter<Arc<Door>>
where
    A: Fn(Arrived) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<serde_json::Value, Refused>> + Send + 'static,
{
    post(async move |State(door): State<Arc<Door>>, request: Request| -> Response {
        let observed = door.observer.request(route, request.headers());
        let trace = observed.trace();
        observed.answered(arrival::attend(door, request, trace, answer).await)
    })
}
