//! The other end of a connection over TLS, and the certificates it showed.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::bundle::TrustBundles;
use super::caller::Caller;
use super::svid::{self, SvidError};

/// Certificates whose key the other end has proved to hold, its own first.
#[derive(Debug)]
pub struct Peer {
    chain: Vec<CertificateDer<'static>>,
    /// Who it is, and the bundles that said so.
    verified: ArcSwapOption<(Arc<TrustBundles>, Arc<Caller>)>,
}

impl Peer {
    /// The other end of a connection; none if it showed no certificate.
    #[must_use]
    pub fn of(chain: Option<&[CertificateDer<'static>]>) -> Option<Self> {
        let chain = chain.filter(|chain| !chain.is_empty())?;
        Some(Self { chain: chain.to_vec(), verified: ArcSwapOption::empty() })
    }

    /// Who it is. A connection outlives bundles: what one vouched for is verified again once another takes its place.
    ///
    /// # Errors
    /// [`SvidError`]. That a certificate has expired since is no error here: the caller says until when it holds.
    pub fn caller(&self, bundles: &Arc<TrustBundles>) -> Result<Arc<Caller>, SvidError> {
        if let Some(known) = &*self.verified.load()
            && Arc::ptr_eq(&known.0, bundles)
        {
            return Ok(Arc::clone(&known.1));
        }
        let caller = Arc::new(svid::verify(&self.chain, bundles, UnixTime::now())?);
        self.verified.store(Some(Arc::new((Arc::clone(bundles), Arc::clone(&caller)))));
        Ok(caller)
    }
}
