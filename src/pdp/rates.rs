//! How much each caller may ask in a second (GCRA, the "leaky bucket as a meter").

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;

use super::overload::RateLimited;
use crate::listening::network;

/// Callers that are remembered. One that is forgotten begins anew, so this bounds memory and nothing that a caller could use:
/// names are authenticated, and networks are not changed a thousand times a second.
const MAX_CALLERS: u64 = 65_536;

/// What one caller may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Questions in a second.
    pub per_second: NonZeroU32,
    /// Questions at once, of a caller that asked nothing before.
    pub burst: NonZeroU32,
}

/// Whose rate it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Asker {
    /// An authenticated caller.
    Caller(Arc<str>),
    /// A host, or of IPv6 the network of one, where nobody is authenticated.
    Network(IpAddr),
    /// Whoever has no address.
    Local,
}

/// The rates of all callers.
#[derive(Debug)]
pub struct Rates {
    usual: Option<Rate>,
    own: HashMap<String, Rate>,
    askers: Cache<Asker, Arc<Meter>>,
    clock: DefaultClock,
}

#[derive(Debug)]
struct Meter {
    rate: Rate,
    key: &'static str,
    limiter: DefaultDirectRateLimiter,
}

impl Rates {
    /// What callers may ask usually, and what some may by name; none if nobody is limited.
    #[must_use]
    pub fn new(usual: Option<Rate>, own: HashMap<String, Rate>) -> Option<Self> {
        if usual.is_none() && own.is_empty() {
            return None;
        }
        Some(Self { usual, own, askers: Cache::new(MAX_CALLERS), clock: DefaultClock::default() })
    }

    /// Takes so many questions of what a caller may ask.
    ///
    /// # Errors
    /// [`RateLimited`]; nothing was taken.
    pub fn take(
        &self,
        caller: Option<Arc<str>>,
        origin: Option<IpAddr>,
        questions: usize,
    ) -> Result<(), RateLimited> {
        let own = caller.as_deref().and_then(|name| self.own.get(name));
        let (rate, key) = match (own, self.usual) {
            (Some(own), _) => (*own, "rates"),
            (None, Some(usual)) => (usual, "rate"),
            (None, None) => return Ok(()),
        };
        let asker = match (caller, origin) {
            (Some(name), _) => Asker::Caller(name),
            (None, Some(origin)) => Asker::Network(network(origin)),
            (None, None) => Asker::Local,
        };
        let meter = self.askers.get_with(asker, || Arc::new(Meter::new(rate, key)));
        meter.take(questions, &self.clock)
    }
}

impl Meter {
    fn new(rate: Rate, key: &'static str) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self { rate, key, limiter: RateLimiter::direct(quota) }
    }

    fn take(&self, questions: usize, clock: &DefaultClock) -> Result<(), RateLimited> {
        let Rate { per_second, burst } = self.rate;
        let limited = |retry| {
            Err(RateLimited { per_second: per_second.get(), burst: burst.get(), key: self.key, retry })
        };
        let Some(questions) = NonZeroU32::new(u32::try_from(questions).unwrap_or(u32::MAX)) else {
            return Ok(());
        };
        match self.limiter.check_n(questions) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => limited(Some(not_until.wait_time_from(clock.now()))),
            Err(_more_than_ever) => limited(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rate(per_second: u32, burst: u32) -> Rate {
        Rate { per_second: NonZeroU32::new(per_second).unwrap(), burst: NonZeroU32::new(burst).unwrap() }
    }

    fn caller(name: &str) -> Option<Arc<str>> {
        Some(Arc::from(name))
    }

    #[test]
    fn a_noisy_caller_takes_nothing_from_others() {
        let rates = Rates::new(Some(rate(1, 5)), HashMap::new()).unwrap();
        let allowed = |name| (0..50).filter(|_| rates.take(caller(name), None, 1).is_ok()).count();
        assert_eq!((allowed("noisy"), allowed("other")), (5, 5));
        let limited = rates.take(caller("noisy"), None, 1).unwrap_err();
        assert!(limited.retry.is_some_and(|retry| retry <= Duration::from_secs(1)), "{limited:?}");
        assert!(limited.to_string().contains("1 questions a second, 5 at once (`limits.rate`)"), "{limited}");
    }

    #[test]
    fn many_questions_cost_as_many() {
        let rates = Rates::new(Some(rate(1, 10)), HashMap::new()).unwrap();
        assert_eq!(rates.take(caller("a"), None, 0), Ok(()));
        assert_eq!(rates.take(caller("a"), None, 8), Ok(()));
        assert!(rates.take(caller("a"), None, 3).is_err());
        assert_eq!(rates.take(caller("a"), None, 2), Ok(()));
        // More than there will ever be room for: asking again would not help.
        assert_eq!(rates.take(caller("b"), None, 11).unwrap_err().retry, None);
    }

    #[test]
    fn some_have_a_rate_of_their_own_and_hosts_count_where_nobody_is_known() {
        let own = HashMap::from([("gateway".to_owned(), rate(1, 3))]);
        let rates = Rates::new(None, own).unwrap();
        let allowed = |name: Option<Arc<str>>, origin: Option<&str>| {
            let origin = origin.map(|origin| origin.parse().unwrap());
            (0..9).filter(|_| rates.take(name.clone(), origin, 1).is_ok()).count()
        };
        let allowed_of = |name: &str| (0..9).filter(|_| rates.take(caller(name), None, 1).is_ok()).count();
        assert_eq!((allowed_of("gateway"), allowed_of("other"), allowed(None, None)), (3, 9, 9));
        let rates = Rates::new(Some(rate(1, 4)), HashMap::new()).unwrap();
        let from = |origin: &str| {
            let origin = Some(origin.parse().unwrap());
            (0..9).filter(|_| rates.take(None, origin, 1).is_ok()).count()
        };
        assert_eq!((from("192.0.2.1"), from("::ffff:192.0.2.1"), from("192.0.2.2")), (4, 0, 4));
        assert_eq!((from("2001:db8::1"), from("2001:db8::2"), from("2001:db8:0:1::1")), (4, 0, 4));
        assert!(Rates::new(None, HashMap::new()).is_none());
    }
}
