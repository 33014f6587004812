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

/// The arrival of a request, under way until the last of its copies is dropped. An extension of the request.
#[derive(Debug, Clone)]
pub struct Arrival(Arc<Call>);

#[derive(Debug)]
struct Call {
    at: Instant,
    origin: Option<IpAddr>,
    standing: Standing,
    waits: AtomicBool,
    admission: Option<Arc<Admission>>,
    /// Those of its connection that are under way, this one with them.
    under_way: Arc<AtomicUsize>,
}

impl Arrival {
    /// A request that came from there, just now, over a connection that has so many under way.
    fn now(origin: Option<IpAddr>, admission: Option<&Arc<Admission>>, under_way: &Arc<AtomicUsize>) -> Self {
        let is_alone = under_way.fetch_add(1, Relaxed) == 0;
        let standing = admission.map_or(Standing::Alone, |admission| admission.arrives(is_alone));
        let (admission, under_way) = (admission.cloned(), Arc::clone(under_way));
        Self(Arc::new(Call {
            at: Instant::now(),
            origin,
            standing,
            waits: AtomicBool::new(true),
            admission,
            under_way,
        }))
    }

    /// That of a request; without one, it is taken to have come just now, from nowhere.
    #[must_use]
    pub fn of<B>(request: &mut Request<B>) -> Self {
        request.extensions_mut().remove().unwrap_or_else(|| Self::now(None, None, &Arc::default()))
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
        if let Some(admission) = &self.admission
            && self.waits.swap(false, Relaxed)
        {
            admission.crowd.has_its_turn(self.standing);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.has_its_turn();
        self.under_way.fetch_sub(1, Relaxed);
    }
}

/// A service of hyper's that notes when requests arrive. hyper calls it from the connection's own task.
#[derive(Debug, Clone)]
pub struct Arriving<S> {
    service: S,
    origin: Option<IpAddr>,
    admission: Option<Arc<Admission>>,
    under_way: Arc<AtomicUsize>,
}

impl<S> Arriving<S> {
    /// The service, of a connection from there.
    pub fn new(service: S, origin: Option<IpAddr>, admission: Option<Arc<Admission>>) -> Self {
        Self { service, origin, admission, under_way: Arc::default() }
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
        request.extensions_mut().insert(Arrival::now(self.origin, self.admission.as_ref(), &self.under_way));
        self.service.call(request)
    }
}
