//! Following a primary: one conversation after another, each handed to the replica as it is heard.
//!
//! In a conversation the primary tells every world that it publishes (`Watch`), and is asked now and then which one it serves
//! (`Renew`): the lease counts from when it was *asked*, by this process's own clock. So nothing that is told late, by a slow
//! network, a full buffer or a process that stood still, counts as current: what was asked before cannot be older than that.

mod connection;
mod reading;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};

use crate::outbound::backoff::Backoff;
use crate::server::pb;
use crate::store::replica::lease::Moment;
use crate::store::replica::{Inbox, KeeperGone, Resume, Vouched};
use connection::Connection;
use reading::{Reader, Unreadable};

/// How long a primary has to say the first word, and to answer at all before its lease is known.
const FIRST_WORD: Duration = Duration::from_secs(10);
/// A conversation that lasted this long was a good one.
const GOOD: Duration = Duration::from_secs(30);

/// How a primary is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primary {
    /// URL of its control listener.
    pub url: String,
    /// Authorities that vouch for it; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// The name that its certificate must have; none: the URL's host.
    pub server_name: Option<String>,
    /// Certificate and private key that are shown to it.
    pub shown: Option<(PathBuf, PathBuf)>,
    /// File of the bearer token that is shown to it.
    pub token_file: Option<PathBuf>,
}

/// Why a conversation ended.
#[derive(Debug)]
enum Ended {
    /// The primary said so.
    Status(Status),
    /// It cannot be reached, or not as it should be.
    Unreachable(String),
    /// It says nothing any more.
    Silent(Duration),
    /// What it says cannot be read.
    Unreadable(Unreadable),
    /// What it says is not taken.
    Refused(String),
    /// Nobody is left to take it.
    Gone(KeeperGone),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "it answers {:?}: {}", status.code(), status.message()),
            Self::Unreachable(problem) => write!(f, "it cannot be reached: {problem}"),
            Self::Silent(span) => write!(f, "it has said nothing for {} ms", span.as_millis()),
            Self::Unreadable(error) => write!(f, "what it says cannot be read: {error}"),
            Self::Refused(problem) => f.write_str(problem),
            Self::Gone(gone) => gone.fmt(f),
        }
    }
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<KeeperGone> for Ended {
    fn from(gone: KeeperGone) -> Self {
        Self::Gone(gone)
    }
}

impl From<Unreadable> for Ended {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

/// Follows a primary until nobody takes what it says any more.
pub async fn follow(primary: Primary, inbox: Inbox) {
    let mut backoff = Backoff::new();
    loop {
        let begun = Instant::now();
        let ended = converse(&primary, &inbox).await;
        let problem = ended.to_string();
        inbox.following().disconnected(&problem);
        tracing::warn!(primary = %primary.url, %problem, "the primary is not followed; it is tried again");
        if matches!(ended, Ended::Gone(_)) {
            return;
        }
        // What is refused is not told again at once, however well the conversation went until then.
        if begun.elapsed() > GOOD && !matches!(ended, Ended::Refused(_)) {
            backoff.reset();
        }
        sleep(backoff.pause(None)).await;
    }
}

/// One conversation, and why it ended.
async fn converse(primary: &Primary, inbox: &Inbox) -> Ended {
    let mut connection = match Connection::open(primary).await {
        Ok(connection) => connection,
        Err(problem) => return Ended::Unreachable(problem),
    };
    let Resume { revision: from_revision, last_write } = inbox.resume();
    let request = pb::WatchRequest { from_revision, include_entities: true, follow: true, last_write };
    let begun = timeout(FIRST_WORD, connection.watch(request)).await;
    let messages = match begun {
        Ok(Ok(messages)) => messages,
        Ok(Err(status)) => return status.into(),
        Err(_late) => return Ended::Silent(FIRST_WORD),
    };
    let mut refusals = inbox.begun();
    let ended = tokio::select! {
        ended = hear(messages, inbox) => ended,
        ended = renew(connection, inbox) => ended,
        problem = refusals.refused() => return Ended::Refused(problem),
    };
    ended.err().unwrap_or(Ended::Silent(Duration::ZERO))
}

/// Hands on what the primary says.
async fn hear(mut messages: Streaming<pb::WatchResponse>, inbox: &Inbox) -> Result<(), Ended> {
    let mut reader = Reader::default();
    let mut patience = FIRST_WORD;
    loop {
        let heard = timeout(patience, messages.message()).await;
        let message = heard.map_err(|_late| Ended::Silent(patience))??;
        let message = message.ok_or_else(|| Status::unavailable("the primary has ended the conversation"))?;
        // It says something three times in a lease.
        patience = lease(message.lease.as_ref()).unwrap_or(FIRST_WORD);
        if let Some(greeting) = reading::greeting(&message)? {
            inbox.following().connected();
            inbox.greet(greeting).await?;
        }
        if let Some(step) = reader.read(message)? {
            inbox.take(step).await?;
        }
    }
}

/// Asks the primary what it serves, three times in a lease.
async fn renew(mut connection: Connection, inbox: &Inbox) -> Result<(), Ended> {
    let mut patience = FIRST_WORD;
    loop {
        // The lease counts from here: what the primary serves when it answers is no older.
        let asked = Moment::now();
        let answer = timeout(patience, connection.renew()).await;
        let pb::RenewResponse { world, process, lease: said } =
            answer.map_err(|_late| Ended::Silent(patience))??;
        let lease = lease(said.as_ref()).ok_or(Unreadable("the lease is none"))?;
        inbox.vouched(Vouched { asked, process, world, lease }).await?;
        patience = lease;
        sleep((lease / 3).saturating_sub(asked.until(Moment::now()))).await;
    }
}

fn lease(said: Option<&prost_types::Duration>) -> Option<Duration> {
    Duration::try_from(*said?).ok().filter(|lease| !lease.is_zero())
}
