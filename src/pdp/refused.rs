//! Why there is no decision.

use super::Unwritten;
use super::overload::{RateLimited, Shed};
use crate::engine::request::{InvalidKind, InvalidRequest};
use crate::store::revision::RevisionError;

/// Why there is no decision. Never an Allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The question cannot be understood.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// The world that was asked for is not this one's past.
    #[error("consistency.minimum_revision: {0}")]
    Revision(#[from] RevisionError),
    /// The message is none, or too large; what is wrong with it.
    #[error("{0}")]
    Unreadable(String),
    /// The message is compressed.
    #[error("messages are not compressed")]
    Encoding,
    /// The caller has not shown who it is, or not validly; what is wrong, without what it showed.
    #[error("the caller is not authenticated: {0}")]
    Caller(String),
    /// The subject's token is not one that can be believed; what is wrong, without what it holds.
    #[error("the subject's token is not accepted: {0}")]
    SubjectToken(String),
    /// The caller may not ask this.
    #[error("the caller is not entitled: {0}")]
    NotEntitled(String),
    /// The deadline passed.
    #[error("the deadline passed before the decision was made")]
    Late,
    /// What is served may be old: the primary that is followed has not vouched for it of late.
    #[error(
        "this server cannot prove that it is current: its primary has not vouched for what it serves within the lease; ask \
         another, or again"
    )]
    NotCurrent,
    /// A follower has not been told of the world that was asked for.
    #[error(
        "consistency.minimum_revision: this server follows another, and has not been told of so late a revision yet: ask again"
    )]
    Behind,
    /// The answer could not be recorded, so it was not given.
    #[error("the decision log is not being written, and no answer is given that is not recorded")]
    Unrecorded,
    /// There is too much to do.
    #[error(transparent)]
    Shed(#[from] Shed),
    /// Its caller asks more than it may.
    #[error(transparent)]
    RateLimited(#[from] RateLimited),
    /// Something was not written.
    #[error(transparent)]
    Unwritten(#[from] Box<Unwritten>),
    /// A defect.
    #[error("internal error; it has been logged")]
    Internal,
}

/// Classes of refusal, named as gRPC names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusedCode {
    /// The caller's mistake.
    InvalidArgument,
    /// The contract has it, this build does not.
    Unimplemented,
    /// Right elsewhere or at another time.
    FailedPrecondition,
    /// Nobody vouches for who asks, or for whom.
    Unauthenticated,
    /// Not the caller's to ask.
    PermissionDenied,
    /// Too late.
    DeadlineExceeded,
    /// Not now.
    Unavailable,
    /// There is none.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// Somebody else was faster: look again, and decide anew.
    Aborted,
    /// Too much at once.
    ResourceExhausted,
    /// A defect.
    Internal,
}

impl RefusedCode {
    /// gRPC's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Unavailable => "UNAVAILABLE",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Aborted => "ABORTED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::Internal => "INTERNAL",
        }
    }
}

impl Refused {
    /// The class.
    #[must_use]
    pub fn code(&self) -> RefusedCode {
        match self {
            Self::Invalid(error) => match error.kind {
                InvalidKind::Malformed => RefusedCode::InvalidArgument,
                InvalidKind::NotHonoured => RefusedCode::Unimplemented,
            },
            Self::Revision(RevisionError::OtherLog) => RefusedCode::FailedPrecondition,
            Self::Revision(RevisionError::BadTag | RevisionError::Ahead) | Self::Unreadable(_) => {
                RefusedCode::InvalidArgument
            }
            Self::Encoding => RefusedCode::Unimplemented,
            Self::Caller(_) | Self::SubjectToken(_) => RefusedCode::Unauthenticated,
            Self::NotEntitled(_) => RefusedCode::PermissionDenied,
            Self::Late => RefusedCode::DeadlineExceeded,
            Self::Unrecorded | Self::NotCurrent | Self::Behind => RefusedCode::Unavailable,
            Self::Shed(_) | Self::RateLimited(_) => RefusedCode::ResourceExhausted,
            Self::Unwritten(unwritten) => unwritten.code,
            Self::Internal => RefusedCode::Internal,
        }
    }

    /// The reason, one word for machines.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(error) => match error.kind {
                InvalidKind::Malformed => "INVALID_REQUEST",
                InvalidKind::NotHonoured => "FIELD_NOT_HONOURED",
            },
            Self::Revision(RevisionError::OtherLog) => "REVISION_OF_ANOTHER_LOG",
            Self::Revision(_) => "REVISION_UNKNOWN",
            Self::Unreadable(_) => "MESSAGE_UNREADABLE",
            Self::Encoding => "ENCODING_UNKNOWN",
            Self::Caller(_) => "CALLER_UNAUTHENTICATED",
            Self::SubjectToken(_) => "SUBJECT_TOKEN_INVALID",
            Self::NotEntitled(_) => "CALLER_NOT_ENTITLED",
            Self::Late => "DEADLINE_EXCEEDED",
            Self::NotCurrent => "NOT_CURRENT",
            Self::Behind => "REVISION_NOT_REACHED",
            Self::Unrecorded => "DECISION_LOG_UNAVAILABLE",
            Self::Shed(_) => "OVERLOADED",
            Self::RateLimited(_) => "RATE_LIMITED",
            Self::Unwritten(unwritten) => unwritten.reason,
            Self::Internal => "INTERNAL",
        }
    }

    /// Path of the field that is refused; empty where none is.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Invalid(error) => &error.field,
            Self::Revision(_) | Self::Behind => "consistency.minimum_revision",
            Self::SubjectToken(_) => "credentials",
            Self::Unwritten(unwritten) => &unwritten.field,
            _ => "",
        }
    }
}
