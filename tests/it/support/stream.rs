//! One `AuthorizeStream`, message by message.

use std::time::Duration;

use futures_util::stream;
use mandate::server::pb;
use pb::authorize_stream_response::Outcome;
use prost::Message as _;
use prost::bytes::Bytes;
use tokio::sync::mpsc;
use tonic::{Request, Status, Streaming};

use super::server::{Client, Raw};

const METHOD: &str = "/mandate.v1.AuthorizationService/AuthorizeStream";

/// Longest time for an answer, or for the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream that is open. Its calls block.
#[derive(Debug)]
pub(crate) struct Conversation<'c> {
    client: &'c Client,
    messages: Option<mpsc::UnboundedSender<Vec<u8>>>,
    answers: Streaming<Bytes>,
}

impl<'c> Conversation<'c> {
    /// Opens a stream with these headers.
    pub(crate) fn open(client: &'c Client, headers: &[(&'static str, &str)]) -> Self {
        Self::try_open(client, headers).expect("a stream")
    }

    /// As [`Self::open`], of a server that may refuse it, or have gone.
    pub(crate) fn try_open(client: &'c Client, headers: &[(&'static str, &str)]) -> Result<Self, Status> {
        let (messages, sent) = mpsc::unbounded_channel();
        let sent =
            stream::unfold(sent, |mut sent| async { sent.recv().await.map(|message| (message, sent)) });
        let mut request = Request::new(sent);
        for (name, value) in headers {
            request.metadata_mut().insert(*name, value.parse().expect("a header"));
        }
        let answers = client.wait(async {
            let mut grpc = tonic::client::Grpc::new(client.channel());
            grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            grpc.streaming(request, METHOD.parse().expect("a path"), Raw).await
        })?;
        Ok(Self { client, messages: Some(messages), answers: answers.into_inner() })
    }

    /// Sends a question, or does nothing if the stream has ended.
    pub(crate) fn send(&self, message: &pb::AuthorizeRequest) {
        self.send_bytes(message.encode_to_vec());
    }

    /// Sends bytes as a message, whatever they are.
    pub(crate) fn send_bytes(&self, message: Vec<u8>) {
        drop(self.messages.as_ref().expect("open").send(message));
    }

    /// Says that no more will come.
    pub(crate) fn finish(&mut self) {
        self.messages = None;
    }

    /// The next answer; none at the end.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Result<Option<pb::AuthorizeStreamResponse>, Status> {
        let next = async { tokio::time::timeout(PATIENCE, self.answers.message()).await };
        let next = self.client.wait(next).expect("an answer, or the end")?;
        Ok(next.map(|bytes| pb::AuthorizeStreamResponse::decode(bytes).expect("an answer")))
    }

    /// Sends a question and returns what came of it, which must be its own.
    #[track_caller]
    pub(crate) fn ask(&mut self, message: &pb::AuthorizeRequest) -> Outcome {
        self.send(message);
        let answer = self.next().expect("the stream goes on").expect("an answer");
        assert_eq!(answer.request_id, message.request_id);
        answer.outcome.expect("an outcome")
    }

    /// As [`Self::ask`], where a decision is expected.
    #[track_caller]
    pub(crate) fn decide(&mut self, message: &pb::AuthorizeRequest) -> pb::AuthorizeResponse {
        match self.ask(message) {
            Outcome::Response(response) => response,
            Outcome::Status(status) => panic!("{status:?}"),
        }
    }
}
