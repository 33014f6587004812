//! When a request came, and from where: noted by the task of its connection as soon as its headers have been read, which is
//! before a task of its own has its turn.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use axum::http::Request;
use hyper::service::Service;

use super::Admission;
use super::crowd::Standing;
use super::peers::Peer;

/// The arrival of a request, under way until the last of its copies is dropped. An extension of the request.
#[derive(Debug, Clone)]
pub struct Arrival(Arc<Call>);

#[derive(Debug)]
struct Call {
    at: Instant,
    standing: Standing,
    waits: AtomicBool,
    source: Arc<Source>,
}

/// Where requests come from: a connection.
#[derive(Debug, Default)]
struct Source {
    origin: Option<IpAddr>,
    admission: Option<Arc<Admission>>,
    /// Its requests that are under way.
    under_way: AtomicUsize,
    /// Whose requests wait as well.
    peer: Peer,
}

impl Arrival {
    /// A request that came from there just now.
    fn now(source: Arc<Source>) -> Self {
        let (is_alone, are_few) = (source.under_way.fetch_add(1, Relaxed) == 0, source.peer.arrives());
        let arrives = |admission: &Arc<Admission>| admission.arrives(is_alone || are_few);
        let standing = source.admission.as_ref().map_or(Standing::Modest, arrives);
        Self(Arc::new(Call { at: Instant::now(), standing, waits: AtomicBool::new(true), source }))
    }

    /// That of a request; without one, it is taken to have come just now, from nowhere.
    #[must_use]
    pub fn of<B>(request: &mut Request<B>) -> Self {
        request.extensions_mut().remove().unwrap_or_else(|| Self::now(Arc::default()))
    }

    /// When it came.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.0.at
    }

    /// The address that its connection came from.
    #[must_use]
    pub fn origin(&self) -> Option<IpAddr> {
        self.0.source.origin
    }

    /// Who it was among those that waited when it came.
    pub(super) fn standing(&self) -> Standing {
        self.0.standing
    }

    /// Somebody looks at it: it waits no more.
    pub fn has_its_turn(&self) {
        self.0.has_its_turn();
    }
}

impl Call {
    fn has_its_turn(&self) {
        if !self.waits.swap(false, Relaxed) {
            return;
        }
        self.source.peer.has_its_turn();
        if let Some(admission) = &self.source.admission {
            admission.crowd.has_its_turn(self.standing);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.has_its_turn();
        self.source.under_way.fetch_sub(1, Relaxed);
    }
}

/// A service of hyper's that notes when requests arrive. hyper calls it from the connection's own task.
#[derive(Debug, Clone)]
pub struct Arriving<S> {
    service: S,
    source: Arc<Source>,
}

impl<S> Arriving<S> {
    /// The service, of a connection from there.
    pub fn new(service: S, origin: Option<IpAddr>, admission: Option<Arc<Admission>>) -> Self {
        let peer = admission.as_ref().map(|admission| admission.crowd.peers.of(origin)).unwrap_or_default();
        Self { service, source: Arc::new(Source { origin, admission, under_way: AtomicUsize::new(0), peer }) }
    }
}

impl<S, B> Service<Request<B>> for Arriving<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(Arrival::now(Arc::clone(&self.source)));
        self.service.call(request)
    }
}
