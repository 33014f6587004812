//! Talking to the control listener of a running server.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::Exit;
use super::output;
use super::tls::{self, TlsArgs};
use crate::app;
use crate::config::{Config, Overrides};
use crate::listening::Address;
use crate::outbound;
use crate::server::control_token::Token;
use crate::server::pb;
use crate::server::pb::admin_service_client::AdminServiceClient;
use crate::server::pb::decision_log_service_client::DecisionLogServiceClient;
use crate::server::pb::entity_service_client::EntityServiceClient;

/// Largest answer, in bytes: a page, or what a watch is told of at once.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Which server, and what proves that it may be told.
#[derive(Debug, Clone, Args)]
pub struct ControlArgs {
    /// The server's configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server's data directory, which holds its token [default: data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the control listener, or unix:PATH [default: 127.0.0.1:4469].
    #[arg(long, value_name = "ADDRESS")]
    control: Option<Address>,
    #[command(flatten)]
    tls: TlsArgs,
}

/// A connection to the control listener.
#[derive(Debug)]
pub struct Connection {
    client: AdminServiceClient<Channel>,
    entities: EntityServiceClient<Channel>,
    log: DecisionLogServiceClient<Channel>,
    /// What proves an administrator, where no certificate does.
    bearer: Option<MetadataValue<Ascii>>,
}

impl ControlArgs {
    /// Connects, calls, and says why it could not.
    ///
    /// # Errors
    /// [`Exit::Failure`], after the reason was printed.
    pub fn call<T>(&self, call: impl AsyncFnOnce(&mut Connection) -> Result<T, Status>) -> Result<T, Exit> {
        self.try_call(call).map_err(|message| {
            output::failure(&message);
            Exit::Failure
        })
    }

    fn config(&self, overrides: Overrides) -> Result<Config, String> {
        Config::load(self.config.as_deref(), overrides).map_err(|error| error.to_string())
    }

    /// Folder of the server's decision log.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub fn log_directory(&self) -> Result<PathBuf, String> {
        let overrides = Overrides { data_directory: self.data_dir.clone(), ..Overrides::default() };
        Ok(self.config(overrides)?.log.directory)
    }

    fn try_call<T>(&self, call: impl AsyncFnOnce(&mut Connection) -> Result<T, Status>) -> Result<T, String> {
        let overrides = Overrides {
            data_directory: self.data_dir.clone(),
            control: self.control.clone(),
            ..Overrides::default()
        };
        let config = self.config(overrides)?;
        let tls = self.tls.config()?;
        let bearer = match (&tls, config.callers.control) {
            (Some(_), _) => None,
            (None, true) => {
                return Err("the server asks administrators for a certificate: show one with --tls-ca, --tls-cert and \
                            --tls-key"
                    .to_owned());
            }
            (None, false) => Some(bearer(&config.data_directory)?),
        };
        let address = config.listen.control;
        let runtime = app::runtime().map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let unreachable = |error: tonic::transport::Error| {
                format!("cannot reach {address}: {}", outbound::innermost(&error))
            };
            let channel = tls::connect(&address.url(tls.is_some()), tls).await.map_err(unreachable)?;
            let client = AdminServiceClient::new(channel.clone());
            let entities =
                EntityServiceClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES);
            let log = DecisionLogServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
            let answered = call(&mut Connection { client, entities, log, bearer }).await;
            answered.map_err(|status| status.message().to_owned())
        })
    }
}

/// The token of a running server.
fn bearer(data_directory: &Path) -> Result<MetadataValue<Ascii>, String> {
    let token = Token::read(&data_directory.join("control.token")).map_err(|error| {
        format!("{error}; a running server keeps its token there: name its folder with --data-dir")
    })?;
    token.bearer().parse().map_err(|_error| "the token is no header value".to_owned())
}

impl Connection {
    /// Goes back to a generation, or without one ends that.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn rollback(&mut self, generation: Option<&str>) -> Result<String, Status> {
        let request = pb::RollbackRequest {
            generation: generation.unwrap_or_default().to_owned(),
            release: generation.is_none(),
        };
        let request = self.entitled(request);
        Ok(self.client.rollback(request).await?.into_inner().generation)
    }

    /// What the server says of itself.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn status(&mut self) -> Result<Value, Status> {
        let request = self.entitled(pb::GetStatusRequest {});
        let json = self.client.get_status(request).await?.into_inner().json;
        serde_json::from_str(&json)
            .map_err(|error| Status::internal(format!("the status is no JSON: {error}")))
    }

    /// What is stored, and changed.
    pub fn entities(&mut self) -> &mut EntityServiceClient<Channel> {
        &mut self.entities
    }

    /// What was decided.
    pub fn log(&mut self) -> &mut DecisionLogServiceClient<Channel> {
        &mut self.log
    }

    /// What acts on the server.
    pub fn admin(&mut self) -> &mut AdminServiceClient<Channel> {
        &mut self.client
    }

    /// A message from somebody who may send it.
    pub fn entitled<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(bearer) = &self.bearer {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        request
    }
}
