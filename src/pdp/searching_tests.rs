//! Searches as callers of the decision point have them: page by page, refused where a question would be, and recorded once.

use super::*;
use crate::audit::examples_for_tests::config;
use crate::audit::record::Surface;
use crate::audit::{AuditLog, OpenLog, Overflow, Writer};
use crate::engine::datum::{Datum, Reference};
use crate::engine::delegation::scene_for_tests::{NOW, Scene, Written};
use crate::engine::search::{Among, Named};
use crate::identity::caller::Caller;
use crate::identity::callers::Callers;
use crate::telemetry::metrics::Metrics;

/// Grants that hold whenever the test runs.
fn scene() -> Scene {
    let mut scene = Scene::allowed();
    scene.grants = scene.grants.into_iter().map(|grant| Written { expires: NOW * 2, ..grant }).collect();
    scene
}

fn pdp_over(scene: &Scene) -> Arc<Pdp> {
    recording(scene, AuditLog::off()).0
}

fn recording(scene: &Scene, OpenLog { log, writer, .. }: OpenLog) -> (Arc<Pdp>, Writer) {
    let store = Arc::new(Store::new(scene.world()));
    let callers = Arc::new(Callers::anonymous(Caller::anonymous("test")));
    (Arc::new(Pdp::new(store, log, Arc::new(Metrics::new().unwrap()), callers)), writer)
}

fn tools(scene: &Scene) -> SearchAsked {
    let mut question = scene.request();
    question.resource.id.clear();
    SearchAsked {
        asked: question.into(),
        sought: Sought::Resources(Among::Stored),
        unknown: Vec::new(),
        any_delegation: false,
        page_size: 0,
        page_token: String::new(),
    }
}

fn call(deadline: Duration) -> Call {
    let deadline = Instant::now() + deadline;
    let caller = Arc::new(Caller::anonymous("test"));
    Call { caller, surface: Surface::Grpc, request_id: "r".into(), deadline, origin: None, trace: None }
}

async fn ask(pdp: &Arc<Pdp>, asked: SearchAsked) -> Result<SearchAnswer, Refused> {
    pdp.search(&call(Duration::from_secs(60)), Ok(asked)).await
}

fn ids(answer: &SearchAnswer) -> Vec<&str> {
    answer.page.found.iter().map(|found| found.uid.id().unescaped()).collect()
}

fn field(refused: Result<SearchAnswer, Refused>) -> String {
    refused.unwrap_err().field().to_owned()
}

#[tokio::test]
async fn pages_follow_each_other_and_their_tokens_are_of_one_search() {
    let scene = scene();
    let pdp = pdp_over(&scene);
    assert_eq!(ids(&ask(&pdp, tools(&scene)).await.unwrap()), ["t1", "t2"]);
    let first = ask(&pdp, SearchAsked { page_size: 1, ..tools(&scene) }).await.unwrap();
    assert_eq!(ids(&first), ["t1"]);
    let token = first.next_page_token;
    let turned = |asked: SearchAsked| SearchAsked { page_size: 1, page_token: token.clone(), ..asked };
    let second = ask(&pdp, turned(tools(&scene))).await.unwrap();
    assert_eq!(ids(&second), ["t2"]);
    // Another question, a token of another server, an altered one, and a page that is too large.
    let mut other = tools(&scene);
    other.asked.question.context.pop();
    assert_eq!(field(ask(&pdp, turned(other)).await), "page_token");
    assert_eq!(field(ask(&pdp_over(&scene), turned(tools(&scene))).await), "page_token");
    let altered = SearchAsked { page_token: format!("x{token}"), ..tools(&scene) };
    assert_eq!(field(ask(&pdp, altered).await), "page_token");
    let large = SearchAsked { page_size: MAX_PAGE + 1, ..tools(&scene) };
    assert_eq!(field(ask(&pdp, large).await), "page_size");
}

#[tokio::test]
async fn what_is_wrong_with_every_question_is_wrong_with_the_search() {
    let scene = scene();
    let pdp = pdp_over(&scene);
    let mut asked = tools(&scene);
    asked.asked.question.context.remove(0);
    assert_eq!(field(ask(&pdp, asked).await), "context.session");
    let mut asked = tools(&scene);
    asked.asked.question.resource.type_name = "Mandate::Nothing".into();
    assert_eq!(field(ask(&pdp, asked).await), "resource.type");
    let asked = SearchAsked { unknown: vec!["now".into()], ..tools(&scene) };
    assert_eq!(field(ask(&pdp, asked).await), "unknown");
    let mut asked = tools(&scene);
    asked.asked.minimum_revision = "x".into();
    assert_eq!(field(ask(&pdp, asked).await), "consistency.minimum_revision");
}

#[tokio::test]
async fn candidates_are_asked_about_with_what_is_known_of_each() {
    let scene = scene();
    let pdp = pdp_over(&scene);
    let touching = |id: &str, data: &str| {
        let data = Datum::Entity(Reference::new("Mandate::Data", data));
        Named { id: id.into(), context: vec![("touches".into(), Datum::List(vec![data]))] }
    };
    let named =
        vec![touching("t2", "d1"), touching("t1", "d9"), Named { id: "t9".into(), context: Vec::new() }];
    let asked = |named| SearchAsked { sought: Sought::Resources(Among::Named(named)), ..tools(&scene) };
    let answer = ask(&pdp, asked(named)).await.unwrap();
    assert_eq!(ids(&answer), ["t2"], "no grant covers d9, and there is no t9");
    assert_eq!(answer.page.examined, 3);
    let twice = vec![touching("t1", "d1"), touching("t1", "d9")];
    assert_eq!(field(ask(&pdp, asked(twice)).await), "candidates[1].id");
    let many =
        (0..=crate::engine::search::MAX_NAMED).map(|id| Named { id: id.to_string(), context: Vec::new() });
    assert_eq!(field(ask(&pdp, asked(many.collect())).await), "candidates");
}

#[tokio::test]
async fn a_member_that_is_unknown_makes_what_is_found_possible() {
    let scene = scene();
    let pdp = pdp_over(&scene);
    let mut asked = SearchAsked { unknown: vec!["touches".into()], ..tools(&scene) };
    asked.asked.question.context.retain(|(name, _)| name != "touches");
    let answer = ask(&pdp, asked).await.unwrap();
    assert_eq!(ids(&answer), ["t1", "t2"]);
    assert!(answer.page.found.iter().all(|found| found.certainty == Certainty::Possible));
}

#[tokio::test]
async fn nobody_waits_longer_than_the_deadline() {
    let scene = scene();
    let pdp = pdp_over(&scene);
    let late = pdp.search(&call(Duration::ZERO), Ok(tools(&scene))).await;
    assert_eq!(late.unwrap_err(), Refused::Late);
}

#[tokio::test]
async fn a_search_leaves_one_record_and_so_does_a_refused_one() {
    let (scene, folder) = (scene(), tempfile::tempdir().unwrap());
    let log = AuditLog::open(&config(folder.path(), 100, Overflow::Block)).unwrap();
    let (pdp, writer) = recording(&scene, log);
    let before = pdp.audit.counts().issued;
    ask(&pdp, tools(&scene)).await.unwrap();
    assert_eq!(pdp.audit.counts().issued, before + 1);
    ask(&pdp, SearchAsked { page_size: MAX_PAGE + 1, ..tools(&scene) }).await.unwrap_err();
    assert_eq!(pdp.audit.counts().issued, before + 2);
    let counts = writer.shutdown(Duration::from_secs(60));
    assert_eq!(counts.written, counts.issued);
}
