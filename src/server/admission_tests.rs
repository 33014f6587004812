use std::convert::Infallible;
use std::future::{Ready, ready};

use axum::http::Request;
use hyper::service::Service;

use super::crowd::ENOUGH;
use super::peers::FEW_OF_A_PEER;
use super::*;

fn settings() -> Settings {
    Settings {
        queue_delay: Duration::from_millis(5),
        deadline: Duration::from_secs(3),
        max_deadline: Duration::from_secs(7),
        sizes: Sizes { message_bytes: 1_024, batch_items: 10, batch_bytes: 1_024 },
    }
}

fn admission(settings: Settings) -> Arc<Admission> {
    Admission::new(settings, Arc::new(Metrics::new().unwrap()))
}

/// Takes the arrival out of a request.
struct Taking;

impl Service<Request<()>> for Taking {
    type Response = Arrival;
    type Error = Infallible;
    type Future = Ready<Result<Arrival, Infallible>>;

    fn call(&self, mut request: Request<()>) -> Self::Future {
        ready(Ok(Arrival::of(&mut request)))
    }
}

fn connection(admission: &Arc<Admission>) -> Arriving<Taking> {
    connection_from(admission, 1)
}

/// A connection of another peer.
fn connection_from(admission: &Arc<Admission>, last: u8) -> Arriving<Taking> {
    Arriving::new(Taking, Some([192, 0, 2, last].into()), Some(Arc::clone(admission)))
}

/// Requests that have arrived over a connection, and nobody has looked at.
fn ask(connection: &Arriving<Taking>, requests: usize) -> Vec<Arrival> {
    (0..requests).map(|_| connection.call(Request::new(())).into_inner().unwrap()).collect()
}

/// The same, over a connection of their own.
fn arrive(admission: &Arc<Admission>, requests: usize) -> Vec<Arrival> {
    ask(&connection(admission), requests)
}

/// Has requests wait so long, again and again, until some are turned away.
async fn overload(admission: &Arc<Admission>, waiting: usize) -> Option<Shed> {
    for _ in 0..60 {
        let arrivals = arrive(admission, waiting);
        tokio::time::sleep(Duration::from_millis(8)).await;
        for arrival in arrivals {
            if let Err(shed) = admission.admit(&arrival, None) {
                return Some(shed);
            }
        }
    }
    None
}

#[tokio::test]
async fn a_standing_queue_is_shed_and_a_few_that_wait_for_a_processor_are_not() {
    let admission = admission(settings());
    assert_eq!(overload(&admission, FEW / 2).await, None);
    assert_eq!(overload(&admission, 4 * FEW).await, Some(Shed::Delay));
    assert_eq!(admission.crowd.waiting(), 0, "those that were dropped wait no more");
    // Who comes just now is let in unless there are enough already, and who will not wait is not kept waiting.
    let mut arrivals = arrive(&admission, 2 * FEW).into_iter();
    assert!(admission.admit(&arrivals.next().unwrap(), None).is_ok());
    let soon = Some(Instant::now());
    assert_eq!(admission.admit(&arrivals.next().unwrap(), soon).unwrap_err(), Shed::Deadline);
    assert_eq!(
        admission.admit(&arrivals.nth(FEW_OF_A_PEER + ENOUGH).unwrap(), None).unwrap_err(),
        Shed::Delay
    );
}

#[tokio::test]
async fn who_asks_one_thing_at_a_time_is_let_in_before_who_asks_a_thousand() {
    let admission = admission(settings());
    assert_eq!(overload(&admission, 4 * FEW).await, Some(Shed::Delay));
    let modest = connection(&admission);
    let flood = arrive(&admission, 1_000);
    let one = ask(&modest, 1).pop().unwrap();
    tokio::time::sleep(Duration::from_millis(8)).await;
    let soon = Some(Instant::now());
    let late = flood.iter().filter(|arrival| admission.admit(arrival, None).is_ok()).count();
    // When the first of them came few others waited; one of the others is let in for nine such, of which two are saved up.
    assert!((FEW_OF_A_PEER..=FEW_OF_A_PEER + 4).contains(&late), "{late}");
    let _others = arrive(&admission, 2 * FEW);
    assert_eq!(admission.admit(&one, None), Ok(()));
    // Until that is answered, whatever else its connection asks is one of many.
    assert_eq!(admission.admit(&ask(&modest, 1).pop().unwrap(), None), Err(Shed::Delay));
    drop(one);
    let next = ask(&modest, 1).pop().unwrap();
    assert_eq!(admission.admit(&next, soon), Err(Shed::Deadline), "an answer would come too late");
    drop(next);
    assert_eq!(admission.admit(&ask(&modest, 1).pop().unwrap(), None), Ok(()));
}

#[tokio::test]
async fn a_peer_that_asks_little_is_let_in_before_one_that_asks_a_thousand() {
    let admission = admission(settings());
    assert_eq!(overload(&admission, 4 * FEW).await, Some(Shed::Delay));
    let _flood = arrive(&admission, 1_000);
    // Over one connection, and none of them alone.
    let modest = ask(&connection_from(&admission, 2), FEW_OF_A_PEER + 1);
    tokio::time::sleep(Duration::from_millis(8)).await;
    let turned_away = modest.iter().filter(|arrival| admission.admit(arrival, None).is_err());
    assert_eq!(turned_away.count(), 1, "but for what is more than a little");
    // The flood is of one peer, over however many connections.
    let more: Vec<_> = (0..2).flat_map(|_| ask(&connection(&admission), 2)).collect();
    tokio::time::sleep(Duration::from_millis(8)).await;
    let let_in = more.iter().filter(|arrival| admission.admit(arrival, None).is_ok());
    assert!(let_in.count() < 4);
}

#[test]
fn memory_that_is_used_up_lets_nobody_in() {
    let admission = admission(settings());
    admission.set_memory_used_up(true);
    let mut arrivals = arrive(&admission, 2);
    assert_eq!(arrivals[0].origin(), Some([192, 0, 2, 1].into()));
    assert_eq!(admission.admit(&arrivals.pop().unwrap(), None).unwrap_err(), Shed::Memory);
    assert_eq!(admission.admit_message(), Err(Shed::Memory));
    admission.set_memory_used_up(false);
    assert!(admission.admit(&arrivals.pop().unwrap(), None).is_ok());
    assert_eq!(admission.admit_message(), Ok(()));
}

#[test]
fn every_request_has_an_end() {
    let admission = admission(settings());
    let span = |seconds: Option<u64>| admission.span(seconds.map(Duration::from_secs)).as_secs();
    assert_eq!((span(None), span(Some(1)), span(Some(9))), (3, 1, 7));
}
