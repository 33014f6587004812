//! An OpenTelemetry collector, spoken to over gRPC (OTLP 1.10, "OTLP/gRPC"): how it is reached, what is said with each
//! request, and what this service is called there.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status};

use crate::outbound::headers::{HeaderConfig, SecretError};
use crate::outbound::{self, TrustError, innermost};

/// Longest time to connect.
const MAX_CONNECT: Duration = Duration::from_secs(5);
/// How often a connection is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);
/// What this service is called (`service.name`), unless the configuration says otherwise.
const SERVICE: &str = "mandate";

/// A collector, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorConfig {
    /// Its gRPC endpoint.
    pub url: Uri,
    /// What else is said with a request.
    pub headers: HeaderConfig,
    /// Authorities whose word for the server counts, in PEM; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// Longest time a request may take.
    pub timeout: Duration,
}

/// Why a collector can never be reached.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// Nobody could vouch for it.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// What it is configured with cannot be used.
    #[error("{0}")]
    Unusable(String),
}

/// A collector that may be called.
#[derive(Debug)]
pub struct Collector {
    config: CollectorConfig,
    endpoint: Endpoint,
    /// None before the first request.
    channel: Option<Channel>,
}

impl Collector {
    /// The collector that is configured; it is not connected to yet.
    ///
    /// # Errors
    /// Nobody could vouch for it.
    pub fn open(config: &CollectorConfig) -> Result<Self, CollectorError> {
        let unusable = |error: tonic::transport::Error| CollectorError::Unusable(innermost(&error));
        let mut endpoint = Endpoint::from(config.url.clone())
            .connect_timeout(MAX_CONNECT)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(config.timeout)
            .keep_alive_while_idle(true)
            .user_agent(concat!("mandate/", env!("CARGO_PKG_VERSION")))
            .map_err(unusable)?;
        if config.url.scheme_str() == Some("https") {
            let trusted = outbound::authorities(config.ca_file.as_deref())?;
            let tls = ClientTlsConfig::new().trust_anchors(trusted.roots);
            endpoint = endpoint.tls_config(tls).map_err(unusable)?;
        }
        Ok(Self { config: config.clone(), endpoint, channel: None })
    }

    /// Longest time a request may take.
    pub fn timeout(&self) -> Duration {
        self.config.timeout
    }

    /// A connection, which is made once it is used. To be called on the runtime that it is to live on, always the same.
    pub fn channel(&mut self) -> Channel {
        self.channel.get_or_insert_with(|| self.endpoint.connect_lazy()).clone()
    }

    /// A request, with the headers as their files say now.
    ///
    /// # Errors
    /// A file holds no value of a header.
    pub fn request<T>(&self, message: T) -> Result<Request<T>, SecretError> {
        let mut request = Request::new(message);
        *request.metadata_mut() = MetadataMap::from_headers(self.config.headers.read()?);
        request.set_timeout(self.config.timeout);
        Ok(request)
    }

    /// What it answers, if it does in time.
    ///
    /// # Errors
    /// Why it does not, on one line.
    pub async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, String> {
        match tokio::time::timeout(self.config.timeout, answer).await {
            Err(_late) => Err("it does not answer in time".to_owned()),
            Ok(Err(status)) => Err(format!("{:?}: {}", status.code(), brief(status.message()))),
            Ok(Ok(answer)) => Ok(answer.into_inner()),
        }
    }
}

/// What this service is, for a collector: its name and version, which of its processes or logs this is, and what is said
/// of it besides, which may say the same otherwise.
pub fn resource<'a>(instance: &str, besides: impl IntoIterator<Item = (&'a str, &'a str)>) -> Resource {
    let mut attributes = vec![
        attribute("service.name", SERVICE),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
        attribute("service.instance.id", instance),
    ];
    for (key, value) in besides {
        attributes.retain(|attribute| attribute.key != key);
        attributes.push(attribute(key, value));
    }
    Resource { attributes, ..Default::default() }
}

/// Who made what is sent.
pub fn scope(name: &str) -> InstrumentationScope {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    InstrumentationScope { name: name.to_owned(), version, ..Default::default() }
}

/// A text, named.
pub fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(text(value)), ..Default::default() }
}

/// A text.
pub fn text(value: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(value.to_owned())) }
}

/// The beginning of what another side says, on one line.
pub fn brief(message: &str) -> String {
    message.chars().take(200).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
