//! How many of the traces that begin here are recorded.

use std::fmt;

/// Of the ids of traces, this many bits are random for certain (W3C Trace Context level 2, "Random Trace ID Flag").
const RANDOM_BITS: u32 = 56;
/// How many values they have.
const ALL: u64 = 1 << RANDOM_BITS;

/// A part of all traces. Which ones, their ids decide, so that services of one ratio record the same (OpenTelemetry,
/// "TraceState: Probability Sampling").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// What an id's random bits must come to, at least, for its trace to be recorded.
    threshold: u64,
}

impl Ratio {
    /// A ratio from 0, none, to 1, all.
    #[must_use]
    pub fn of(ratio: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&ratio) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "the product is between 0 and 2^56, which has room in both types"
        )]
        let recorded = (ratio * ALL as f64) as u64;
        Some(Self { threshold: ALL - recorded })
    }

    /// Whether the trace of this id is recorded.
    #[must_use]
    pub(super) fn records(self, trace: u128) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are meant")]
        let random = trace as u64 & (ALL - 1);
        random >= self.threshold
    }
}

impl fmt::Display for Ratio {
    /// As a trace that is recorded for it says so in `tracestate`: the threshold in hexadecimal digits, without noughts at
    /// its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:014x}", self.threshold);
        let significant = digits.trim_end_matches('0');
        write!(f, "ot=th:{}", if significant.is_empty() { "0" } else { significant })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_records_its_part_of_all_traces() {
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Ratio::of(wrong), None);
        }
        let recorded = |ratio| {
            let ratio = Ratio::of(ratio).unwrap();
            (0..1000).filter(|_| ratio.records(rand::random())).count()
        };
        assert_eq!((recorded(0.0), recorded(1.0)), (0, 1000));
        let half = recorded(0.5);
        assert!((300..700).contains(&half), "{half}");
        // The highest bits of an id decide nothing: they may not be random.
        assert!(!Ratio::of(0.5).unwrap().records(u128::MAX << RANDOM_BITS));
    }

    #[test]
    fn a_ratio_is_told_as_opentelemetry_writes_it() {
        for (ratio, told) in [(1.0, "ot=th:0"), (0.5, "ot=th:8"), (0.25, "ot=th:c")] {
            assert_eq!(Ratio::of(ratio).unwrap().to_string(), told);
        }
    }
}
