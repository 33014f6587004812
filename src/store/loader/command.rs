//! What the loader can be told, and what it answers.

use std::fmt;
use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use super::status::{Outcome, Source};

/// What the loader can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Load the files now, without waiting for them to settle, and again if they were rejected.
    Reload,
    /// Serve a kept set, and hold to it until the files change.
    Rollback {
        /// A generation's hash, or its first eight hex digits or more, with or without `sha256:`.
        generation: String,
    },
    /// End the rollback: load the files now.
    Release,
    /// Panics, to show that somebody notices.
    #[cfg(test)]
    Panic,
    /// Hangs for so many milliseconds, to show that nobody waits.
    #[cfg(test)]
    Hang(u64),
}

/// What is served after a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its generation.
    pub generation: String,
    /// Its revision.
    pub revision: String,
    /// Where it comes from.
    pub source: Source,
    /// What became of the files, if the command was to load them.
    pub outcome: Outcome,
    /// Why the files are not what is served, or what could not be written, at most twenty.
    pub problems: Vec<String>,
}

/// Why a command was not obeyed. What was served still is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Not a generation's name.
    #[error("`{0}` names no generation: give eight or more hex digits of its hash")]
    Malformed(String),
    /// No kept set was published as that.
    #[error("no kept set was published as generation `{0}`; `mandate status` lists those that were")]
    Unknown(String),
    /// The beginning of more than one.
    #[error("`{0}` is the beginning of several generations: give more digits")]
    Ambiguous(String),
    /// The kept set is damaged.
    #[error("the kept set cannot be read: {0}")]
    Damaged(String),
    /// The kept set does not compile with today's configuration and emergency forbids.
    #[error("the kept set does not load any more: {}", .0.join("; "))]
    Rejected(Vec<String>),
    /// None of those who are to sign what is served has signed it.
    #[error("nobody whom `sources.signers` names has signed the kept set")]
    Unsigned,
    /// Too much is written at once.
    #[error("so much was written meanwhile that the set has to be compiled again: try again")]
    Busy,
    /// There is no rollback to release.
    #[error("no rollback is held: there is nothing to release")]
    NotPinned,
    /// What is served is another server's to say.
    #[error("this server follows {0}, and serves what that serves: tell that one")]
    Follower(Arc<str>),
    /// The loader has ended.
    #[error("the loader has ended")]
    Ended,
}

/// Where the answer to a command goes.
pub(super) type Answer = oneshot::Sender<Result<Served, CommandError>>;

/// What reaches the loader's thread.
#[derive(Debug)]
pub(super) enum Message {
    /// Files may have changed.
    Files,
    /// Somebody wants something.
    Command(Command, Answer),
    /// Work is done.
    Done,
    /// The end.
    Stop,
}

/// Tells the loader what to do. When the last of these is dropped, the loader ends.
#[derive(Debug, Clone)]
pub struct Commands(Arc<To>);

/// Who is told.
enum To {
    Loader(Arc<mpsc::Sender<Message>>),
    /// Nobody: what is served is the primary's to say, by this URL. There is only an end.
    Follower(Arc<str>, Box<dyn Fn() + Send + Sync>),
}

impl fmt::Debug for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loader(_) => f.write_str("Loader"),
            Self::Follower(primary, _) => f.debug_tuple("Follower").field(primary).finish(),
        }
    }
}

impl Commands {
    pub(super) fn of_loader(loader: Arc<mpsc::Sender<Message>>) -> Self {
        Self(Arc::new(To::Loader(loader)))
    }

    /// Those of a server that follows the one at this URL: none is obeyed.
    pub(in crate::store) fn of_follower(primary: &Arc<str>, stop: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(To::Follower(Arc::clone(primary), Box::new(stop))))
    }

    /// Gives a command, and waits until it is done.
    ///
    /// # Errors
    /// [`CommandError`]: nothing has changed.
    pub async fn give(&self, command: Command) -> Result<Served, CommandError> {
        self.send(command).await.unwrap_or(Err(CommandError::Ended))
    }

    /// Gives a command. The answer comes when it is done; none comes if the loader ends before.
    pub fn send(&self, command: Command) -> oneshot::Receiver<Result<Served, CommandError>> {
        let (answer, answered) = oneshot::channel();
        match &*self.0 {
            // If the loader has ended, the answer's other half is dropped with the message.
            To::Loader(loader) => drop(loader.send(Message::Command(command, answer))),
            To::Follower(primary, _) => {
                tracing::warn!(?command, "is not obeyed: this server follows {primary}");
                // Whoever asked may have gone.
                drop(answer.send(Err(CommandError::Follower(Arc::clone(primary)))));
            }
        }
        answered
    }

    /// Ends the loader, after what it is doing.
    pub fn stop(&self) {
        match &*self.0 {
            To::Loader(loader) => drop(loader.send(Message::Stop)),
            To::Follower(_, stop) => stop(),
        }
    }
}
