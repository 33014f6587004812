//! Load on a running server: calls begin when they are due, whether or not earlier ones were answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mandate::server::pb;
use mandate::server::pb::authorization_service_client::AuthorizationServiceClient;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::wire::is_allow;

/// Longest that any call may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One call that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Which of the questions it asked.
    pub(crate) question: usize,
    pub(crate) asked: Instant,
    pub(crate) ended: Instant,
    pub(crate) outcome: Result<pb::AuthorizeResponse, Status>,
}

impl Call {
    /// Whether it was answered from this generation.
    pub(crate) fn is_of(&self, generation: &str) -> bool {
        self.outcome.as_ref().is_ok_and(|answer| answer.generation == generation)
    }
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    calls: Mutex<Vec<Call>>,
    more: Condvar,
}

impl Shared {
    fn end(&self, call: Call) {
        self.calls.lock().expect("nobody panicked").push(call);
        self.more.notify_all();
    }
}

/// Calls under way.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Connections of every load: two clients that know nothing of each other.
const CONNECTIONS: u32 = 2;

impl Load {
    /// Asks these questions in turn, so many calls a second over all connections.
    pub(crate) fn of(address: &str, per_second: u32, questions: Vec<pb::AuthorizeRequest>) -> Self {
        Self::asking(address, per_second, move |call| {
            let question = call % questions.len();
            (question, questions[question].clone())
        })
    }

    /// Asks what `ask` says for the call of that number: the question's number, and the question.
    pub(crate) fn asking(
        address: &str,
        per_second: u32,
        ask: impl Fn(usize) -> (usize, pb::AuthorizeRequest) + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let endpoint = Endpoint::from_shared(address.to_owned()).expect("an address");
        let (ask, all) = (Arc::new(ask), Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut connections = JoinSet::new();
                for first in 0..CONNECTIONS {
                    let channel = endpoint.connect_lazy();
                    let every = Duration::from_secs(1) * CONNECTIONS / per_second;
                    connections.spawn(drive(channel, every, first, Arc::clone(&all), Arc::clone(&ask)));
                }
                connections.join_all().await;
            });
        });
        Self { shared, thread: Some(thread) }
    }

    /// Waits until a call that began after now ended so, and returns how long that took.
    #[track_caller]
    pub(crate) fn until(&self, patience: Duration, wanted: impl Fn(&Call) -> bool) -> Duration {
        let begun = Instant::now();
        let mut calls = self.shared.calls.lock().expect("nobody panicked");
        let mut looked = calls.len();
        loop {
            if calls.iter().skip(looked).any(|call| call.asked >= begun && wanted(call)) {
                return begun.elapsed();
            }
            looked = calls.len();
            let Some(left) = patience.checked_sub(begun.elapsed()) else {
                let last = calls.last().cloned();
                // Whoever panics while holding it would fail the calls that are still under way, too.
                drop(calls);
                panic!("not within {patience:?}; last: {last:?}");
            };
            calls = self.shared.more.wait_timeout(calls, left).expect("nobody panicked").0;
        }
    }

    /// Asks nothing more, waits for what is under way, and hands out every call.
    pub(crate) fn finish(mut self) -> Vec<Call> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("finished once").join().expect("the load");
        std::mem::take(&mut *self.shared.calls.lock().expect("nobody panicked"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

async fn drive(
    channel: Channel,
    every: Duration,
    first: u32,
    shared: Arc<Shared>,
    ask: Arc<impl Fn(usize) -> (usize, pb::AuthorizeRequest) + Send + Sync + 'static>,
) {
    let service = AuthorizationServiceClient::new(channel);
    let mut due = tokio::time::interval(every);
    let mut calls = JoinSet::new();
    for number in 0.. {
        due.tick().await;
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let (question, message) = ask(number * CONNECTIONS as usize + first as usize);
        let (mut service, shared) = (service.clone(), Arc::clone(&shared));
        calls.spawn(async move {
            let mut request = Request::new(message);
            request.set_timeout(PATIENCE);
            let asked = Instant::now();
            let outcome = service.authorize(request).await.map(tonic::Response::into_inner);
            shared.end(Call { question, asked, ended: Instant::now(), outcome });
        });
        while calls.try_join_next().is_some() {}
    }
    calls.join_all().await;
}

/// What each generation answers to each question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth(HashMap<String, Vec<bool>>);

impl Truth {
    /// Adds a generation, which allows so.
    pub(crate) fn and(mut self, generation: &str, allows: &[bool]) -> Self {
        assert!(self.0.insert(generation.to_owned(), allows.to_vec()).is_none(), "two sets, one generation");
        self
    }

    /// Fails unless every call was answered, from one of the generations, and as that one says. Returns how many calls
    /// each of them answered.
    #[track_caller]
    pub(crate) fn check(&self, calls: &[Call]) -> HashMap<String, usize> {
        let mut answered = HashMap::new();
        let mut wrong = Vec::new();
        for call in calls {
            match self.complaint(call) {
                Ok(generation) => *answered.entry(generation.to_owned()).or_default() += 1,
                Err(complaint) => wrong.push(complaint),
            }
        }
        assert!(!calls.is_empty(), "nothing was asked");
        let shown = &wrong[..wrong.len().min(5)];
        assert!(wrong.is_empty(), "{} of {} calls: {shown:#?}", wrong.len(), calls.len());
        answered
    }

    fn complaint(&self, call: &Call) -> Result<&str, String> {
        let answer = call.outcome.as_ref().map_err(|status| format!("failed: {status:?}"))?;
        let known = self.0.get_key_value(&answer.generation);
        let (generation, allows) = known.ok_or_else(|| format!("of no known generation: {answer:?}"))?;
        let expected = allows[call.question];
        if is_allow(answer) == expected {
            Ok(generation)
        } else {
            Err(format!("question {} should be {expected}: {answer:?}", call.question))
        }
    }
}
