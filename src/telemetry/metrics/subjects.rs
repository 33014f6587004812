//! What tokens of subjects count, and the keys that verify them.

use prometheus::{GaugeVec, IntCounterVec, Opts};

use super::Observed;
use crate::identity::rejection::Check;
use crate::telemetry::registered::{Registry, counters, raise};

/// The numbers.
#[derive(Debug)]
pub(super) struct SubjectMetrics {
    tokens: IntCounterVec,
    key_looks: IntCounterVec,
    key_ages: GaugeVec,
}

impl SubjectMetrics {
    /// Every outcome of verification is there from the start: what has not happened yet can be watched for.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Tokens of subjects: accepted, known from before, or the check that failed.";
        let tokens = counters(registry, "pdp_token_verifications_total", help, &["outcome"])?;
        for outcome in Check::ALL.map(Check::as_str).into_iter().chain(["accepted", "known"]) {
            tokens.with_label_values(&[outcome]);
        }
        let help =
            "Looks at the keys of issuers, by outcome; `limited`: an unknown key, too soon for another look.";
        let key_looks = counters(registry, "pdp_jwks_looks_total", help, &["issuer", "outcome"])?;
        let options = Opts::new("pdp_jwks_age_seconds", "Seconds since the keys of an issuer were read.");
        let key_ages = GaugeVec::new(options, &["issuer"])?;
        registry.register(Box::new(key_ages.clone()))?;
        Ok(Self { tokens, key_looks, key_ages })
    }

    pub(super) fn verified(&self, outcome: &'static str) {
        self.tokens.with_label_values(&[outcome]).inc();
    }

    pub(super) fn set(&self, observed: &Observed) {
        for (issuer, outcome, count) in &observed.key_looks {
            raise(&self.key_looks.with_label_values(&[issuer.as_str(), *outcome]), *count);
        }
        for (issuer, age) in &observed.key_ages {
            self.key_ages.with_label_values(&[issuer.as_str()]).set(*age);
        }
    }
}
