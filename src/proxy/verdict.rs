//! What an answer, or the want of one, means to whoever enforces it.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::decider::Answered;
use crate::server::pb;

/// Whether it may be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    Allowed(Granted),
    Denied(Denial),
}

/// What comes with an Allow.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Granted {
    pub(super) decision_id: String,
    pub(super) advice: Vec<pb::Advice>,
}

/// Why it may not be done, in words that the agent may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Denial {
    /// `forbidden`, `no_permit`, …; `unavailable` and the like where nobody decided.
    pub(super) code: String,
    pub(super) reason: String,
    /// Empty where nobody decided.
    pub(super) decision_id: String,
}

impl Verdict {
    pub(super) fn of(answered: Answered) -> Self {
        match answered {
            Ok(answer) => Self::decided(answer),
            Err(status) => Self::Denied(undecided(&status)),
        }
    }

    /// An Allow that asks for more than the proxy can do is none (C15): it can fulfil no obligation.
    fn decided(answer: pb::AuthorizeResponse) -> Self {
        let decision = answer.decision();
        let decision_id = answer.decision_id;
        let denied = |code: &str, reason: String| {
            Self::Denied(Denial { code: code.to_owned(), reason, decision_id: decision_id.clone() })
        };
        match (decision, answer.obligations.first(), answer.reason) {
            (pb::Decision::Allow, None, _) => Self::Allowed(Granted { decision_id, advice: answer.advice }),
            (pb::Decision::Allow, Some(obligation), _) => denied(
                "obligation",
                format!("It is allowed only with `{}`, which the proxy cannot do.", obligation.r#type),
            ),
            (_, _, Some(reason)) => denied(&reason.code, reason.message),
            (_, _, None) => denied("denied", "No reason was given.".to_owned()),
        }
    }

    pub(super) fn decision_id(&self) -> &str {
        match self {
            Self::Allowed(granted) => &granted.decision_id,
            Self::Denied(denial) => &denial.decision_id,
        }
    }
}

/// A refusal of Mandate's names what it refuses; anything else says only that nobody could be asked.
fn undecided(status: &Status) -> Denial {
    let denial =
        |code: &str, reason: String| Denial { code: code.to_owned(), reason, decision_id: String::new() };
    let field =
        status.get_details_bad_request().and_then(|details| details.field_violations.into_iter().next());
    match (status.code(), field) {
        (Code::InvalidArgument, Some(field)) => {
            denial("invalid_request", format!("{}: {}.", field.field, field.description))
        }
        (Code::InvalidArgument, None) => denial("invalid_request", format!("{}.", status.message())),
        (Code::Unauthenticated | Code::PermissionDenied, _) => denial(
            "not_entitled",
            "Mandate does not take this proxy's word, or its subject's token: its operator should look."
                .to_owned(),
        ),
        (code, _) => denial(
            "unavailable",
            format!("Mandate could not be asked ({code}), and nothing is done undecided: try again later."),
        ),
    }
}

impl Denial {
    /// As a sentence.
    pub(super) fn text(&self) -> String {
        let Self { code, reason, decision_id } = self;
        match decision_id.as_str() {
            "" => format!("Denied: {reason} [{code}]"),
            id => format!("Denied: {reason} [{code}, decision {id}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(decision: i32) -> pb::AuthorizeResponse {
        pb::AuthorizeResponse { decision, decision_id: "d".to_owned(), ..pb::AuthorizeResponse::default() }
    }

    fn code(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Allowed(_) => "allowed",
            Verdict::Denied(denial) => &denial.code,
        }
    }

    #[test]
    fn nothing_but_an_allow_without_obligations_allows() {
        let allow = answer(pb::Decision::Allow.into());
        assert_eq!(code(&Verdict::of(Ok(allow.clone()))), "allowed");
        for decision in [0, pb::Decision::Deny.into(), 7, -1] {
            assert_eq!(code(&Verdict::of(Ok(answer(decision)))), "denied", "{decision}");
        }
        let obligation = pb::Obligation { r#type: "mask".to_owned(), ..pb::Obligation::default() };
        let obliged = pb::AuthorizeResponse { obligations: vec![obligation], ..allow };
        assert_eq!(code(&Verdict::of(Ok(obliged))), "obligation");
        for status in [
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::Internal,
            Code::Unknown,
            Code::Ok,
            Code::Cancelled,
        ] {
            let verdict = Verdict::of(Err(Status::new(status, "secret 10.0.0.1")));
            assert_eq!(code(&verdict), "unavailable");
            assert!(!format!("{verdict:?}").contains("secret"), "{verdict:?}");
        }
        assert_eq!(code(&Verdict::of(Err(Status::unauthenticated("x")))), "not_entitled");
    }
}
