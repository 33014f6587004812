//! Batches to an OpenTelemetry collector, over gRPC: one log record for each, its body the record's text.

use std::time::Duration;

use ::http::Uri;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::runtime::Runtime;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::config::OtlpConfig;
use super::glance::{self, Glance};
use super::{Batch, OpenError, Sink, SinkError};
use crate::audit::spool::reader::Entry;
use crate::outbound::{self, innermost};

/// Longest time to connect.
const MAX_CONNECT: Duration = Duration::from_secs(5);
/// How often a connection is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);
/// What a server of gRPC takes at most unless it is told otherwise, in bytes.
const USUAL_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Exports batches.
#[derive(Debug)]
pub(super) struct OtlpSink {
    config: OtlpConfig,
    endpoint: Endpoint,
    /// None before the first delivery.
    client: Option<LogsServiceClient<Channel>>,
}

impl OtlpSink {
    /// A client of the collector that is configured; it is not connected to yet.
    ///
    /// # Errors
    /// Nobody could vouch for the collector.
    pub(super) fn open(config: &OtlpConfig) -> Result<Self, OpenError> {
        let endpoint = endpoint(&config.url, config)?;
        Ok(Self { config: config.clone(), endpoint, client: None })
    }

    fn request(&self, batch: &Batch<'_>) -> Result<Request<ExportLogsServiceRequest>, SinkError> {
        let mut request = Request::new(export(batch));
        *request.metadata_mut() = MetadataMap::from_headers(self.config.headers.read()?);
        request.set_timeout(self.config.timeout);
        Ok(request)
    }
}

impl Sink for OtlpSink {
    fn deliver(&mut self, batch: &Batch<'_>, runtime: &Runtime) -> Result<(), SinkError> {
        let (request, limit) = (self.request(batch)?, self.config.timeout);
        let _entered = runtime.enter();
        let client = self.client.get_or_insert_with(|| LogsServiceClient::new(self.endpoint.connect_lazy()));
        let exported = runtime.block_on(async { tokio::time::timeout(limit, client.export(request)).await });
        let late = |_late| SinkError::later(format!("no answer within {} s", limit.as_secs_f64()));
        match exported.map_err(late)? {
            Ok(answer) => accepted(answer.into_inner()),
            Err(status) => Err(judge(&status, batch)),
        }
    }
}

fn endpoint(url: &Uri, config: &OtlpConfig) -> Result<Endpoint, OpenError> {
    let unusable = |error: tonic::transport::Error| OpenError::Unusable(innermost(&error));
    let endpoint = Endpoint::from(url.clone())
        .connect_timeout(MAX_CONNECT)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(config.timeout)
        .keep_alive_while_idle(true)
        .user_agent(concat!("mandate/", env!("CARGO_PKG_VERSION")))
        .map_err(unusable)?;
    if url.scheme_str() != Some("https") {
        return Ok(endpoint);
    }
    let trusted = outbound::authorities(config.ca_file.as_deref())?;
    endpoint.tls_config(ClientTlsConfig::new().trust_anchors(trusted.roots)).map_err(unusable)
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

/// The beginning of what another side says, on one line.
fn brief(message: &str) -> String {
    message.chars().take(200).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// What is sent for a batch.
fn export(batch: &Batch<'_>) -> ExportLogsServiceRequest {
    let observed = Timestamp::now().as_nanosecond().try_into().unwrap_or(0);
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let resource = vec![
        attribute("service.name", "mandate"),
        attribute("service.version", &version),
        attribute("service.instance.id", &batch.log.to_string()),
    ];
    let scope =
        InstrumentationScope { name: "mandate.decision_log".to_owned(), version, ..Default::default() };
    let log_records = batch.entries.iter().map(|entry| record(batch.log, entry, observed)).collect();
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..Default::default() }];
    let resource = Some(Resource { attributes: resource, ..Default::default() });
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

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(text(value)), ..Default::default() }
}

fn text(value: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(value.to_owned())) }
}

#[cfg(test)]
mod tests {
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
