//! What every gRPC call has: its turn, a deadline, a record even if it never becomes a question, and an end of its own if
//! it meets a defect.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::admission::{Admission, Arrival};
use super::ext_authz;
use super::identified::{Identified, nobody};
use super::observing::Observer;
use super::{protocol, status};
use crate::audit::record::Surface;
use crate::identity::caller::Caller;
use crate::identity::callers::Callers;
use crate::pdp::{Call, Pdp, Refused, Shed, now};
use crate::telemetry::traces::Trace;

/// Where `AuthorizationService` answers.
const AUTHORIZATION: &str = "/mandate.v1.AuthorizationService/";
/// Where searches are answered.
const SEARCH: &str = "/mandate.v1.SearchService/";
/// Where outcomes are reported.
const REPORT_OUTCOME: &str = "/mandate.v1.DecisionLogService/ReportOutcome";
/// What is answered whoever asks and however many do: balancers and the kubelet show nothing of themselves.
pub(super) const OPEN: &str = "/grpc.health.v1.Health/";

/// What every call comes through.
#[derive(Debug, Clone)]
pub struct Entrance {
    /// Who answers.
    pub pdp: Arc<Pdp>,
    /// Who is let in.
    pub admission: Arc<Admission>,
    /// Who counts it.
    pub observer: Arc<Observer>,
}

/// A call under way. Handed to the service as an extension of its request.
#[derive(Debug)]
pub struct Underway {
    /// When its answer stops being of use; of a stream, the end of its own that the caller set, if it set one.
    pub deadline: Option<Instant>,
    /// What it showed of its caller; none where that did not matter, or before.
    identified: Option<Identified>,
    surface: Surface,
    origin: Option<IpAddr>,
    /// Longest time that it, or a message of it, may take.
    longest: Duration,
    /// The trace it belongs to, if that is recorded.
    trace: Option<Arc<Trace>>,
    recorded: AtomicBool,
}

impl Underway {
    /// The call, as the decision point knows it. From here on the decision point records whatever comes of it.
    pub fn hand_over(&self, request_id: String) -> Call {
        self.recorded.store(true, Ordering::Relaxed);
        let longest = || Instant::now() + self.longest;
        let deadline = self.deadline.unwrap_or_else(longest).into_std();
        let caller = self.identified.as_ref().map_or_else(nobody, |known| Arc::clone(known.caller()));
        let (surface, origin) = (self.surface, self.origin);
        Call { caller, surface, request_id, deadline, origin, trace: self.trace.clone() }
    }

    /// Who calls, as it is now.
    ///
    /// # Errors
    /// Nobody vouches for it any more.
    pub fn caller(&self, callers: &Callers) -> Result<Arc<Caller>, Refused> {
        match &self.identified {
            Some(identified) => identified.again(callers),
            None => Ok(nobody()),
        }
    }

    /// How long somebody vouches for the caller; none if nobody does anyway.
    pub fn expires(&self) -> Option<Duration> {
        let left = self.identified.as_ref()?.caller().expires()?.0.saturating_sub(now().0);
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }

    /// The longest time that one message of a stream may take.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    fn of(request: &Request, arrival: &Arrival, admission: &Admission, trace: Option<Arc<Trace>>) -> Self {
        let asked = request.headers().get("grpc-timeout").and_then(parse);
        let method = request.uri().path().strip_prefix(AUTHORIZATION);
        let surface = match method {
            Some("AuthorizeBatch") => Surface::Batch,
            Some("AuthorizeStream") => Surface::Stream,
            None if request.uri().path() == ext_authz::CHECK => Surface::ExtAuthz,
            _ => Surface::Grpc,
        };
        // A stream lasts as long as its caller wants; its messages do not.
        let span = if surface == Surface::Stream { asked } else { Some(admission.span(asked)) };
        // What neither asks for a decision nor tells of one leaves no record.
        let decides = matches!(method, Some("Authorize" | "AuthorizeBatch" | "AuthorizeStream"))
            || surface == Surface::ExtAuthz
            || request.uri().path().starts_with(SEARCH);
        let silent = !decides && request.uri().path() != REPORT_OUTCOME;
        // The time counts from when it came, not from when it has its turn.
        let deadline = span.map(|span| Instant::from_std(arrival.at()) + span);
        Self {
            deadline,
            identified: None,
            surface,
            origin: arrival.origin(),
            longest: admission.max_deadline(),
            trace,
            recorded: AtomicBool::new(silent),
        }
    }

    /// The same call, once it is known who makes it.
    fn by(self, identified: Identified) -> Self {
        Self { identified: Some(identified), ..self }
    }

    /// Turns the call away, once it is its turn to leave.
    async fn turn_away(&self, entrance: &Entrance, shed: Shed) -> Response {
        let silent = self.recorded.swap(true, Ordering::Relaxed);
        let refused = Refused::from(shed);
        let refused =
            if silent { refused } else { entrance.pdp.turn_away(&self.hand_over(String::new()), refused) };
        entrance.admission.turn_to_leave(self.deadline.map(Instant::into_std)).await;
        match self.surface {
            // What looks like a failure, Envoy may be told to let pass.
            Surface::ExtAuthz => ext_authz::turned_away(&refused),
            _ => status::refused(&refused).into_http::<Body>(),
        }
    }

    /// Refuses the call here, where no question came of it.
    fn refuse(&self, pdp: &Pdp, refused: Refused) -> Response {
        let first = !self.recorded.load(Ordering::Relaxed);
        let refused = if first { pdp.refuse(&self.hand_over(String::new()), refused) } else { refused };
        status::refused(&refused).into_http::<Body>()
    }
}

