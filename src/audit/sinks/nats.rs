//! Messages to a stream of NATS JetStream. Only what the stream acknowledges counts: publishing alone delivers nothing.

use std::collections::BTreeSet;
use std::error::Error as _;

use async_nats::ConnectOptions;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, Context, ErrorCode};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Runtime;

use super::config::{NatsConfig, NatsCredentials};
use super::{Batch, OpenError, Sink, SinkError};
use crate::audit::spool::reader::Entry;
use crate::outbound;
use crate::outbound::headers::secret;

/// Publishes records, one message each.
#[derive(Debug)]
pub(super) struct NatsSink {
    config: NatsConfig,
    /// None before the first delivery and after one that failed: a connection that hangs is not believed.
    stream: Option<Context>,
    /// Of a batch that was acknowledged in part: these were.
    acknowledged: BTreeSet<u64>,
}

impl NatsSink {
    /// A publisher to the servers that are configured; they are not connected to yet.
    ///
    /// # Errors
    /// The file of authorities cannot be used.
    pub(super) fn open(config: &NatsConfig) -> Result<Self, OpenError> {
        if let Some(file) = &config.ca_file {
            outbound::authorities(Some(file))?;
        }
        Ok(Self { config: config.clone(), stream: None, acknowledged: BTreeSet::new() })
    }

    async fn publish(&mut self, batch: &Batch<'_>) -> Result<(), SinkError> {
        let stream = match &self.stream {
            Some(stream) => stream.clone(),
            None => connect(&self.config).await?,
        };
        let stream = self.stream.insert(stream).clone();
        self.acknowledged.retain(|sequence| *sequence >= batch.first());
        let mut outcome = Ok(());
        let mut under_way = FuturesUnordered::new();
        for entry in batch.entries.iter().filter(|entry| !self.acknowledged.contains(&entry.sequence)) {
            let message = self.message(batch, entry);
            match stream.send_publish(self.config.subject.clone(), message).await {
                Ok(answer) => under_way.push(async { (entry.sequence, answer.await) }),
                Err(error) => {
                    outcome = Err(judge(&error, &self.config));
                    break;
                }
            }
        }
        // Each is noted as it comes: the others may never.
        while let Some((sequence, answer)) = under_way.next().await {
            match answer {
                Ok(_acknowledgement) => {
                    self.acknowledged.insert(sequence);
                }
                Err(error) => outcome = outcome.and(Err(judge(&error, &self.config))),
            }
        }
        outcome
    }

    /// A record as a message. Its id is what the stream tells duplicates by.
    fn message(&self, batch: &Batch<'_>, entry: &Entry) -> PublishMessage {
        let id = format!("{}-{}", batch.log, entry.sequence);
        let message = PublishMessage::build().payload(Bytes::copy_from_slice(&entry.line)).message_id(id);
        match &self.config.stream {
            Some(stream) => message.expected_stream(stream),
            None => message,
        }
    }
}

impl Sink for NatsSink {
    fn deliver(&mut self, batch: &Batch<'_>, runtime: &Runtime) -> Result<(), SinkError> {
        let limit = self.config.timeout;
        let published = runtime.block_on(async { tokio::time::timeout(limit, self.publish(batch)).await });
        let late =
            |_late| SinkError::later(format!("not all was acknowledged within {} s", limit.as_secs_f64()));
        let delivered = published.map_err(late).and_then(|published| published);
        if matches!(delivered, Err(SinkError::Later { .. })) {
            self.stream = None;
        }
        delivered
    }
}

async fn connect(config: &NatsConfig) -> Result<Context, SinkError> {
    let mut options = ConnectOptions::new()
        .name("mandate")
        .require_tls(config.tls)
        .connection_timeout(config.timeout)
        .subscription_capacity(1024);
    if let Some(file) = &config.ca_file {
        options = options.add_root_certificates(file.clone());
    }
    options = match &config.credentials {
        NatsCredentials::None => options,
        NatsCredentials::Token(file) => options.token(secret(file)?),
        NatsCredentials::Password(user, file) => options.user_and_password(user.clone(), secret(file)?),
        NatsCredentials::File(file) => options.credentials(&secret(file)?).map_err(|_shows_it| {
            SinkError::later(format!("`{}` holds no credentials as `nsc` writes them", file.display()))
        })?,
    };
    let client = options.connect(config.servers.clone()).await;
    let client = client.map_err(|error| SinkError::later(format!("cannot connect: {error}")))?;
    Ok(jetstream::context::ContextBuilder::new().ack_timeout(config.timeout).build(client))
}

/// What a failed publish means, and what to do.
fn judge(error: &PublishError, config: &NatsConfig) -> SinkError {
    let (subject, why) = (&config.subject, error.to_string());
    let code = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
    match (error.kind(), code.map(jetstream::Error::error_code)) {
        (PublishErrorKind::MaxPayloadExceeded, _) | (_, Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)) => {
            SinkError::Refused { why }
        }
        (PublishErrorKind::StreamNotFound, _) => SinkError::later(format!(
            "no stream takes `{subject}`: create one with that subject, or set `subject` to that of one that exists"
        )),
        (_, Some(ErrorCode::STREAM_NOT_MATCH)) => SinkError::later(format!(
            "the stream that takes `{subject}` is another than `stream` says: {why}"
        )),
        _ => SinkError::later(why),
    }
}
