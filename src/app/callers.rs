//! From what is configured of callers to who may ask; and files that say it, read again when they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::workload::Workload;
use super::{StartError, parts};
use crate::config::{CallersConfig, CertificateSource, Config, TlsFiles};
use crate::engine::problem::Report;
use crate::identity::bundle::{MAX_BUNDLE_BYTES, TrustBundle, TrustBundles};
use crate::identity::caller_tokens::CallerTokens;
use crate::identity::callers::{Callers, Gate};
use crate::identity::rights::{RightSet, Rights};
use crate::identity::subjects::Keepers;
use crate::identity::workload_api::WorkloadApiStatus;
use crate::server::tls::{MAX_FILE_BYTES, ServerCertificate, Tls};
use crate::store::follow::{Followed, Follower, Looked, read_file, read_policies};

/// Who may ask, over what, and the thread that keeps both up to date.
pub(super) struct Doors {
    pub(super) callers: Arc<Callers>,
    pub(super) tls: Option<Tls>,
    pub(super) follower: Follower,
    /// How the Workload API stands, if there is one.
    pub(super) workload_api: Option<Arc<ArcSwap<WorkloadApiStatus>>>,
    /// What loading the policies warned of.
    pub(super) warnings: Report,
    /// What must run for keys of issuers, and what the Workload API gives, to be up to date.
    pub(super) keepers: Keepers,
}

/// Reads everything once, and follows it from then on.
pub(super) async fn open(config: &Config) -> Result<Doors, StartError> {
    let mut followed = Vec::new();
    let authenticated = config.callers.authenticated();
    let bundles =
        (!config.callers.spiffe.is_empty()).then(|| bundles(&config.callers, &mut followed)).transpose()?;
    let (mut warnings, mut keepers, mut workload_api) = (Report::default(), Keepers::new(), None);
    let tls = match config.tls.as_ref().map(|tls| &tls.source) {
        None => None,
        Some(CertificateSource::Files(files)) => Some(tls(files, bundles.clone(), &mut followed)?),
        Some(CertificateSource::WorkloadApi { endpoint, within }) => {
            let domains = config.callers.spiffe.iter().filter(|trust| trust.bundle.is_none());
            let domains = domains.map(|trust| trust.trust_domain.clone()).collect();
            let (workload, certificate) = Workload::open(endpoint, *within, domains, bundles.clone()).await?;
            workload_api = Some(workload.account());
            let tls = Tls::new(certificate, bundles.clone());
            keepers.push(Box::pin(workload.keep(Arc::clone(&tls.certificate))));
            Some(tls)
        }
    };
    let callers = if authenticated {
        let looked = Looked::at(vec![config.callers.policies.clone()]);
        let set = rights(&config.callers.policies).map_err(StartError::Rights)?;
        warnings = set.warnings().clone();
        let (tokens, of_issuers) = CallerTokens::open(&config.callers.issuers)?;
        keepers.extend(of_issuers);
        let gate =
            Gate::new(bundles.unwrap_or_default(), tokens, config.callers.own.clone(), Rights::new(set));
        let callers = Arc::new(Callers::Authenticated(Box::new(gate)));
        followed.push(follow_rights(&config.callers.policies, looked, &callers));
        callers
    } else {
        Arc::new(Callers::anonymous(parts::anonymous(config)))
    };
    let follower = Follower::spawn(followed, config.reload.poll, config.reload.settle)?;
    Ok(Doors { callers, tls, follower, workload_api, warnings, keepers })
}

fn follow_rights(folder: &Path, looked: Looked, callers: &Arc<Callers>) -> Followed {
    let (folder, callers) = (folder.to_owned(), Arc::clone(callers));
    Followed::new("pep", looked, move || {
        let set = rights(&folder).map_err(|report| report.to_string().trim_end().to_owned())?;
        if let Some(gate) = callers.gate() {
            gate.rights.replace(set);
        }
        Ok(())
    })
}

/// The policies in a folder that say what callers may ask.
pub(super) fn rights(folder: &Path) -> Result<RightSet, Report> {
    read_policies(folder).and_then(RightSet::compile)
}

fn bundles(
    config: &CallersConfig,
    followed: &mut Vec<Followed>,
) -> Result<Arc<ArcSwap<TrustBundles>>, StartError> {
    let named = config.spiffe.iter().filter_map(|trust| {
        let bundle = trust.bundle.clone()?;
        Some((trust.trust_domain.clone(), bundle))
    });
    let named: Vec<_> = named.collect();
    let looked = Looked::at(named.iter().map(|(_, bundle)| bundle.clone()).collect());
    let read = TrustBundles::default().with(read_bundles(&named).map_err(StartError::Bundle)?);
    let current = Arc::new(ArcSwap::from_pointee(read));
    let replaced = Arc::clone(&current);
    followed.push(Followed::new("bundles", looked, move || {
        let read = read_bundles(&named)?;
        // The Workload API changes others.
        replaced.rcu(|bundles| bundles.with(read.clone()));
        Ok(())
    }));
    Ok(current)
}

type ReadBundles = Vec<(String, Option<Arc<TrustBundle>>)>;

fn read_bundles(named: &[(String, PathBuf)]) -> Result<ReadBundles, String> {
    let bundles = named.iter().map(|(trust_domain, bundle)| {
        let pem = read_file(bundle, MAX_BUNDLE_BYTES).map_err(|error| error.to_string())?;
        let read = TrustBundle::from_pem(&pem);
        let read =
            read.map_err(|error| format!("the bundle `{}` cannot be used: {error}", bundle.display()))?;
        Ok((trust_domain.clone(), Some(Arc::new(read))))
    });
    bundles.collect()
}

fn tls(
    files: &TlsFiles,
    bundles: Option<Arc<ArcSwap<TrustBundles>>>,
    followed: &mut Vec<Followed>,
) -> Result<Tls, StartError> {
    let files = files.clone();
    let looked = Looked::at(vec![files.certificate.clone(), files.key.clone()]);
    let tls = Tls::new(read_certificate(&files).map_err(StartError::Certificate)?, bundles);
    let replaced = Arc::clone(&tls.certificate);
    followed.push(Followed::new("certificate", looked, move || {
        replaced.store(Arc::new(read_certificate(&files)?));
        Ok(())
    }));
    Ok(tls)
}

fn read_certificate(TlsFiles { certificate, key }: &TlsFiles) -> Result<ServerCertificate, String> {
    let read = |path: &Path| read_file(path, MAX_FILE_BYTES).map_err(|error| error.to_string());
    let pair = ServerCertificate::from_pem(&read(certificate)?, &read(key)?);
    pair.map_err(|error| format!("`{}` and `{}`: {error}", certificate.display(), key.display()))
}
