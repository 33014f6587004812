//! Where records go besides the log on this disk, at least once and in order.
//!
//! Each sink has a thread of its own ([`feeder`]) that reads the log from where its [`cursor`] stands, gives the sink
//! batches of what is synced, and moves the cursor. A sink that is slow, gone or hostile delays itself alone: nothing that
//! decides or writes waits for it. What it will never have is counted by reason ([`account`]).
//!
//! In reading order: [`config`], [`account`], [`cursor`], [`feeder`]; the sinks themselves.

pub mod account;
pub mod config;
pub mod cursor;
pub mod feeder;
pub mod file;
mod glance;
mod http;
mod lines;
mod nats;
mod otlp;
pub mod stdout;

#[cfg(test)]
mod feeder_tests;
#[cfg(test)]
mod file_tests;

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::watch;
use uuid::Uuid;

use super::spool::Progress;
use super::spool::reader::Entry;
use crate::outbound::TrustError;
use crate::outbound::headers::SecretError;
use account::{Account, SinkStatus};
use config::{SinkConfig, SinkKind};
use cursor::{CursorError, CursorFile};
use feeder::{Feed, Feeder};

/// Takes records. Called by one thread, which may wait, but no longer than the sink's own limit of time.
pub trait Sink: Debug + Send {
    /// Delivers all of these, in order. Ok only when the other side has taken them, as far as it can tell. Connections live
    /// on `runtime`, which is the thread's own.
    ///
    /// # Errors
    /// [`SinkError`].
    fn deliver(&mut self, batch: &Batch<'_>, runtime: &Runtime) -> Result<(), SinkError>;

    /// Makes what was delivered last: called before a cursor says so for good.
    ///
    /// # Errors
    /// [`SinkError`].
    fn settle(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Records to deliver: at least one, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The log they are of. With a sequence it names a record for ever: a receiver tells duplicates by the two.
    pub log: Uuid,
    /// The records.
    pub entries: &'a [Entry],
}

impl Batch<'_> {
    /// Sequence of the first record.
    pub fn first(&self) -> u64 {
        self.entries.first().map_or(0, |entry| entry.sequence)
    }

    /// Bytes of all lines together.
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.line.len()).sum()
    }
}

/// Why a batch was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// It may go better later: the same batch comes again.
    #[error("{why}")]
    Later {
        /// What went wrong, without anything secret.
        why: String,
        /// How long the other side asks to be left alone.
        after: Option<Duration>,
    },
    /// The other side will never take one of these.
    #[error("{why}")]
    Refused {
        /// What it says, without anything secret.
        why: String,
    },
    /// The other side took the batch, but for so many records that it will never take, and does not name.
    #[error("{rejected} records were rejected: {why}")]
    Partly {
        /// How many.
        rejected: u64,
        /// What it says, without anything secret.
        why: String,
    },
}

impl SinkError {
    /// To be tried again.
    pub(super) fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None }
    }
}

/// Somebody may put it right meanwhile.
impl From<SecretError> for SinkError {
    fn from(error: SecretError) -> Self {
        Self::later(error.to_string())
    }
}

/// Why sinks cannot be fed.
#[derive(Debug, thiserror::Error)]
pub enum SinksError {
    /// A sink cannot be opened.
    #[error("`log.sinks.{sink}`: {error}")]
    Open {
        /// Its name.
        sink: String,
        /// Why.
        error: OpenError,
    },
    /// The system gives no thread.
    #[error("no thread for a sink of the decision log: {0}")]
    Thread(io::Error),
}

/// Why a sink cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its file or stream.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Its cursor.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// No server could be believed.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// What it is configured with cannot be used.
    #[error("{0}")]
    Unusable(String),
}

/// Sinks that are open and not fed yet.
#[derive(Debug)]
pub struct Sinks {
    feeders: Vec<Feeder>,
    accounts: Accounts,
}

/// What became of the records of every sink. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Accounts(Arc<[Arc<Account>]>);

impl Accounts {
    /// How every sink stands.
    pub fn statuses(&self) -> Vec<SinkStatus> {
        self.0.iter().map(|account| account.status()).collect()
    }

    /// The least sequence that some sink has not been given for good; none without sinks. What is below it, no sink needs.
    pub fn floor(&self) -> Option<u64> {
        self.0.iter().map(|account| account.settled()).min()
    }
}

