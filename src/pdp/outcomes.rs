//! What became of decisions: held to what was decided, and recorded beside it.

use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{Call, Pdp, Refused, RefusedCode, Unwritten, name};
use crate::audit::outcome::{Decided, Finding, OutcomeRecord, Report};
use crate::audit::reading::decided::decided;
use crate::audit::{Record, ReportedBy};
use crate::store::replica::lease::LeaseEnd;

/// How long a decision may take from its answer to the log.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(5);
/// How many old decisions are looked for at once: each reads the disk.
static LOOKING: Semaphore = Semaphore::const_new(2);

impl Pdp {
    /// Records what became of a decision, and returns what is wrong between the two.
    ///
    /// # Errors
    /// [`Refused`]; it has been recorded.
    pub async fn report_outcome(&self, call: &Call, report: Report) -> Result<Vec<Finding>, Refused> {
        self.hold_to_rate(call, 1)?;
        let _place = self.place(call).await?;
        let mut room = self.room(1, call).await?;
        let looked =
            tokio::time::timeout_at(call.deadline.into(), self.decision_reported(call, report.of)).await;
        let decided = looked.unwrap_or(Err(Refused::Late)).map_err(|refused| self.refuse(call, refused))?;
        let same_input = |decided_on: &str| self.audit.is_digest_of(decided_on, &report.input_digest);
        let findings = decided.findings(&report, same_input);
        self.metrics.outcomes().reported(report.outcome, &findings);
        if findings.iter().any(|finding| matches!(finding, Finding::ExecutedOnDeny | Finding::InputMismatch))
        {
            tracing::warn!(
                decision.id = %report.of,
                outcome = report.outcome.as_str(),
                findings = ?findings,
                "what was done is not what was decided"
            );
        }
        let record = || {
            Record::Outcome(Box::new(OutcomeRecord {
                id: name(),
                at: SystemTime::now(),
                surface: call.surface,
                caller: call.caller.name().clone(),
                effect: decided.effect,
                report,
                findings: findings.clone(),
                masked: Vec::new(),
            }))
        };
        let recording = room.record(false, record).map_err(|_lost| Refused::Unrecorded)?;
        self.lasting(call, recording, LeaseEnd::EVER).await?;
        Ok(findings)
    }

    /// The decision that an outcome is reported of. It may be on its way to the log still.
    async fn decision_reported(&self, call: &Call, of: Uuid) -> Result<Decided, Refused> {
        let is_young = age(of).is_some_and(|age| age < PATIENCE);
        for _ in 0..=PATIENCE.as_millis() / LOOK.as_millis() {
            match self.audit.report(of, call.caller.name()) {
                ReportedBy::Asker(decided) => return Ok(decided),
                ReportedBy::Other => return Err(somebody_elses(of)),
                ReportedBy::Unknown if is_young => tokio::time::sleep(LOOK).await,
                ReportedBy::Unknown => break,
            }
        }
        let decided = self.decision_logged(of).await?;
        if *decided.caller == **call.caller.name() { Ok(decided) } else { Err(somebody_elses(of)) }
    }

    /// A decision that is not remembered, from the log on disk.
    async fn decision_logged(&self, of: Uuid) -> Result<Decided, Refused> {
        let unknown = || {
            let message = format!("no decision {of} is known here: report to the instance that decided");
            unreported(RefusedCode::NotFound, "DECISION_UNKNOWN", message)
        };
        let source = self.audit.source().cloned().ok_or_else(unknown)?;
        let Ok(_looking) = LOOKING.try_acquire() else {
            let message = "too many old decisions are looked for at once: report again later".to_owned();
            return Err(unreported(RefusedCode::ResourceExhausted, "OVERLOADED", message));
        };
        match tokio::task::spawn_blocking(move || decided(&source, of)).await {
            Ok(Ok(found)) => found.ok_or_else(unknown),
            Ok(Err(error)) => {
                tracing::warn!(%error, "an old decision cannot be looked for");
                Err(unreported(
                    RefusedCode::Unavailable,
                    "DECISION_LOG_UNREADABLE",
                    "the log cannot be read".to_owned(),
                ))
            }
            Err(_panic) => {
                self.panicked();
                Err(Refused::Internal)
            }
        }
    }
}

fn somebody_elses(of: Uuid) -> Refused {
    Refused::NotEntitled(format!("decision {of} was asked for by another caller"))
}

/// How long ago an id was made, if it says so (RFC 9562 §5.7). One of the future is new.
fn age(id: Uuid) -> Option<Duration> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    let made = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    Some(SystemTime::now().duration_since(made).unwrap_or_default())
}

fn unreported(code: RefusedCode, reason: &'static str, message: String) -> Refused {
    Refused::Unwritten(Box::new(Unwritten { code, reason, field: "decision_id".to_owned(), message }))
}
