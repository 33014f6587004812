//! Speaking TLS to a server, as a caller that shows a certificate.

use std::path::PathBuf;

use clap::Args;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Error, Identity};

use crate::server::tls::MAX_FILE_BYTES;
use crate::store::follow::read_file;

/// What is shown and trusted, where a server speaks TLS.
#[derive(Debug, Clone, Args)]
pub struct TlsArgs {
    /// Certificates of the authorities that vouch for the server (PEM): speaks TLS.
    #[arg(long, value_name = "FILE", requires = "tls_cert", requires = "tls_key")]
    tls_ca: Option<PathBuf>,
    /// The certificate to show (PEM), followed by those between it and its authority.
    #[arg(long, value_name = "FILE", requires = "tls_ca")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_ca")]
    tls_key: Option<PathBuf>,
    /// The name that the server's certificate must have [default: the address].
    #[arg(long, value_name = "NAME", requires = "tls_ca")]
    tls_name: Option<String>,
}

impl TlsArgs {
    /// How to connect; none to connect in the clear.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn config(&self) -> Result<Option<ClientTlsConfig>, String> {
        let (Some(authorities), Some(certificate), Some(key)) = (&self.tls_ca, &self.tls_cert, &self.tls_key)
        else {
            return Ok(None);
        };
        let read = |file: &PathBuf| read_file(file, MAX_FILE_BYTES).map_err(|error| error.to_string());
        let identity = Identity::from_pem(&*read(certificate)?, &*read(key)?);
        let authorities = Certificate::from_pem(&*read(authorities)?);
        let config = ClientTlsConfig::new().ca_certificate(authorities).identity(identity);
        Ok(Some(match &self.tls_name {
            Some(name) => config.domain_name(name),
            None => config,
        }))
    }
}

/// Connects to a server at an address: `http://…`, or `https://…` over TLS.
///
/// # Errors
/// The server cannot be reached, or is not the one that is trusted.
pub async fn connect(address: &str, tls: Option<ClientTlsConfig>) -> Result<Channel, Error> {
    let endpoint = Endpoint::from_shared(address.to_owned())?;
    match tls {
        None => endpoint.connect().await,
        Some(tls) => endpoint.tls_config(tls)?.connect().await,
    }
}
