//! Writing what decisions read: through the same door as questions, and recorded like their answers.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Call, Pdp, Refused, RefusedCode, name};
use crate::audit::reading::source::Source;
use crate::audit::{ChangeRecord, EntityChange, Record, WriterGone};
use crate::engine::edits::EditProblem;
use crate::engine::suspensions::Suspended;
use crate::store::entity_log::{EntityLogHandle, Order, Write, WriteError, Written};
use crate::store::revision::RevisionError;

/// Why something was not written: what a wire says of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unwritten {
    /// The class.
    pub code: RefusedCode,
    /// The reason, one word for machines.
    pub reason: &'static str,
    /// Path of the field that is refused; empty where none is.
    pub field: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Pdp {
    /// The same, which writes to this log.
    #[must_use]
    pub fn writing(self, log: EntityLogHandle) -> Self {
        Self { log: Some(log), ..self }
    }

    /// The decision log, for whoever reads it; none if nothing is recorded.
    pub fn log_source(&self) -> Option<&Source> {
        self.audit.source()
    }

    /// The log that is written to.
    ///
    /// # Errors
    /// There is none: a follower's primary has it, and a program that makes its own worlds writes them itself.
    pub fn entity_log(&self) -> Result<&EntityLogHandle, Refused> {
        self.log.as_ref().ok_or_else(|| {
            if let Some(following) = &self.following {
                return follower(following.primary());
            }
            let message = "nothing is written here: this service keeps no entity log".to_owned();
            refused(RefusedCode::Unimplemented, "NO_ENTITY_LOG", String::new(), message)
        })
    }

    /// Writes for a caller, and records it. What was begun is finished and recorded though nobody may wait for it any more.
    ///
    /// # Errors
    /// [`Refused`]; it has been recorded.
    pub async fn commit(
        self: &Arc<Self>,
        call: &Call,
        write: Write,
        if_revision: String,
    ) -> Result<Written, Refused> {
        let room = self.room(1, call).await?;
        let log = self.entity_log().map_err(|error| self.refuse(call, error))?.clone();
        let (pdp, of, deadline) = (Arc::clone(self), call.clone(), call.deadline);
        let task = tokio::spawn(async move {
            let mut room = room;
            let (what, reason) = described(&write);
            let order = Order { write, if_revision, by: Arc::clone(of.caller.name()) };
            let written = match log.write(order).await {
                Ok(written) => written,
                Err(error) => {
                    drop(room);
                    return Err(pdp.refuse(&of, unwritten(&error)));
                }
            };
            let record = || Record::Change(Box::new(change_record(&of, what, reason, &written)));
            let recording = room.record(false, record).map_err(|_lost| Refused::Unrecorded)?;
            recording.settled().await.map_err(|WriterGone| Refused::Unrecorded)?;
            Ok(written)
        });
        match tokio::time::timeout_at(deadline.into(), task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => {
                self.panicked();
                Err(self.refuse(call, Refused::Internal))
            }
            Err(_late) => Err(Refused::Late),
        }
    }
}

/// That a server says nothing of its own: the one that it follows does, by this URL.
#[must_use]
pub fn follower(primary: &str) -> Refused {
    let message = format!("this server follows {primary}, and serves what that serves: tell that one");
    refused(RefusedCode::FailedPrecondition, "FOLLOWER", String::new(), message)
}

fn change_record(call: &Call, what: &'static str, reason: String, written: &Written) -> ChangeRecord {
    let change = |change: &crate::store::entity_log::WrittenChange| {
        let (before, after) = (change.before.clone(), change.after.clone());
        change.uid.clone().map(|uid| EntityChange { uid, before, after })
    };
    ChangeRecord {
        id: name(),
        at: SystemTime::now(),
        surface: call.surface,
        caller: Arc::clone(call.caller.name()),
        what,
        reason,
        revision: Arc::clone(&written.published.revision),
        changes: written.changes.iter().filter_map(change).collect(),
        masked: Vec::new(),
    }
}

/// What a write is called in the record, and why it is done.
fn described(write: &Write) -> (&'static str, String) {
    match write {
        Write::Put(_) => ("put", String::new()),
        Write::Delete(_) => ("delete", String::new()),
        Write::Cut(_) => ("cut", String::new()),
        Write::Revoke(_, reason) => ("revoke", reason.clone()),
        Write::Suspend(Suspended::All, reason) => ("freeze", reason.clone()),
        Write::Suspend(_, reason) => ("suspend", reason.clone()),
        Write::Lift(Suspended::All, reason) => ("unfreeze", reason.clone()),
        Write::Lift(_, reason) => ("lift", reason.clone()),
    }
}

/// What a wire says of a write that was not done.
fn unwritten(error: &WriteError) -> Refused {
    use RefusedCode as Code;
    let (code, reason, field) = match error {
        WriteError::Refused(refusal) => {
            let field = format!("[{}]", refusal.at);
            match &refusal.problem {
                EditProblem::Malformed(_)
                | EditProblem::Repeated(_)
                | EditProblem::IsDelegation(_)
                | EditProblem::NoDelegation(_)
                | EditProblem::Cycle(_)
                | EditProblem::TooDeep(_) => (Code::InvalidArgument, "INVALID_REQUEST", field),
                EditProblem::NotStored(_) => (Code::NotFound, "ENTITY_UNKNOWN", field),
                EditProblem::GrantUsed(_) => (Code::AlreadyExists, "GRANT_ID_USED", field),
                EditProblem::FileOwned(_) => (Code::FailedPrecondition, "ENTITY_OWNED_BY_FILE", field),
                EditProblem::StillParent(_) => (Code::FailedPrecondition, "ENTITY_STILL_PARENT", field),
                EditProblem::ParentNotStored(..) => (Code::FailedPrecondition, "PARENT_UNKNOWN", field),
                EditProblem::HasAction(_) => (Code::FailedPrecondition, "TOOL_HAS_ACTION", field),
            }
        }
        WriteError::TooLarge { .. } | WriteError::Empty => {
            (Code::InvalidArgument, "INVALID_REQUEST", "[]".to_owned())
        }
        WriteError::Moved => (Code::Aborted, "REVISION_MOVED", "if_revision".to_owned()),
        WriteError::Revision(RevisionError::OtherLog) => {
            (Code::FailedPrecondition, "REVISION_OF_ANOTHER_LOG", "if_revision".to_owned())
        }
        WriteError::Revision(_) => (Code::InvalidArgument, "REVISION_UNKNOWN", "if_revision".to_owned()),
        WriteError::NotSuspended(_) => (Code::NotFound, "NOT_SUSPENDED", "principal".to_owned()),
        WriteError::Full(_) => (Code::FailedPrecondition, "ENTITY_LOG_FULL", String::new()),
        WriteError::Overload(_) => (Code::ResourceExhausted, "OVERLOADED", String::new()),
        WriteError::Disk(_) | WriteError::Ended => {
            (Code::Unavailable, "ENTITY_LOG_UNAVAILABLE", String::new())
        }
        WriteError::Unknown(_) => (Code::Unavailable, "ENTITY_LOG_OUTCOME_UNKNOWN", String::new()),
    };
    refused(code, reason, field, error.to_string())
}

fn refused(code: RefusedCode, reason: &'static str, field: String, message: String) -> Refused {
    Refused::Unwritten(Box::new(Unwritten { code, reason, field, message }))
}
