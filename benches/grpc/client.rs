//! A client that checks every answer, under two kinds of load.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mandate::server::pb::{AuthorizeResponse, CacheStatus, Decision};
use prost::Message;
use prost::bytes::{BufMut as _, Bytes};
use tokio::task::{JoinSet, yield_now};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::Attempt;
use crate::workload::{Asked, Workload};

/// The method under test.
pub(crate) const METHOD: &str = "/mandate.v1.AuthorizationService/Authorize";

/// How the client spreads its calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Connections.
    pub(crate) connections: usize,
    /// Calls under way on each, when the load is a saturating one.
    pub(crate) streams: usize,
}

/// The fields of an answer that are checked; the rest of the message is skipped.
#[derive(Clone, PartialEq, Message)]
struct Checked {
    #[prost(enumeration = "Decision", tag = "1")]
    decision: i32,
    #[prost(string, tag = "3")]
    request_id: String,
    #[prost(enumeration = "CacheStatus", tag = "11")]
    cache: i32,
    #[prost(string, tag = "15")]
    generation: String,
}

/// What came of a number of calls.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Nanoseconds each call took.
    pub(crate) latencies: Histogram<u64>,
    /// First to last call.
    pub(crate) elapsed: Duration,
    /// Answers that said whether they came from the cache, and those that did.
    pub(crate) told: u64,
    pub(crate) hits: u64,
    /// Errors, and answers other than expected; one of them in words.
    pub(crate) failures: u64,
    pub(crate) example: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Attempt<Self> {
        let latencies = Histogram::new(3)?;
        Ok(Self { latencies, elapsed: Duration::ZERO, told: 0, hits: 0, failures: 0, example: None })
    }

    /// Takes another's calls in; the time they took is the longer of both.
    pub(crate) fn add(&mut self, other: Self) -> Attempt<()> {
        self.latencies.add(&other.latencies)?;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.told += other.told;
        self.hits += other.hits;
        self.failures += other.failures;
        self.example = self.example.take().or(other.example);
        Ok(())
    }

    fn record(&mut self, latency: Duration, outcome: Result<CacheStatus, String>) -> Attempt<()> {
        self.latencies.record(u64::try_from(latency.as_nanos())?)?;
        match outcome {
            Ok(CacheStatus::Unspecified) => {}
            Ok(status) => {
                self.told += 1;
                self.hits += u64::from(status == CacheStatus::Hit);
            }
            Err(failure) => {
                self.failures += 1;
                self.example.get_or_insert(failure);
            }
        }
        Ok(())
    }
}

/// Connections to a server, and what it must answer.
#[derive(Debug)]
pub(crate) struct Client {
    connections: Vec<Connection>,
    shape: Shape,
    workload: Arc<Workload>,
}

impl Client {
    /// Connects, and takes the generation of the first answer as the one every answer must come from.
    ///
    /// # Errors
    /// The server cannot be reached or refuses the first request.
    pub(crate) async fn connect(url: &str, shape: Shape, workload: &Arc<Workload>) -> Attempt<Self> {
        let mut connections = Vec::new();
        let mut generation = Arc::from("");
        for _ in 0..shape.connections {
            let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
            let mut connection = Connection { grpc: Grpc::new(channel), generation: Arc::clone(&generation) };
            if generation.is_empty() {
                let first = workload.requests.first().ok_or("there is nothing to ask")?;
                generation = connection.call::<Checked>(first).await?.generation.into();
                connection.generation = Arc::clone(&generation);
            }
            connections.push(connection);
        }
        if generation.is_empty() {
            return Err("the server's answers name no generation".into());
        }
        Ok(Self { connections, shape, workload: Arc::clone(workload) })
    }

    /// The whole answers to every request of the workload, in its order.
    ///
    /// # Errors
    /// A call fails, or an answer is another than expected.
    pub(crate) async fn answers(&self) -> Attempt<Vec<AuthorizeResponse>> {
        let mut connection = self.connections.first().ok_or("there is no connection")?.clone();
        let mut answers = Vec::new();
        for asked in &self.workload.requests {
            connection.ask(asked).await?;
            answers.push(connection.call::<AuthorizeResponse>(asked).await?);
        }
        Ok(answers)
    }

