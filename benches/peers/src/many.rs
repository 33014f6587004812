//! Many questions at once: batches, and streams with so many under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mandate::server::pb::{AuthorizeBatchRequest, Decision};
use prost::Message;
use prost::bytes::Bytes;
use tokio::task::JoinSet;

use crate::Attempt;
use crate::caller::Caller;
use crate::checked::Checked;
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
    caller: Caller,
    generation: Arc<str>,
    batches: Arc<Batches>,
}

impl BatchLine {
    /// Asks on a connection on which single questions were asked.
    pub(crate) fn on(connection: &ours::Connection, batches: &Arc<Batches>) -> Self {
        let ours::Connection { caller, generation, .. } = connection;
        Self { caller: caller.clone(), generation: Arc::clone(generation), batches: Arc::clone(batches) }
    }
}

impl Ask for BatchLine {
    async fn ask(&mut self, number: usize) -> Result<Source, String> {
        let batches = Arc::clone(&self.batches);
        let turn = number.checked_rem(batches.0.len()).ok_or("there is no batch")?;
        let batch = batches.0.get(turn).ok_or("there is no batch")?;
        let answer: BatchChecked =
            self.caller.call(BATCH, &batch.bytes).await.map_err(|error| error.to_string())?;
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
        let connection = ours::Connection::open(url, questions).await?;
        streams.spawn(one_stream(connection, window, end));
    }
    let mut answered = 0;
    while let Some(of_one) = streams.join_next().await {
        answered += of_one??;
    }
    Ok(answered)
}

async fn one_stream(mut connection: ours::Connection, window: usize, end: Instant) -> Attempt<u64> {
    let questions = Arc::clone(&connection.questions);
    let mut stream = connection.caller.begin::<StreamChecked>(STREAM).await?;
    for number in 0..window {
        stream.send(questions.turn(number)?.1, false)?;
    }
    let (mut asked, mut answered) = (window, 0);
    while Instant::now() < end {
        let answer = stream.next().await?.ok_or("the stream ended")?;
        let response = answer.response.ok_or("a question was not answered")?;
        check_by_id(&response, &questions, &connection.generation)?;
        answered += 1;
        stream.send(questions.turn(asked)?.1, false)?;
        asked += 1;
    }
    Ok(answered)
}
