//! The least a gRPC server can cost: a bare tonic server that decodes the same request and gives the same answer.

use std::fs;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mandate::server::connections::together::Together;
use mandate::server::pb;
use mandate::server::pb::authorization_service_server::{AuthorizationService, AuthorizationServiceServer};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::StreamExt as _;
use tonic::codegen::BoxStream;
use tonic::transport::Server;
use tonic::transport::server::{Connected, TcpIncoming};
use tonic::{Request, Response, Status, Streaming};

use crate::Attempt;

/// Answers by the number that the request carries as its id.
#[derive(Debug, Clone)]
struct Echo {
    answers: Arc<[pb::AuthorizeResponse]>,
}

/// Writes the answers that an echo is to give, by the number of the request.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_answers(file: &Path, answers: &[pb::AuthorizeResponse]) -> Attempt<()> {
    let encoded: Vec<u8> =
        answers.iter().flat_map(pb::AuthorizeResponse::encode_length_delimited_to_vec).collect();
    Ok(fs::write(file, encoded)?)
}

fn read_answers(file: &Path) -> Attempt<Arc<[pb::AuthorizeResponse]>> {
    let bytes = fs::read(file)?;
    let mut rest = bytes.as_slice();
    let mut answers = Vec::new();
    while !rest.is_empty() {
        answers.push(pb::AuthorizeResponse::decode_length_delimited(&mut rest)?);
    }
    Ok(answers.into())
}

/// Serves answers from a file until SIGTERM, on as many threads as a server of ours would.
///
/// # Errors
/// The file cannot be read, or serving fails.
pub(crate) fn serve(file: &Path) -> Attempt<()> {
    let echo = Echo { answers: read_answers(file)? };
    let runtime = mandate::app::runtime()?;
    runtime.block_on(async {
        // Answers are single small frames, as Mandate's are.
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into())?.with_nodelay(Some(true));
        let mut terminate = signal(SignalKind::terminate())?;
        anstream::eprintln!("gRPC   {}", incoming.local_addr()?);
        let incoming = incoming.map(|stream| stream.map(|stream| Connection(Together::new(stream))));
        let stop = async {
            terminate.recv().await;
        };
        let router = Server::builder().add_service(AuthorizationServiceServer::new(echo));
        Ok(router.serve_with_incoming_shutdown(incoming, stop).await?)
    })
}

/// A connection as Mandate's are: what they spare is no decision's.
struct Connection(Together<TcpStream>);

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[tonic::async_trait]
impl AuthorizationService for Echo {
    async fn authorize(
        &self,
        request: Request<pb::AuthorizeRequest>,
    ) -> Result<Response<pb::AuthorizeResponse>, Status> {
        let number: Option<usize> = request.get_ref().request_id.parse().ok();
        let answer = number.and_then(|number| self.answers.get(number));
        let answer = answer.ok_or_else(|| Status::invalid_argument("the request has no number"))?;
        Ok(Response::new(answer.clone()))
    }

    async fn authorize_batch(
        &self,
        _request: Request<pb::AuthorizeBatchRequest>,
    ) -> Result<Response<pb::AuthorizeBatchResponse>, Status> {
        Err(Status::unimplemented("an echo answers Authorize"))
    }

    type AuthorizeStreamStream = BoxStream<pb::AuthorizeStreamResponse>;

    async fn authorize_stream(
        &self,
        _request: Request<Streaming<pb::AuthorizeRequest>>,
    ) -> Result<Response<Self::AuthorizeStreamStream>, Status> {
        Err(Status::unimplemented("an echo answers Authorize"))
    }

    async fn get_server_info(
        &self,
        _request: Request<pb::GetServerInfoRequest>,
    ) -> Result<Response<pb::GetServerInfoResponse>, Status> {
        Err(Status::unimplemented("an echo answers Authorize"))
    }
}
