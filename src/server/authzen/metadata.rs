//! What the decision point says of itself ("PDP Metadata"). It is told to everybody who asks: it holds addresses only.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::http::uri::Authority;
use axum::response::Response;
use serde_json::json;

use super::{Door, EVALUATION, EVALUATIONS, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT, problem};
use crate::pdp::Refused;

const WELL_KNOWN: &str = "/.well-known/authzen-configuration";

/// Where it is told: between the host of the decision point's URL and its path.
pub(super) fn path(url: Option<&str>) -> String {
    let path = url.and_then(|url| url.split_once("://")?.1.split_once('/')).map(|(_, path)| path);
    path.map_or_else(|| WELL_KNOWN.to_owned(), |path| format!("{WELL_KNOWN}/{path}"))
}

/// Tells it.
pub(super) async fn answer(State(door): State<Arc<Door>>, request: Request) -> Response {
    let asked = || addressed(&request, door.settings.secured);
    let Some(base) = door.settings.url.clone().or_else(asked) else {
        let why = "the request does not say which host it is for, and `authzen.url` is not configured";
        return problem::answer(&Refused::Unreadable(why.to_owned()));
    };
    problem::no_problem(&json!({
        "policy_decision_point": base,
        "access_evaluation_endpoint": format!("{base}{EVALUATION}"),
        "access_evaluations_endpoint": format!("{base}{EVALUATIONS}"),
        "search_subject_endpoint": format!("{base}{SEARCH_SUBJECT}"),
        "search_resource_endpoint": format!("{base}{SEARCH_RESOURCE}"),
        "search_action_endpoint": format!("{base}{SEARCH_ACTION}"),
    }))
}

/// The URL that a request was sent to, where that is a host and perhaps a port.
fn addressed(request: &Request, secured: bool) -> Option<String> {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host: Authority = named.or(request.uri().authority().map(Authority::as_str))?.parse().ok()?;
    let scheme = if secured { "https" } else { "http" };
    (!host.as_str().contains('@')).then(|| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_a_host_names_a_decision_point() {
        let addressed = |host: &str| {
            addressed(&Request::builder().header(header::HOST, host).body(Body::empty()).unwrap(), true)
        };
        assert_eq!(addressed("pdp.example:1").as_deref(), Some("https://pdp.example:1"));
        for other in ["me:secret@pdp.example", "pdp.example/x", "pdp.example?x", "", "a b", "\"x\""] {
            assert_eq!(addressed(other), None, "{other}");
        }
    }

    #[test]
    fn the_well_known_part_stands_between_host_and_path() {
        assert_eq!(path(None), "/.well-known/authzen-configuration");
        assert_eq!(path(Some("https://pdp.example")), "/.well-known/authzen-configuration");
        assert_eq!(path(Some("https://pdp.example:1/a/b")), "/.well-known/authzen-configuration/a/b");
    }
}
