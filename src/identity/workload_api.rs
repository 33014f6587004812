//! The SPIFFE Workload API (SPIFFE Workload API §§3–5): where this process's own X.509-SVID and the bundles of trust domains
//! come from, and go on coming from as they change. What was given stays given while the API is away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::stream::{BoxStream, StreamExt as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::Serialize;
use spiffe::{WorkloadApiClient, WorkloadApiError, X509Context};

/// How long to wait before the API is asked again that could not be: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// A Workload API, and what is open to it.
pub struct WorkloadApi {
    endpoint: String,
    given: Option<BoxStream<'static, Result<X509Context, WorkloadApiError>>>,
    pause: Duration,
    account: Arc<ArcSwap<WorkloadApiStatus>>,
}

impl std::fmt::Debug for WorkloadApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkloadApi").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// How a Workload API stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WorkloadApiStatus {
    /// Where it is.
    pub endpoint: String,
    /// How often it has given something.
    pub updates: u64,
    /// How often it could not be asked, or gave what cannot be used.
    pub failures: u64,
    /// What is wrong now; none while it is there.
    pub problem: Option<String>,
}

/// What it gives.
#[derive(Debug)]
pub struct Material {
    context: X509Context,
}

/// Nothing has been given in time.
#[derive(Debug, thiserror::Error)]
#[error("the Workload API at {endpoint} has given no X.509-SVID within {within:?}: {problem}")]
pub struct NothingGiven {
    endpoint: String,
    within: Duration,
    problem: String,
}

impl WorkloadApi {
    /// The API at an endpoint: `unix:///run/spire/agent.sock`.
    #[must_use]
    pub fn at(endpoint: &str) -> Self {
        let status = WorkloadApiStatus { endpoint: endpoint.to_owned(), ..WorkloadApiStatus::default() };
        let account = Arc::new(ArcSwap::from_pointee(status));
        Self { endpoint: endpoint.to_owned(), given: None, pause: PAUSES.0, account }
    }

    /// How it stands, now and later.
    #[must_use]
    pub fn account(&self) -> Arc<ArcSwap<WorkloadApiStatus>> {
        Arc::clone(&self.account)
    }

    /// The first that it gives.
    ///
    /// # Errors
    /// Nothing came in time, and why.
    pub async fn first(&mut self, within: Duration) -> Result<Material, NothingGiven> {
        let Ok(material) = tokio::time::timeout(within, self.next()).await else {
            let problem = self.account.load().problem.clone();
            let problem = problem.unwrap_or_else(|| "it does not answer".to_owned());
            return Err(NothingGiven { endpoint: self.endpoint.clone(), within, problem });
        };
        Ok(material)
    }

    /// The next that it gives, however long that takes.
    pub async fn next(&mut self) -> Material {
        loop {
            match self.try_next().await {
                Ok(context) => {
                    self.pause = PAUSES.0;
                    self.tell(|status| {
                        status.updates += 1;
                        status.problem = None;
                    });
                    return Material { context };
                }
                Err(problem) => {
                    self.given = None;
                    if self.account.load().problem.as_ref() != Some(&problem) {
                        tracing::warn!(endpoint = self.endpoint, problem, "the Workload API gives nothing");
                    }
                    self.tell(|status| {
                        status.failures += 1;
                        status.problem = Some(problem.clone());
                    });
                    tokio::time::sleep(self.pause).await;
                    self.pause = (2 * self.pause).min(PAUSES.1);
                }
            }
        }
    }

    async fn try_next(&mut self) -> Result<X509Context, String> {
        let said = |error: WorkloadApiError| error.to_string();
        if self.given.is_none() {
            let client = WorkloadApiClient::connect_to(&self.endpoint).await.map_err(said)?;
            self.given = Some(client.stream_x509_contexts().await.map_err(said)?.boxed());
        }
        let next = match &mut self.given {
            Some(given) => given.next().await,
            None => None,
        };
        let context = next.ok_or("it has hung up")?.map_err(said)?;
        if context.default_svid().is_none() {
            return Err("it gives no X.509-SVID".to_owned());
        }
        Ok(context)
    }

    fn tell(&self, change: impl Fn(&mut WorkloadApiStatus)) {
        self.account.rcu(|status| {
            let mut status = WorkloadApiStatus::clone(status);
            change(&mut status);
            status
        });
    }
}

impl Material {
    /// The certificate of the first SVID, which is the one to use where nothing says otherwise (SPIFFE Workload API §5.2.1),
    /// followed by those between it and its trust domain.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        let svid = self.context.default_svid();
        let chain = svid.map(|svid| svid.cert_chain()).unwrap_or_default();
        chain.iter().map(|certificate| CertificateDer::from(certificate.as_bytes().to_vec())).collect()
    }

    /// Its private key; none where there is none.
    #[must_use]
    pub fn key(&self) -> Option<PrivateKeyDer<'static>> {
        let svid = self.context.default_svid()?;
        Some(PrivatePkcs8KeyDer::from(svid.private_key().as_bytes().to_vec()).into())
    }

    /// Whose it is.
    #[must_use]
    pub fn id(&self) -> String {
        self.context.default_svid().map(|svid| svid.spiffe_id().to_string()).unwrap_or_default()
    }

    /// The authorities of each trust domain that it knows.
    #[must_use]
    pub fn bundles(&self) -> BTreeMap<String, Vec<CertificateDer<'static>>> {
        let bundles = self.context.bundle_set().iter();
        let authorities = bundles.map(|(trust_domain, bundle)| {
            let authorities = bundle.authorities().iter();
            let authorities =
                authorities.map(|authority| CertificateDer::from(authority.as_bytes().to_vec()));
            (trust_domain.as_str().to_owned(), authorities.collect())
        });
        authorities.collect()
    }
}
