//! What reaches the loader's thread, one thing at a time; while it minds long work, commands wait for their turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::STOPPING;
use super::command::{Answer, Command, Commands, Message};
use super::watch::{Waker, Watch};

/// How long events are gathered before the files are looked at. A look takes at most as long again as the one before.
const GATHER: Duration = Duration::from_millis(1);

/// Messages, and file events among them.
#[derive(Debug)]
pub(super) struct Inbox {
    messages: Receiver<Message>,
    waker: Waker,
    watch: Option<Watch>,
    /// Commands that came while other work was under way.
    later: VecDeque<(Command, Answer)>,
    /// Files may have changed meanwhile.
    look_later: bool,
    stopping: bool,
}

/// What there is to do next.
pub(super) enum Told {
    /// A look at the files, because it is time.
    Look,
    /// A look at the files, because they may have changed.
    Files,
    /// This, and a look.
    Command(Command, Answer),
    /// Nothing more.
    Stop,
}

impl Inbox {
    /// An inbox, and where messages for it are sent.
    pub(super) fn new() -> (Commands, Self) {
        let (sender, messages) = mpsc::channel();
        let sender = Arc::new(sender);
        let waker = Waker::new(&sender);
        let (watch, later) = (None, VecDeque::new());
        (
            Commands::of_loader(sender),
            Self { messages, waker, watch, later, look_later: false, stopping: false },
        )
    }

    /// Takes file events from there.
    pub(super) fn watch(&mut self, watch: Option<Watch>) {
        self.watch = watch;
    }

    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Whether somebody wants the loader to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Waits for something to do, at most so long.
    pub(super) fn next(&mut self, wait: Duration) -> Told {
        if self.stopping {
            return Told::Stop;
        }
        let look_later = std::mem::take(&mut self.look_later);
        match self.later.pop_front() {
            Some((command, answer)) => Told::Command(command, answer),
            None if look_later => Told::Look,
            None => self.receive(wait),
        }
    }

    /// Waits for anything to happen, at most so long. Commands, and the end, wait for their turn.
    pub(super) fn pause(&mut self, wait: Duration) {
        if self.stopping {
            // There may be nobody left to wake the loader.
            return thread::sleep(wait.min(STOPPING));
        }
        match self.receive(wait) {
            Told::Look => {}
            Told::Files => self.look_later = true,
            Told::Command(command, answer) => self.later.push_back((command, answer)),
            Told::Stop => self.stopping = true,
        }
    }

    fn receive(&mut self, wait: Duration) -> Told {
        let told = match self.messages.recv_timeout(wait) {
            Ok(Message::Files) => {
                thread::sleep(GATHER);
                Told::Files
            }
            Ok(Message::Done) | Err(RecvTimeoutError::Timeout) => Told::Look,
            Ok(Message::Command(command, answer)) => Told::Command(command, answer),
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => Told::Stop,
        };
        self.waker.rest();
        if let Some(watch) = &mut self.watch {
            watch.rearm();
        }
        told
    }
}
