//! Good moments and bad ones in turn, in one run: what else the machine does disturbs both alike.

use std::fmt;
use std::time::Duration;

use super::traffic::Tally;

/// What came of rounds without the fault and with it.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) quiet: Vec<Tally>,
    pub(crate) faulty: Vec<Tally>,
}

/// Takes so many rounds of each kind, two by two, the first of two being now the one and now the other.
pub(crate) fn alternate(
    pairs: usize,
    mut quiet: impl FnMut() -> Tally,
    mut faulty: impl FnMut() -> Tally,
) -> Compared {
    let mut compared = Compared { quiet: Vec::new(), faulty: Vec::new() };
    for pair in 0..pairs {
        for turn in [pair % 2, (pair + 1) % 2] {
            match turn {
                0 => compared.quiet.push(quiet()),
                _ => compared.faulty.push(faulty()),
            }
        }
    }
    compared
}

/// A percentile of the better half of rounds: a fault is in all of them, a disturbance from outside in some.
fn of_better_half(rounds: &[Tally], percent: f64) -> Duration {
    let mut all: Vec<_> = rounds.iter().map(|tally| tally.within(percent)).collect();
    all.sort_unstable();
    let better = &all[..all.len().div_ceil(2)];
    better.iter().sum::<Duration>() / u32::try_from(better.len()).expect("few rounds")
}

impl Compared {
    /// 99 of 100 answers, without the fault and with it.
    pub(crate) fn p99(&self) -> (Duration, Duration) {
        (of_better_half(&self.quiet, 99.0), of_better_half(&self.faulty, 99.0))
    }

    /// How many times as long 99 of 100 answers take under the fault.
    pub(crate) fn ratio(&self) -> f64 {
        let (quiet, faulty) = self.p99();
        faulty.as_secs_f64() / quiet.as_secs_f64()
    }

    /// All rounds.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Tally> {
        self.quiet.iter().chain(&self.faulty)
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (quiet, faulty) = self.p99();
        write!(f, "p99 {quiet:?} without, {faulty:?} with ({:.2}×)", self.ratio())
    }
}
