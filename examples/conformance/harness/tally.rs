//! What passed and what failed, by surface.

use std::collections::BTreeMap;
use std::fmt;

/// Where an answer is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Surface {
    /// Cedar's strict validation, as loading uses it.
    Validation,
    /// The question fits the schema, as the catalog and conversion read it.
    Fit,
    /// The engine alone.
    Engine,
    /// The server's door, the first time.
    Miss,
    /// The server's door, the second time.
    Hit,
    /// gRPC, decided anew.
    Grpc,
    /// gRPC, from memory.
    GrpcHit,
}

impl Surface {
    /// Those that decide.
    pub(crate) const DECIDING: [Self; 5] = [Self::Engine, Self::Miss, Self::Hit, Self::Grpc, Self::GrpcHit];

    fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "strict validation",
            Self::Fit => "request fits the schema",
            Self::Engine => "engine",
            Self::Miss => "cache, first asked",
            Self::Hit => "cache, asked again",
            Self::Grpc => "gRPC, decided anew",
            Self::GrpcHit => "gRPC, from the cache",
        }
    }
}

/// How often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

/// Everything that was looked at.
#[derive(Debug)]
pub(crate) struct Tally {
    counts: BTreeMap<Surface, Count>,
    /// The first failures, each with what it takes to see it again.
    pub(crate) failures: Vec<String>,
    keep: usize,
    /// Tests that do not say whether their policies validate.
    pub(crate) unjudged: usize,
    /// Tests whose entities do not fit their schema, so that they were decided without it.
    pub(crate) without_schema: Vec<String>,
    /// Questions that the cache did not remember: too long, or too many policies failed.
    pub(crate) unremembered: usize,
}

impl Tally {
    /// Counts, keeping so many failures.
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            counts: BTreeMap::new(),
            failures: Vec::new(),
            keep,
            unjudged: 0,
            without_schema: Vec::new(),
            unremembered: 0,
        }
    }

    /// Counts one outcome.
    pub(crate) fn add(&mut self, surface: Surface, outcome: Result<(), String>) {
        let count = self.counts.entry(surface).or_default();
        match outcome {
            Ok(()) => count.passed += 1,
            Err(failure) => {
                count.failed += 1;
                if self.failures.len() < self.keep {
                    self.failures.push(format!("{}: {failure}", surface.as_str()));
                }
            }
        }
    }

    /// How often on a surface.
    pub(crate) fn count(&self, surface: Surface) -> Count {
        self.counts.get(&surface).copied().unwrap_or_default()
    }

    /// How often anything failed.
    pub(crate) fn failed(&self) -> usize {
        self.counts.values().map(|count| count.failed).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "FAILED {failure}\n")?;
        }
        let hidden = self.failed().saturating_sub(self.failures.len());
        if hidden > 0 {
            writeln!(f, "and {hidden} failures more\n")?;
        }
        for surface in self.counts.keys() {
            let Count { passed, failed } = self.count(*surface);
            writeln!(f, "{:<24} {passed:>8} passed {failed:>8} failed", surface.as_str())?;
        }
        if self.unjudged > 0 {
            writeln!(
                f,
                "not compared: the validation of {} tests, which do not say what it is",
                self.unjudged
            )?;
        }
        if self.unremembered > 0 {
            writeln!(f, "not remembered: {} questions, for their length or failures", self.unremembered)?;
        }
        for name in &self.without_schema {
            writeln!(f, "decided without a schema, which its entities do not fit: {name}")?;
        }
        Ok(())
    }
}
