//! From a request to what is asked: who calls, on whose behalf, and a body of JSON that is not too large.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::Response;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::{Door, ijson, model, problem, request_id};
use crate::audit::record::{Evidence, Surface};
use crate::identity::credentials::Credentials;
use crate::pdp::{Asked, Call, Refused, Shed};
use crate::server::admission::Arrival;
use crate::server::identified::{Identified, nobody};
use crate::server::wire;
use crate::telemetry::traces::Trace;

/// How many times as long as it may be a body is read all the same.
const DISCARDED: usize = 8;

/// Longest time for a body that nobody reads.
const MAX_FORGETTING: Duration = Duration::from_secs(1);

/// Longest time for a body to arrive.
const MAX_READ: Duration = Duration::from_secs(10);

/// A bearer token of the subject. Not `Authorization`, which is the caller's own, nor in the body, which is logged and kept
/// as tokens must not be.
const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("mandate-subject-token");

/// A request of a caller that is known, read.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) door: Arc<Door>,
    pub(super) call: Call,
    /// What is shown of the subject.
    pub(super) credentials: Option<Credentials>,
    /// The trace it belongs to.
    pub(super) traceparent: Option<String>,
    /// The body's members.
    pub(super) body: model::Members,
}

impl Arrived {
    /// What is asked, with what the request's headers say besides its body.
    pub(super) fn asked(&self, asked: Asked) -> Asked {
        let evidence = |traceparent| Box::new(Evidence { traceparent, ..Evidence::default() });
        Asked { evidence: self.traceparent.clone().map(evidence), ..asked }
    }

    /// Records that the request was refused before there was a question.
    pub(super) fn refuse(&self, refused: impl Into<Refused>) -> Refused {
        self.door.pdp.refuse(&self.call, refused.into())
    }
}

/// Answers a request, whatever becomes of it. What `answer` refuses, it has recorded.
pub(super) async fn attend<F>(
    door: Arc<Door>,
    mut request: Request,
    trace: Option<Arc<Trace>>,
    answer: impl FnOnce(Arrived) -> F,
) -> Response
where
    F: Future<Output = Result<Value, Refused>>,
{
    let arrival = Arrival::of(&mut request);
    let call = Call {
        caller: nobody(),
        surface: Surface::Authzen,
        request_id: request_id::text(request.headers()),
        deadline: arrival.at() + MAX_READ + door.admission.span(None),
        origin: arrival.origin(),
        trace,
    };
    if let Err(shed) = door.admission.admit(&arrival, Some(call.deadline)) {
        return turn_away(&door, request, &call, shed).await;
    }
    let response = admitted(&door, request, call, answer).await;
    door.admission.answered();
    response
}

/// Answers a request that there is no time for.
async fn turn_away(door: &Door, request: Request, call: &Call, shed: Shed) -> Response {
    let refused = door.pdp.turn_away(call, shed.into());
    forget(request.into_body(), door.admission.sizes().message_bytes).await;
    door.admission.turn_to_leave(Some(call.deadline)).await;
    problem::answer(&refused)
}

/// Answers a request that was let in.
async fn admitted<F>(
    door: &Arc<Door>,
    request: Request,
    call: Call,
    answer: impl FnOnce(Arrived) -> F,
) -> Response
where
    F: Future<Output = Result<Value, Refused>>,
{
    let (head, body) = request.into_parts();
    let identified =
        Identified::of(door.pdp.callers(), &head).await.map(|identified| Arc::clone(identified.caller()));
    let call = Call { caller: identified.as_ref().map_or_else(|_unknown| nobody(), Arc::clone), ..call };
    let answered = async {
        if let Err(refused) = identified {
            let refused = door.pdp.refuse(&call, refused);
            forget(body, door.admission.sizes().message_bytes).await;
            return Err(refused);
        }
        match read(&head.headers, body, door.admission.sizes().message_bytes).await {
            Ok((credentials, body)) => {
                let traceparent = head.headers.get("traceparent").and_then(|value| value.to_str().ok());
                let traceparent = wire::traceparent(traceparent);
                let (door, call) = (Arc::clone(door), call.clone());
                answer(Arrived { door, call, credentials, traceparent, body }).await
            }
            Err(refused) => Err(door.pdp.refuse(&call, refused)),
        }
    };
    let answered = AssertUnwindSafe(answered).catch_unwind().await;
    let answered = answered.unwrap_or_else(|_panic| {
        door.pdp.panicked();
        Err(door.pdp.refuse(&call, Refused::Internal))
    });
    match answered {
        Ok(answer) => problem::no_problem(&answer),
        Err(refused) => problem::answer(&refused),
    }
}

async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<(Option<Credentials>, model::Members), Refused> {
    let credentials = subject_token(headers)?;
    check_content_type(headers)?;
    let late = |_| Refused::Unreadable("the body took too long to arrive".to_owned());
    let bytes = tokio::time::timeout(MAX_READ, collect(body, limit)).await.map_err(late)??;
    Ok((credentials, model::body(ijson::parse(&bytes)?)?))
}

/// The subject's token, if there is one.
fn subject_token(headers: &HeaderMap) -> Result<Option<Credentials>, Refused> {
    let mut tokens = headers.get_all(SUBJECT_TOKEN).into_iter();
    match (tokens.next(), tokens.next()) {
        (None, _) => Ok(None),
        (Some(token), None) => {
            match token.to_str().ok().and_then(|token| Credentials::shown(token.to_owned())) {
                Some(token) => Ok(Some(token)),
                None => Err(Refused::SubjectToken(format!("`{SUBJECT_TOKEN}` is empty, or no text"))),
            }
        }
        (Some(_), Some(_)) => Err(Refused::SubjectToken(format!("`{SUBJECT_TOKEN}` stands twice"))),
    }
}

/// One content type, and it is JSON's.
fn check_content_type(headers: &HeaderMap) -> Result<(), Refused> {
    let mut given = headers.get_all(header::CONTENT_TYPE).into_iter();
    let (first, second) = (given.next(), given.next());
    let text = first.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    if second.is_none() && essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refused::Unreadable("the content type must be application/json".to_owned()))
}

/// The body, if it keeps to the limit. What is over it is read and forgotten for a while: a caller that is still sending
/// would otherwise lose the answer that says why.
async fn collect(mut body: Body, limit: usize) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    let mut size = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refused::Unreadable(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        if size <= limit {
            bytes.extend_from_slice(&data);
        } else if size > DISCARDED * limit {
            break;
        }
    }
    if size <= limit {
        return Ok(bytes);
    }
    Err(Refused::Unreadable(format!(
        "the body is over the limit of {limit} bytes (`limits.message_bytes`): it has {size} or more"
    )))
}

/// Lets a body of the usual size go by, unread: whoever still sends it would otherwise lose the answer.
async fn forget(mut body: Body, limit: usize) {
    let passing = async {
        let mut size = 0_usize;
        while let Some(Ok(frame)) = body.frame().await {
            size += frame.data_ref().map_or(0, |data| data.len());
            if size > limit {
                return;
            }
        }
    };
    drop(tokio::time::timeout(MAX_FORGETTING, passing).await);
}
