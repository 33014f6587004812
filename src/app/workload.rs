//! What the Workload API gives, put to use as it comes: the server's certificate, and the bundles of trust domains that have
//! no file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;

use super::StartError;
use crate::identity::bundle::{TrustBundle, TrustBundles};
use crate::identity::workload_api::{Material, WorkloadApi, WorkloadApiStatus};
use crate::server::tls::ServerCertificate;

/// A Workload API whose material is put to use.
pub(super) struct Workload {
    api: WorkloadApi,
    trusted: Trusted,
}

/// The trust domains whose bundles come from it.
struct Trusted {
    domains: Vec<String>,
    bundles: Option<Arc<ArcSwap<TrustBundles>>>,
    /// What was given of them last: a bundle that is the same is no new one, which every caller would be held to anew.
    given: BTreeMap<String, Vec<CertificateDer<'static>>>,
}

impl Workload {
    /// Waits for the first certificate, with which the server can be reached.
    ///
    /// # Errors
    /// None came in time, or it cannot be served with.
    pub(super) async fn open(
        endpoint: &str,
        within: Duration,
        domains: Vec<String>,
        bundles: Option<Arc<ArcSwap<TrustBundles>>>,
    ) -> Result<(Self, ServerCertificate), StartError> {
        let mut api = WorkloadApi::at(endpoint);
        let material = api.first(within).await?;
        let certificate = certificate(&material).map_err(StartError::Certificate)?;
        let mut trusted = Trusted { domains, bundles, given: BTreeMap::new() };
        trusted.take(&material);
        Ok((Self { api, trusted }, certificate))
    }

    /// How the API stands.
    pub(super) fn account(&self) -> Arc<ArcSwap<WorkloadApiStatus>> {
        self.api.account()
    }

    /// Takes what is given, for as long as the process lives. What cannot be used leaves what was in force.
    pub(super) async fn keep(mut self, current: Arc<ArcSwap<ServerCertificate>>) {
        loop {
            let material = self.api.next().await;
            match certificate(&material) {
                Ok(certificate) => current.store(Arc::new(certificate)),
                Err(problem) => {
                    tracing::error!(%problem, "an X.509-SVID is rejected; the one before stays");
                }
            }
            self.trusted.take(&material);
        }
    }
}

fn certificate(material: &Material) -> Result<ServerCertificate, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("the X.509-SVID of `{}`: {why}", material.id());
    let key = material.key().ok_or_else(|| wrong(&"there is none"))?;
    ServerCertificate::of_workload(material.chain(), key).map_err(|error| wrong(&error))
}

impl Trusted {
    /// Takes what has changed. A trust domain that is given no more is trusted no more.
    fn take(&mut self, material: &Material) {
        let Some(bundles) = &self.bundles else { return };
        let given = material.bundles();
        let mut changed = Vec::new();
        for domain in &self.domains {
            let (now, before) = (given.get(domain), self.given.get(domain));
            if now == before {
                continue;
            }
            match now.map(|authorities| TrustBundle::of(authorities)).transpose() {
                Ok(bundle) => changed.push((domain.clone(), bundle.map(Arc::new))),
                Err(error) => {
                    tracing::error!(trust_domain = domain, %error, "a bundle is rejected; the one before stays");
                }
            }
        }
        if !changed.is_empty() {
            bundles.rcu(|bundles| bundles.with(changed.clone()));
        }
        self.given = given;
    }
}
