//! Figures of several rounds, summed up, and where they are written.

use std::fs;
use std::path::Path;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::Attempt;
use crate::load::Tally;

/// Middle of all rounds, and the least and greatest.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

/// Latencies of all rounds together, in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Latencies {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// Of so many calls.
    pub(crate) calls: u64,
}

impl Spread {
    /// Of some figures.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn of(mut figures: Vec<f64>) -> Attempt<Self> {
        figures.sort_by(f64::total_cmp);
        match (figures.get(figures.len() / 2), figures.first(), figures.last()) {
            (Some(&median), Some(&least), Some(&greatest)) => Ok(Self { median, least, greatest }),
            _ => Err("there are no rounds".into()),
        }
    }

    /// In words; one figure stands for itself.
    pub(crate) fn text(self, places: usize) -> String {
        let Self { median, least, greatest } = self;
        if least == greatest {
            return format!("{median:.places$}");
        }
        format!("{median:.places$} ({least:.places$}–{greatest:.places$})")
    }
}

impl Latencies {
    /// Of the calls of several loads.
    ///
    /// # Errors
    /// Their histograms are of different kinds.
    pub(crate) fn of<'t>(tallies: impl IntoIterator<Item = &'t Tally>) -> Attempt<Self> {
        let mut all = Histogram::<u64>::new(3)?;
        for tally in tallies {
            all.add(&tally.latencies)?;
        }
        let at = |quantile| all.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), calls: all.len() })
    }

    /// In words: p50 / p99 / p99.9.
    pub(crate) fn text(self) -> String {
        let Self { p50, p99, p999, .. } = self;
        format!("{p50:.0} / {p99:.0} / {p999:.0}")
    }
}

/// Writes figures as JSON.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(file: &Path, figures: &impl Serialize) -> Attempt<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(file, serde_json::to_vec_pretty(figures)?)?)
}
