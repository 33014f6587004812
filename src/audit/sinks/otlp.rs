//! Batches to an OpenTelemetry collector, over gRPC: one log record for each, its body the record's text.

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use tokio::runtime::Runtime;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::glance::{self, Glance};
use super::{Batch, OpenError, Sink, SinkError};
use crate::audit::spool::reader::Entry;
use crate::collector::{self, Collector, CollectorConfig, CollectorError, attribute, brief, text};

/// What a server of gRPC takes at most unless it is told otherwise, in bytes.
const USUAL_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Exports batches.
#[derive(Debug)]
pub(super) struct OtlpSink(Collector);

impl OtlpSink {
    /// A client of the collector that is configured; it is not connected to yet.
    ///
    /// # Errors
    /// Nobody could vouch for the collector.
    pub(super) fn open(config: &CollectorConfig) -> Result<Self, OpenError> {
        Ok(Self(Collector::open(config)?))
    }
}

impl From<CollectorError> for OpenError {
    fn from(error: CollectorError) -> Self {
        match error {
            CollectorError::Trust(error) => Self::Trust(error),
            CollectorError::Unusable(why) => Self::Unusable(why),
        }
    }
}

impl Sink for OtlpSink {
    fn deliver(&mut self, batch: &Batch<'_>, runtime: &Runtime) -> Result<(), SinkError> {
        let (request, limit) = (self.0.request(export(batch))?, self.0.timeout());
        let _entered = runtime.enter();
        let mut client = LogsServiceClient::new(self.0.channel());
        let exported = runtime.block_on(async { tokio::time::timeout(limit, client.export(request)).await });
        let late = |_late| SinkError::later(format!("no answer within {} s", limit.as_secs_f64()));
        match exported.map_err(late)? {
            Ok(answer) => accepted(answer.into_inner()),
            Err(status) => Err(judge(&status, batch)),
        }
    }
}

/// A collector may take a batch in part, without saying which (OTLP, "Partial Success"). It must not have it again.
fn accepted(answer: ExportLogsServiceResponse) -> Result<(), SinkError> {
    let Some(partial) = answer.partial_success else { return Ok(()) };
    match u64::try_from(partial.rejected_log_records) {
        // A message without rejections is a hint to whoever wrote the exporter.
        Ok(0) | Err(_) => Ok(()),
        Ok(rejected) => Err(SinkError::Partly { rejected, why: brief(&partial.error_message) }),
    }
}

/// What an error means. The specification would have most of them drop the batch; evidence is given up only for what
/// speaks of the records themselves.
fn judge(status: &Status, batch: &Batch<'_>) -> SinkError {
    let why = format!("{:?}: {}", status.code(), brief(status.message()));
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let too_long = after.is_none() && batch.bytes() > USUAL_MESSAGE_BYTES;
    match status.code() {
        Code::InvalidArgument => SinkError::Refused { why },
        Code::ResourceExhausted | Code::OutOfRange if too_long => SinkError::Refused { why },
        _ => SinkError::Later { why, after },
    }
}

/// What is sent for a batch.
fn export(batch: &Batch<'_>) -> ExportLogsServiceRequest {
    let observed = Timestamp::now().as_nanosecond().try_into().unwrap_or(0);
    let scope = collector::scope("mandate.decision_log");
    let log_records = batch.entries.iter().map(|entry| record(batch.log, entry, observed)).collect();
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..Default::default() }];
    let resource = Some(collector::resource(&batch.log.to_string(), []));
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource, scope_logs, ..Default::default() }],
    }
}

fn record(log: Uuid, entry: &Entry, observed: u64) -> LogRecord {
    let seen = Glance::at(&entry.line);
    let (trace_id, span_id) = seen.trace();
    let kind = glance::text(&seen.kind).unwrap_or_default();
    let mut attributes = vec![
        attribute("mandate.log", &log.to_string()),
        KeyValue {
            key: "mandate.sequence".to_owned(),
            value: Some(AnyValue {
                value: Some(Value::IntValue(i64::try_from(entry.sequence).unwrap_or(i64::MAX))),
            }),
            ..Default::default()
        },
    ];
    let fields = [
        ("mandate.kind", &seen.kind),
        ("mandate.instance", &seen.instance),
        ("mandate.decision_id", &seen.decision_id),
        ("mandate.decision", &seen.decision),
        ("mandate.caller", &seen.caller),
        ("mandate.principal", &seen.principal),
        ("mandate.action", &seen.action),
        ("mandate.resource", &seen.resource),
    ];
    attributes
        .extend(fields.into_iter().filter_map(|(key, value)| Some(attribute(key, &glance::text(value)?))));
    LogRecord {
        time_unix_nano: seen.nanoseconds(),
        observed_time_unix_nano: observed,
        severity_number: SeverityNumber::Info.into(),
        severity_text: "INFO".to_owned(),
        body: Some(text(&String::from_utf8_lossy(&entry.line))),
        attributes,
        trace_id,
        span_id,
        event_name: format!("mandate.{kind}"),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use tonic_types::ErrorDetails;

    fn judged(status: &Status, bytes: usize) -> SinkError {
        let entries = [Entry { sequence: 0, line: vec![b' '; bytes] }];
        judge(status, &Batch { log: Uuid::nil(), entries: &entries })
    }

    #[test]
    fn only_what_speaks_of_the_records_gives_them_up() {
        let refused =
            |code, bytes| matches!(judged(&Status::new(code, ""), bytes), SinkError::Refused { .. });
        assert!(refused(Code::InvalidArgument, 1));
        for code in 1..=16 {
            let code = Code::from_i32(code);
            assert!(code == Code::InvalidArgument || !refused(code, 1), "{code:?}");
        }
        assert!(
            refused(Code::ResourceExhausted, USUAL_MESSAGE_BYTES + 1),
            "too long a message, by gRPC's usual limit"
        );
        assert!(!refused(Code::Unavailable, USUAL_MESSAGE_BYTES + 1));
    }

    #[test]
    fn a_collector_says_when_to_come_again() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(7)));
        let busy = Status::with_error_details(Code::ResourceExhausted, "busy", details);
        let SinkError::Later { why, after } = judged(&busy, USUAL_MESSAGE_BYTES + 1) else {
            panic!("given up")
        };
        assert_eq!((why.as_str(), after), ("ResourceExhausted: busy", Some(Duration::from_secs(7))));
    }
}
