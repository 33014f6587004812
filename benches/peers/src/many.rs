//! Many questions at once: batches, and streams with so many under way.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mandate::server::pb::{AuthorizeBatchRequest, Decision};
use prost::Message;
use prost::bytes::Bytes;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};

use crate::Attempt;
use crate::checked::Checked;
use crate::encoded::{self, Encoded};
use crate::load::{Ask, Source};
use crate::ours::{self, check, check_by_id, decision_of, request};
use crate::world::World;

const BATCH: &str = "/mandate.v1.AuthorizationService/AuthorizeBatch";
const STREAM: &str = "/mandate.v1.AuthorizationService/AuthorizeStream";

/// The part of a batch's answer that is checked.
#[derive(Clone, PartialEq, Message)]
struct BatchChecked {
    #[prost(message, repeated, tag = "1")]
    results: Vec<ResultChecked>,
}

#[derive(Clone, PartialEq, Message)]
struct ResultChecked {
    #[prost(message, optional, tag = "1")]
    response: Option<Checked>,
}

/// The part of a stream's answer that is checked.
#[derive(Clone, PartialEq, Message)]
struct StreamChecked {
    #[prost(message, optional, tag = "2")]
    response: Option<Checked>,
}

/// Batches of questions, encoded once.
#[derive(Debug)]
pub(crate) struct Batches(Vec<Batch>);

#[derive(Debug)]
struct Batch {
    bytes: Bytes,
    /// Numbers of its questions, and their answers.
    expected: Vec<(usize, Decision)>,
}

impl Batches {
    /// All questions of a world, so many in each batch; the last are left out if they do not fill one.
    pub(crate) fn of(world: &World, size: usize) -> Self {
        let numbered: Vec<_> = world.questions.iter().enumerate().collect();
        let batch = |questions: &[(usize, &crate::world::Question)]| Batch {
            bytes: AuthorizeBatchRequest {
                defaults: None,
                requests: questions
                    .iter()
                    .map(|(number, question)| request(question, number.to_string()))
                    .collect(),
            }
            .encode_to_vec()
            .into(),
            expected: questions.iter().map(|(number, question)| (*number, decision_of(question))).collect(),
        };
        Self(numbered.chunks_exact(size).map(batch).collect())
    }
}

/// A connection on which batches are asked.
#[derive(Debug, Clone)]
pub(crate) struct BatchLine {
    grpc: Grpc<Channel>,
    generation: Arc<str>,
    batches: Arc<Batches>,
}

impl BatchLine {
    /// Asks on a connection on which single questions were asked.
    pub(crate) fn on(connection: &ours::Connection, batches: &Arc<Batches>) -> Self {
        let ours::Connection { grpc, generation, .. } = connection;
        Self { grpc: grpc.clone(), generation: Arc::clone(generation), batches: Arc::clone(batches) }
    }
}

impl Ask for BatchLine {
    async fn ask(&mut self, number: usize) -> Result<Source, String> {
        let batches = Arc::clone(&self.batches);
        let turn = number.checked_rem(batches.0.len()).ok_or("there is no batch")?;
        let batch = batches.0.get(turn).ok_or("there is no batch")?;
        let answer: BatchChecked = encoded::call(&mut self.grpc, BATCH, batch.bytes.clone())
            .await
            .map_err(|status| status.to_string())?;
        if answer.results.len() != batch.expected.len() {
            return Err(format!("{} answers to {} questions", answer.results.len(), batch.expected.len()));
        }
        for (result, (number, expected)) in answer.results.iter().zip(&batch.expected) {
            let response = result.response.as_ref().ok_or("a question was not answered")?;
            check(response, *number, *expected, &self.generation)?;
        }
        Ok(Source::Untold)
    }
}

/// Asks on one stream of each of so many connections, `window` questions under way on each, for so long. Returns how many were
/// answered.
///
/// # Errors
/// A stream fails, or an answer is wrong.
pub(crate) async fn streamed(
    url: &str,
    connections: usize,
    window: usize,
    questions: &Arc<ours::Encoded>,
    time: Duration,
) -> Attempt<u64> {
    let end = Instant::now() + time;
    let mut streams = JoinSet::new();
    for _ in 0..connections {
        let mut connection = ours::Connection::open(url, questions).await?;
        connection.grpc = Grpc::new(Endpoint::from_shared(url.to_owned())?.connect().await?);
        streams.spawn(one_stream(connection, window, end));
    }
    let mut answered = 0;
    while let Some(of_one) = streams.join_next().await {
        answered += of_one??;
    }
    Ok(answered)
}

async fn one_stream(mut connection: ours::Connection, window: usize, end: Instant) -> Attempt<u64> {
    let (sender, receiver) = channel::<Bytes>(window);
    let questions = Arc::clone(&connection.questions);
    for number in 0..window {
        send(&sender, &questions, number).await?;
    }
    connection.grpc.ready().await?;
    let path = PathAndQuery::from_static(STREAM);
    let codec = Encoded::<StreamChecked>(PhantomData);
    let answers = connection.grpc.streaming(Request::new(ReceiverStream::new(receiver)), path, codec).await?;
    let mut answers: Streaming<StreamChecked> = answers.into_inner();
    let (mut asked, mut answered) = (window, 0);
    while Instant::now() < end {
        let answer = answers.message().await?.ok_or("the stream ended")?;
        let response = answer.response.ok_or("a question was not answered")?;
        check_by_id(&response, &questions, &connection.generation)?;
        answered += 1;
        send(&sender, &questions, asked).await?;
        asked += 1;
    }
    Ok(answered)
}

async fn send(sender: &Sender<Bytes>, questions: &ours::Encoded, number: usize) -> Attempt<()> {
    let (_, bytes, _) = questions.turn(number)?;
    Ok(sender.send(bytes.clone()).await?)
}
