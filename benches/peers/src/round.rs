//! One life of a server: started, warmed up, saturated, asked at a pace; what that cost.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::Attempt;
use crate::load::{self, Ask as _, Shape, Tally};
use crate::options::Effort;
use crate::subject::{Binaries, Running, Subject};
use crate::world::World;
use crate::{h2load, scaling};

/// A server that would be busy for more than this part of the time is not asked at a pace: calls would only pile up.
const BUSIEST: f64 = 0.8;
/// Longest time until a change is in force.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is the same for all servers and worlds.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) binaries: Binaries,
    pub(crate) effort: Effort,
    pub(crate) shape: Shape,
    /// Where the client runs: one thread.
    pub(crate) runtime: Runtime,
}

/// A world, and the folder that it was written to.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) world: &'a World,
    pub(crate) root: &'a Path,
}

/// What one life found out.
#[derive(Debug)]
pub(crate) struct Round {
    /// Until the first answer.
    pub(crate) started: Duration,
    /// Bytes in memory before and after the load.
    pub(crate) resident: [u64; 2],
    /// The server's CPU time for each answer under saturation, from its clock.
    pub(crate) cpu: Duration,
    pub(crate) saturated: Tally,
    /// By calls a second; none where the server cannot keep up.
    pub(crate) paced: Vec<(u32, Option<Tally>)>,
    /// What only the last round looks for.
    pub(crate) last: Option<Last>,
}

/// What is looked for once.
#[derive(Debug)]
pub(crate) struct Last {
    /// Answers a second that `h2load` counts, if it is installed.
    pub(crate) h2load: Option<f64>,
    /// Until a changed policy is in force.
    pub(crate) reloaded: Option<Duration>,
}

impl Round {
    /// Answers a second under saturation.
    pub(crate) fn per_second(&self) -> f64 {
        self.saturated.latencies.len() as f64 / self.saturated.elapsed.as_secs_f64()
    }
}

impl Bench {
    /// Runs a server through one life.
    ///
    /// # Errors
    /// It does not start or stop, or an answer is wrong.
    pub(crate) fn round(&self, subject: Subject, site: &Site<'_>, last: bool) -> Attempt<Round> {
        self.runtime.block_on(self.life(subject, site, last))
    }

    async fn life(&self, subject: Subject, site: &Site<'_>, last: bool) -> Attempt<Round> {
        let running = subject.start(site.world, site.root, &self.binaries, self.shape).await?;
        let idle = running.server.resident()?;
        let least = if site.world.never_twice { 0 } else { site.world.questions.len() };
        checked(saturate(&running, self.effort.warm_up(), least).await?)?;
        running.server.until_quiet().await?;
        let before = running.server.cpu()?;
        let saturated = checked(saturate(&running, self.effort.saturated(), 0).await?)?;
        let cpu = running.server.cpu()?.saturating_sub(before);
        let calls = u32::try_from(saturated.latencies.len())?.max(1);
        let resident = [idle, running.server.resident()?];
        let mut round = Round {
            started: running.started,
            resident,
            cpu: cpu / calls,
            saturated,
            paced: Vec::new(),
            last: None,
        };
        for &rate in &self.effort.rates {
            let paced = if f64::from(rate) > BUSIEST * round.per_second() {
                None
            } else {
                Some(checked(load::pace(&running.lines, rate, self.effort.paced()).await?)?)
            };
            round.paced.push((rate, paced));
        }
        if last {
            let h2load = self.cross_check(subject, site.world, &running, round.per_second())?;
            round.last = Some(Last { h2load, reloaded: reloaded(subject, site, &running).await? });
        }
        running.stop().await?;
        Ok(round)
    }

    /// Has `h2load` put the first question again and again, for about as long as the saturating load.
    fn cross_check(
        &self,
        subject: Subject,
        world: &World,
        running: &Running,
        expected: f64,
    ) -> Attempt<Option<f64>> {
        if !h2load::is_installed() {
            return Ok(None);
        }
        let (path, flags, bytes) = subject.first_message(world)?;
        let folder = tempfile::tempdir()?;
        let body = folder.path().join("body.bin");
        std::fs::write(&body, bytes)?;
        let shape = match subject {
            Subject::CedarAgent => Shape { connections: running.streams, streams: 1 },
            _ => self.shape,
        };
        // Rates are positive and far below what a whole number holds.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        let requests = (expected * self.effort.saturated().as_secs_f64()) as usize;
        let requests = requests.max(2 * shape.connections * shape.streams);
        h2load::run(&format!("{}{path}", running.server.url), flags, &body, shape, requests).map(Some)
    }
}

/// Asks as much as it takes, for so long and at least so many questions.
async fn saturate(running: &Running, time: Duration, least: usize) -> Attempt<Tally> {
    let end = Instant::now() + time;
    let over = move |number| number >= least && Instant::now() >= end;
    load::saturate(&running.lines, running.streams, over).await
}

/// A wrong answer ends the benchmark.
fn checked(tally: Tally) -> Attempt<Tally> {
    match tally.example {
        Some(example) => Err(format!("{} wrong answers, such as: {example}", tally.failures).into()),
        None => Ok(tally),
    }
}

/// How long it takes until the first question, which was allowed, is not any more.
async fn reloaded(subject: Subject, site: &Site<'_>, running: &Running) -> Attempt<Option<Duration>> {
    if subject == Subject::Echo {
        return Ok(None);
    }
    let Some(change) = scaling::change(site.world) else { return Ok(None) };
    let mut line = running.lines.first().ok_or("there is no connection")?.clone();
    let begun = Instant::now();
    subject.put(&change.after, site.root, &line).await?;
    while line.ask(0).await.is_ok() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{}: the change is not in force", subject.name()).into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = begun.elapsed();
    subject.put(&change.before, site.root, &line).await?;
    Ok(Some(took))
}