impl Sinks {
    /// Opens sinks, and reads their cursors in the folder of the log.
    ///
    /// # Errors
    /// [`SinksError`] naming the sink.
    pub fn open(configs: &[SinkConfig], directory: &Path) -> Result<Self, SinksError> {
        let feeders = configs.iter().map(|config| {
            open_one(config, directory).map_err(|error| SinksError::Open { sink: config.name.clone(), error })
        });
        let feeders = feeders.collect::<Result<Vec<_>, _>>()?;
        let accounts = Accounts(feeders.iter().map(Feeder::account).collect());
        Ok(Self { feeders, accounts })
    }

    /// What is counted.
    pub fn accounts(&self) -> Accounts {
        self.accounts.clone()
    }

    /// Feeds every sink from this log, on a thread of its own.
    ///
    /// # Errors
    /// [`SinksError::Thread`].
    pub fn start(
        self,
        log: Uuid,
        directory: PathBuf,
        progress: &watch::Receiver<Progress>,
    ) -> Result<Feeding, SinksError> {
        let (stop, stops) = watch::channel(None);
        let (ending, ended) = watch::channel(0);
        let feed = Feed { log, directory, progress: progress.clone(), stops };
        let threads = self.feeders.len();
        for feeder in self.feeders {
            feeder.spawn(feed.clone(), End(ending.clone())).map_err(SinksError::Thread)?;
        }
        Ok(Feeding { accounts: self.accounts, stop, ended, threads })
    }
}

fn open_one(config: &SinkConfig, directory: &Path) -> Result<Feeder, OpenError> {
    let sink = sink(config)?;
    let cursor = CursorFile::open(directory, &config.name)?;
    Ok(Feeder::new(config, sink, cursor))
}

fn sink(config: &SinkConfig) -> Result<Box<dyn Sink>, OpenError> {
    Ok(match &config.kind {
        SinkKind::Stdout => Box::new(stdout::StdoutSink::open()?),
        SinkKind::File(file) => Box::new(file::FileSink::open(file)?),
        SinkKind::Http(http) => Box::new(http::HttpSink::open(http)?),
        SinkKind::Otlp(otlp) => Box::new(otlp::OtlpSink::open(otlp)?),
        SinkKind::Nats(nats) => Box::new(nats::NatsSink::open(nats)?),
    })
}

/// Sinks that are being fed. Dropping it ends the threads, without waiting.
#[derive(Debug)]
pub struct Feeding {
    accounts: Accounts,
    stop: watch::Sender<Option<Instant>>,
    /// How many threads have ended.
    ended: watch::Receiver<usize>,
    threads: usize,
}

/// Counts a thread as ended, however it ends.
#[derive(Debug)]
struct End(watch::Sender<usize>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.send_modify(|ended| *ended += 1);
    }
}

impl Feeding {
    /// What is counted.
    pub fn accounts(&self) -> Accounts {
        self.accounts.clone()
    }

    /// Resolves when a thread has ended; never if there are none. Before [`stop`](Self::stop) that is a defect.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let (mut ended, threads) = (self.ended.clone(), self.threads);
        async move {
            if threads == 0 {
                return std::future::pending().await;
            }
            // No sender left means no thread left.
            let _ended = ended.wait_for(|ended| *ended > 0).await.map(drop);
        }
    }

    /// Lets every sink have what is left, as long as it takes records and at most for `timeout`; what it has not by then
    /// it is given after the next start. Says how the sinks stand.
    pub async fn stop(mut self, timeout: Duration) -> Vec<SinkStatus> {
        self.stop.send_replace(Some(Instant::now() + timeout));
        let threads = self.threads;
        let all = self.ended.wait_for(|ended| *ended >= threads);
        let in_time = tokio::time::timeout(timeout, all).await.is_ok();
        let statuses = self.accounts.statuses();
        for SinkStatus { name, next, lag_records, .. } in &statuses {
            match lag_records {
                0 if in_time => tracing::info!(sink = name, next, "the sink has the whole decision log"),
                behind => tracing::warn!(
                    sink = name,
                    next,
                    behind,
                    "the sink is behind; it is fed from there after the next start"
                ),
            }
        }
        statuses
    }
}