    /// Keeps every stream of every connection busy until `count` calls have been made.
    ///
    /// # Errors
    /// The client itself fails; what the server does wrong is in the tally.
    pub(crate) async fn saturate(&self, count: usize) -> Attempt<Tally> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut callers = JoinSet::new();
        for connection in &self.connections {
            for _ in 0..self.shape.streams {
                let (connection, workload, next) =
                    (connection.clone(), Arc::clone(&self.workload), Arc::clone(&next));
                callers.spawn(call_until(connection, workload, next, count));
            }
        }
        let mut total = Tally::new()?;
        while let Some(tally) = callers.join_next().await {
            total.add(tally??)?;
        }
        Ok(total)
    }

    /// Makes `rate` calls a second for a time, whether or not earlier ones were answered. A call's latency counts from
    /// the instant it was due, so that a server that stalls cannot hide it by holding back what comes after.
    ///
    /// # Errors
    /// The client itself fails; what the server does wrong is in the tally.
    pub(crate) async fn pace(&self, rate: u32, time: Duration) -> Attempt<Tally> {
        let interval = Duration::from_secs(1) / rate;
        let start = Instant::now();
        let mut due = start;
        let mut calls = JoinSet::new();
        for (connection, number) in self.connections.iter().cycle().zip(0..) {
            if due > start + time {
                break;
            }
            // A timer would be late by up to a millisecond. Yielding looks for answers meanwhile.
            while Instant::now() < due {
                yield_now().await;
            }
            let (mut connection, workload) = (connection.clone(), Arc::clone(&self.workload));
            calls.spawn(async move {
                let outcome = connection.ask(workload.turn(number)).await;
                (due.elapsed(), outcome)
            });
            due += interval;
        }
        let mut total = Tally::new()?;
        for (latency, outcome) in calls.join_all().await {
            total.record(latency, outcome)?;
        }
        total.elapsed = start.elapsed();
        Ok(total)
    }
}

async fn call_until(
    mut connection: Connection,
    workload: Arc<Workload>,
    next: Arc<AtomicUsize>,
    count: usize,
) -> Attempt<Tally> {
    let mut tally = Tally::new()?;
    let start = Instant::now();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            break;
        }
        let asked = Instant::now();
        let outcome = connection.ask(workload.turn(number)).await;
        tally.record(asked.elapsed(), outcome)?;
    }
    tally.elapsed = start.elapsed();
    Ok(tally)
}

/// One connection, and the generation that must answer on it.
#[derive(Debug, Clone)]
struct Connection {
    grpc: Grpc<Channel>,
    generation: Arc<str>,
}

impl Connection {
    /// Asks, and holds the answer against what is expected.
    async fn ask(&mut self, asked: &Asked) -> Result<CacheStatus, String> {
        let answer: Checked = self.call(asked).await.map_err(|status| status.to_string())?;
        let expected = (asked.expected, asked.id.as_str(), &*self.generation);
        let got = (answer.decision(), answer.request_id.as_str(), answer.generation.as_str());
        if got == expected {
            return Ok(answer.cache());
        }
        Err(format!("the answer is {got:?}, not {expected:?}"))
    }

    async fn call<M: Message + Default + 'static>(&mut self, asked: &Asked) -> Result<M, Status> {
        self.grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = tonic::codegen::http::uri::PathAndQuery::from_static(METHOD);
        let answer = self.grpc.unary(Request::new(asked.bytes.clone()), path, Encoded(PhantomData)).await?;
        Ok(answer.into_inner())
    }
}

/// Requests are encoded already; answers are decoded as `M`.
#[derive(Debug)]
struct Encoded<M>(PhantomData<M>);

impl<M: Message + Default + 'static> Codec for Encoded<M> {
    type Encode = Bytes;
    type Decode = M;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(PhantomData)
    }

    fn decoder(&mut self) -> Self {
        Self(PhantomData)
    }
}

impl<M> Encoder for Encoded<M> {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put(item);
        Ok(())
    }
}

impl<M: Message + Default> Decoder for Encoded<M> {
    type Item = M;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<M>, Status> {
        M::decode(source).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
