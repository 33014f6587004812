//! Calls that nobody looked at.

use std::error::Error;
use std::iter;

use h2::Reason;
use tonic::Status;

/// Whether a call certainly was not looked at, so that asking again asks once: it was never sent, or the server refused its
/// stream or said goodbye before it (RFC 9113 §6.8, §8.7), as it does when a connection comes to its age. gRPC calls it a
/// *transparent retry*, and `tonic` leaves that to whoever asks.
pub(super) fn is_unprocessed(status: &Status) -> bool {
    causes(status).any(|cause| {
        cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
            || cause.downcast_ref::<h2::Error>().is_some_and(is_before_it)
    })
}

/// What one thing came of, from the nearest on.
fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    iter::successors(status.source(), cause_of)
}

fn cause_of<'e>(thing: &&'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    Error::source(*thing)
}

fn is_before_it(error: &h2::Error) -> bool {
    error.is_remote()
        && match error.reason() {
            Some(Reason::REFUSED_STREAM) => error.is_reset(),
            Some(Reason::NO_ERROR) => error.is_go_away(),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use h2::Reason;
    use http::{HeaderMap, Response};
    use prost::Message as _;
    use tokio::net::TcpListener;
    use tonic::Code;
    use tonic::transport::Endpoint;

    use crate::proxy::decider::{Decider, Remote};
    use crate::server::pb;

    /// A server that resets the streams of its first calls for these reasons, and answers those after; how many there were.
    async fn serve(listener: TcpListener, reasons: Vec<Reason>) -> usize {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (mut reasons, mut calls) = (reasons.into_iter(), 0);
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            calls += 1;
            match reasons.next() {
                Some(reason) => respond.send_reset(reason),
                None => {
                    let head = Response::builder().header("content-type", "application/grpc");
                    let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
                    let answer = pb::AuthorizeResponse { request_id: "r".into(), ..Default::default() };
                    let length = u32::try_from(answer.encoded_len()).unwrap();
                    let framed = [&[0], &length.to_be_bytes()[..], &answer.encode_to_vec()].concat();
                    body.send_data(Bytes::from(framed), false).unwrap();
                    let trailers: HeaderMap =
                        [("grpc-status".parse().unwrap(), "0".parse().unwrap())].into_iter().collect();
                    body.send_trailers(trailers).unwrap();
                }
            }
        }
        calls
    }

    /// What comes of asking a server that resets streams for these reasons, and how often it was asked.
    async fn asked(reasons: &[Reason]) -> (Result<String, Code>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(serve(listener, reasons.to_vec()));
        let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
        let decider = Decider::Remote(Box::new(Remote::new(channel, Duration::from_secs(5))));
        let answered = decider.authorize(pb::AuthorizeRequest::default()).await;
        drop(decider);
        let answered = answered.map(|answer| answer.request_id).map_err(|status| status.code());
        (answered, server.await.unwrap())
    }

    #[tokio::test]
    async fn what_nobody_looked_at_is_asked_once_more_and_nothing_else_is() {
        let answer = || Ok("r".to_owned());
        assert_eq!(asked(&[]).await, (answer(), 1));
        assert_eq!(asked(&[Reason::REFUSED_STREAM]).await, (answer(), 2));
        let (refused, calls) = asked(&[Reason::REFUSED_STREAM; 3]).await;
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(calls, 2, "once more, and not again and again");
        for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::ENHANCE_YOUR_CALM] {
            let (answered, calls) = asked(&[reason]).await;
            assert!(answered.is_err(), "{reason:?}");
            assert_eq!(calls, 1, "somebody may have looked at it: {reason:?}");
        }
    }
}
