//! `AuthorizeStream`: one answer a message, each from the world that is current when it is decided (C10).
//!
//! Messages are decided one after the other, in the order they came: a decision costs microseconds, and the next is not
//! read before the last has been handed over, so a slow reader holds back its own messages and nothing else. So no two
//! are ever in flight here, and a `request_id` used again is no conflict.

use std::sync::Arc;

use futures_util::{Stream, stream};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::admission::Admission;
use super::call::Underway;
use super::{answer, pb, status, wire};
use crate::engine::request::InvalidRequest;
use crate::identity::callers::Unauthenticated;
use crate::pdp::{Pdp, Refused};

/// A stream's answers to come.
#[derive(Debug)]
pub struct Answers {
    pdp: Arc<Pdp>,
    admission: Arc<Admission>,
    underway: Arc<Underway>,
    traceparent: Option<String>,
    messages: Streaming<pb::AuthorizeRequest>,
    ends: Ends,
}

/// What ends a stream whose caller would go on.
#[derive(Debug)]
pub struct Ends {
    /// Whether the server stops.
    pub stopping: watch::Receiver<bool>,
    /// Whether the stream's connection makes way for another; none for one that never does.
    pub leaving: Option<watch::Receiver<bool>>,
}

impl Ends {
    /// Waits for either. An error means that what would say so is gone.
    async fn wait(&mut self) -> Status {
        let Self { stopping, leaving } = self;
        let leaves = async {
            match leaving {
                Some(leaving) => drop(leaving.wait_for(|leaving| *leaving).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => Status::unavailable("the server is stopping; ask another"),
            () = leaves => Status::unavailable("the connection has come to its age (`limits.max_age`); open the stream on another"),
        }
    }
}

impl Answers {
    /// The answers to these messages.
    pub fn new(
        pdp: Arc<Pdp>,
        admission: Arc<Admission>,
        underway: Arc<Underway>,
        traceparent: Option<String>,
        messages: Streaming<pb::AuthorizeRequest>,
        ends: Ends,
    ) -> Self {
        Self { pdp, admission, underway, traceparent, messages, ends }
    }

    /// The answers, until the messages end, a message cannot be read, the caller's deadline or credential ends, the server stops,
    /// or the connection makes way for another.
    pub fn into_stream(self) -> impl Stream<Item = Result<pb::AuthorizeStreamResponse, Status>> {
        stream::unfold(Some(self), |answers| async move {
            let mut answers = answers?;
            match answers.message().await {
                Ok(Some(message)) => match answers.answer(message).await {
                    Ok(answer) => Some((Ok(answer), Some(answers))),
                    Err(status) => Some((Err(status), None)),
                },
                Ok(None) => None,
                Err(status) => Some((Err(status), None)),
            }
        })
    }

    /// The next message.
    async fn message(&mut self) -> Result<Option<pb::AuthorizeRequest>, Status> {
        let Self { pdp, underway, messages, ends, .. } = self;
        let late = async {
            match underway.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let unvouched = async {
            match underway.expires() {
                Some(expires) => tokio::time::sleep(expires).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // A stream does not outlive its caller's certificate or token, whether or not anything is asked.
            () = unvouched => Err(status::refused(&Refused::Caller(Unauthenticated::Expired.to_string()))),
            // Nobody waits for an answer any more, however many messages still come.
            () = late => Err(status::refused(&Refused::Late)),
            // What has arrived is answered before.
            message = messages.message() => message.map_err(|error| match status::unreadable(&error) {
                Some(refused) => status::refused(&pdp.refuse(&underway.hand_over(String::new()), refused)),
                None => error,
            }),
            ended = ends.wait() => Err(ended),
        }
    }

    /// The answer to a message; an error, which ends the stream, once nobody vouches for its caller any more (C10).
    async fn answer(&self, mut message: pb::AuthorizeRequest) -> Result<pb::AuthorizeStreamResponse, Status> {
        use pb::authorize_stream_response::Outcome;
        let request_id = std::mem::take(&mut message.request_id);
        let mut call = self.underway.hand_over(request_id);
        call.caller = match self.underway.caller(self.pdp.callers()) {
            Ok(caller) => caller,
            Err(refused) => return Err(status::refused(&self.pdp.refuse(&call, refused))),
        };
        call.deadline = call.deadline.min((Instant::now() + self.underway.longest()).into_std());
        if let Err(shed) = self.admission.admit_message() {
            let refused = self.pdp.turn_away(&call, shed.into());
            let outcome = Some(Outcome::Status(wire::item_status(&refused)));
            return Ok(pb::AuthorizeStreamResponse { request_id: call.request_id, outcome });
        }
        let asked = match call.request_id.as_str() {
            "" => Err(InvalidRequest::field("request_id", "is required: answers are told apart by it")),
            id => wire::asked(message, id, self.traceparent.clone()),
        };
        let outcome = match self.pdp.authorize(&call, asked).await {
            Ok(answer) => Outcome::Response(answer::response(answer, call.request_id.clone())),
            Err(refused @ Refused::Caller(_)) => return Err(status::refused(&refused)),
            Err(refused) => Outcome::Status(wire::item_status(&refused)),
        };
        Ok(pb::AuthorizeStreamResponse { request_id: call.request_id, outcome: Some(outcome) })
    }
}
