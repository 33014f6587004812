//! When a request came, and from where: noted by the task of its connection as soon as its headers have been read, which is
//! before a task of its own has its turn.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use axum::http::Request;
use hyper::service::Service;

use super::Admission;

/// The arrival of a request, until somebody looks at it. An extension of the request.
#[derive(Debug, Clone)]
pub struct Arrival(Arc<Waiting>);

#[derive(Debug)]
struct Waiting {
    at: Instant,
    origin: Option<IpAddr>,
    in_excess: bool,
    admission: Option<Arc<Admission>>,
}

impl Arrival {
    /// A request that came from there, just now.
    fn now(origin: Option<IpAddr>, admission: Option<&Arc<Admission>>) -> Self {
        let in_excess = admission.is_some_and(|admission| admission.arrives());
        Self(Arc::new(Waiting { at: Instant::now(), origin, in_excess, admission: admission.cloned() }))
    }

    /// That of a request; without one, it is taken to have come just now, from nowhere.
    #[must_use]
    pub fn of<B>(request: &mut Request<B>) -> Self {
        request.extensions_mut().remove().unwrap_or_else(|| Self::now(None, None))
    }

    /// When it came.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.0.at
    }

    /// The address that its connection came from.
    #[must_use]
    pub fn origin(&self) -> Option<IpAddr> {
        self.0.origin
    }

    /// Whether there were too many already when it came.
    pub(super) fn is_in_excess(&self) -> bool {
        self.0.in_excess
    }

    /// Somebody looks at it: how many others wait for that.
    pub(super) fn has_its_turn(self) -> usize {
        self.0.admission.as_ref().map_or(0, |admission| admission.arrived.load(Relaxed))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(admission) = &self.admission {
            admission.arrived.fetch_sub(1, Relaxed);
        }
    }
}

/// A service of hyper's that notes when requests arrive. hyper calls it from the connection's own task.
#[derive(Debug, Clone)]
pub struct Arriving<S> {
    service: S,
    origin: Option<IpAddr>,
    admission: Option<Arc<Admission>>,
}

impl<S> Arriving<S> {
    /// The service, of a connection from there.
    pub fn new(service: S, origin: Option<IpAddr>, admission: Option<Arc<Admission>>) -> Self {
        Self { service, origin, admission }
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
        request.extensions_mut().insert(Arrival::now(self.origin, self.admission.as_ref()));
        self.service.call(request)
    }
}
