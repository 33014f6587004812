//! Callers that take calls back, as they may: they keep their connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use mandate::server::pb::authorization_service_client::AuthorizationServiceClient;
use tokio::net::TcpStream;
use tonic::transport::Endpoint;

use super::view;
use crate::support::{Sources, TestServer, is_allow};

/// How many calls are under way at once.
const TOGETHER: usize = 50;

/// Takes back so many calls, and says how many connections that took.
pub(crate) async fn cancel(address: &str, count: usize) -> usize {
    let (opened, counted) = (Arc::new(AtomicUsize::new(0)), address.trim_start_matches("http://").to_owned());
    let opening = Arc::clone(&opened);
    let connector = tower::service_fn(move |_uri| {
        opening.fetch_add(1, Ordering::Relaxed);
        let address = counted.clone();
        async move { TcpStream::connect(address).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_shared(address.to_owned()).unwrap().connect_with_connector(connector).await;
    let service = AuthorizationServiceClient::new(channel.unwrap());
    let mut cancelled = 0;
    for turn in 0.. {
        let call = || {
            let mut service = service.clone();
            tokio::spawn(async move { service.authorize(view()).await })
        };
        let calls: Vec<_> = (0..TOGETHER).map(|_| call()).collect();
        // Some are taken back before they are sent, some on their way, some once they are answered.
        tokio::time::sleep(Duration::from_micros(100 * (turn % 20))).await;
        for call in &calls {
            call.abort();
        }
        for call in calls {
            match call.await {
                Err(taken_back) if taken_back.is_cancelled() => cancelled += 1,
                answered => assert!(is_allow(answered.unwrap().unwrap().get_ref())),
            }
        }
        if cancelled >= count {
            break;
        }
    }
    let answered = service.clone().authorize(view()).await.unwrap();
    assert!(is_allow(answered.get_ref()));
    opened.load(Ordering::Relaxed)
}

#[test]
fn calls_that_are_taken_back_cost_no_connection() {
    let server = TestServer::start(&Sources::small());
    let address = server.data.clone();
    let cancelling = server.client().spawn(async move { cancel(&address, 2_000).await });
    assert_eq!(server.client().wait(cancelling).unwrap(), 1);
}
