//! A connection to the control listener of a primary, and what is shown to it.

use std::path::Path;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status, Streaming};

use super::Primary;
use crate::outbound::headers::secret;
use crate::outbound::{authorities, innermost};
use crate::server::pb;
use crate::server::pb::entity_service_client::EntityServiceClient;
use crate::server::tls::MAX_FILE_BYTES;
use crate::store::follow::read_file;

/// Largest message, in bytes: an entity file may hold large ones.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a connection that says nothing is tried, and how long that may take.
const ALIVE: Duration = Duration::from_secs(10);

/// A connection.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    client: EntityServiceClient<Channel>,
    bearer: Option<MetadataValue<Ascii>>,
}

impl Connection {
    /// Connects, with what the files say now: certificates and tokens are renewed.
    ///
    /// # Errors
    /// What is wrong with a file, or why nobody answers.
    pub(super) async fn open(primary: &Primary) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(primary.url.clone()).map_err(|error| innermost(&error))?;
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(ALIVE)
            .keep_alive_timeout(ALIVE)
            .keep_alive_while_idle(true);
        let endpoint = match tls(primary)? {
            Some(tls) => endpoint.tls_config(tls).map_err(|error| innermost(&error))?,
            None => endpoint,
        };
        let bearer = primary.token_file.as_deref().map(bearer).transpose()?;
        let channel = endpoint.connect().await.map_err(|error| innermost(&error))?;
        let client = EntityServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self { client, bearer })
    }

    /// Begins to hear of everything that is published.
    pub(super) async fn watch(
        &mut self,
        request: pb::WatchRequest,
    ) -> Result<Streaming<pb::WatchResponse>, Status> {
        let request = self.entitled(request);
        Ok(self.client.watch(request).await?.into_inner())
    }

    /// Asks what is served.
    pub(super) async fn renew(&mut self) -> Result<pb::RenewResponse, Status> {
        let request = self.entitled(pb::RenewRequest {});
        Ok(self.client.renew(request).await?.into_inner())
    }

    fn entitled<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(bearer) = &self.bearer {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        request
    }
}

fn tls(primary: &Primary) -> Result<Option<ClientTlsConfig>, String> {
    if !primary.url.starts_with("https:") {
        return Ok(None);
    }
    let read = |file: &Path| read_file(file, MAX_FILE_BYTES).map_err(|error| error.to_string());
    let trusted = authorities(primary.ca_file.as_deref()).map_err(|error| error.to_string())?;
    let mut config = ClientTlsConfig::new().trust_anchors(trusted.roots);
    if let Some((certificate, key)) = &primary.shown {
        config = config.identity(Identity::from_pem(&*read(certificate)?, &*read(key)?));
    }
    Ok(Some(match &primary.server_name {
        Some(name) => config.domain_name(name),
        None => config,
    }))
}

fn bearer(file: &Path) -> Result<MetadataValue<Ascii>, String> {
    let token = secret(file).map_err(|error| error.to_string())?;
    let parsed = format!("Bearer {token}").parse::<MetadataValue<Ascii>>();
    let mut bearer = parsed.map_err(|_error| format!("`{}` holds no token", file.display()))?;
    bearer.set_sensitive(true);
    Ok(bearer)
}