/// Lets only gRPC in, when it has its turn and from callers that are known, bounds a call by its `grpc-timeout`, turns what tonic refuses on
/// its own into what gRPC calls it, and a panic into INTERNAL.
pub async fn attend(State(entrance): State<Entrance>, mut request: Request, next: Next) -> Response {
    if let Some(refused) = protocol::refuse_other_than_grpc(&request) {
        return refused;
    }
    let arrival = Arrival::of(&mut request);
    let observed = entrance.observer.call(request.uri().path(), request.headers());
    let call = Underway::of(&request, &arrival, &entrance.admission, observed.trace());
    observed.answered(admit(&entrance, arrival, call, request, next).await)
}

/// The answer to a call, once it has its turn.
async fn admit(
    entrance: &Entrance,
    arrival: Arrival,
    call: Underway,
    request: Request,
    next: Next,
) -> Response {
    let Entrance { pdp, admission, .. } = entrance;
    if request.uri().path().starts_with(OPEN) {
        arrival.has_its_turn();
        return Box::pin(answer(pdp, call, request, next)).await;
    }
    if let Err(shed) = admission.admit(&arrival, call.deadline.map(Instant::into_std)) {
        // What was sent, and what would have answered it, is not kept while it waits to leave.
        drop((request, next));
        return call.turn_away(entrance, shed).await;
    }
    // In a place of its own: those that are held back, of which there may be thousands, need none of it.
    let answered = Box::pin(let_in(pdp, call, request, next)).await;
    admission.answered();
    answered
}

/// The answer to a call that was let in, if it is known who makes it.
async fn let_in(pdp: &Pdp, call: Underway, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let identified = Identified::of(pdp.callers(), &head).await;
    let request = Request::from_parts(head, body);
    match identified {
        Ok(identified) => answer(pdp, call.by(identified), request, next).await,
        Err(refused) => call.refuse(pdp, refused),
    }
}

/// The answer to a call.
async fn answer(pdp: &Pdp, call: Underway, mut request: Request, next: Next) -> Response {
    let call = Arc::new(call);
    request.extensions_mut().insert(Arc::clone(&call));
    let answering = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answered = match call.deadline {
        Some(deadline) => timeout_at(deadline, answering).await,
        None => Ok(answering.await),
    };
    match answered {
        Err(_late) => call.refuse(pdp, Refused::Late),
        Ok(Err(_panic)) => {
            pdp.panicked();
            call.refuse(pdp, Refused::Internal)
        }
        Ok(Ok(response)) => match Status::from_header_map(response.headers()) {
            Some(status) => match status::unreadable(&status) {
                Some(refused) => call.refuse(pdp, refused),
                None => {
                    if status::unknown_encoding(&status) {
                        // For the record; the answer stays tonic's.
                        drop(call.refuse(pdp, Refused::Encoding));
                    }
                    response
                }
            },
            None => response,
        },
    }
}

/// `grpc-timeout`: at most eight digits and a unit (gRPC over HTTP/2, "Timeout").
pub(super) fn parse(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        let read = |text| parse(&HeaderValue::from_static(text));
        assert_eq!(read("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for wrong in ["", "S", "123456789S", "-1S", "1x", "1 S", "1.5S"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
