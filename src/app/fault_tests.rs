//! A defect in one place: what it takes down, and what it must not. The real service on free ports, real gRPC.

use std::path::Path;
use std::time::Duration;

use tonic::Code;
use tonic::transport::Channel;

use super::*;
use crate::audit::faults_for_tests::DEADLY;
use crate::config::Overrides;
use crate::pdp::PANIC_IN_EVALUATION;
use crate::server::pb;
use crate::server::pb::authorization_service_client::AuthorizationServiceClient;
use crate::store::loader::Command;

/// How long a service may take to notice that a part of it has ended.
const PATIENCE: Duration = Duration::from_secs(10);

struct Service {
    client: AuthorizationServiceClient<Channel>,
    metrics: Arc<Metrics>,
    report: ServiceReport,
    readiness: Readiness,
    commands: crate::store::loader::Commands,
    serving: tokio::task::JoinHandle<Result<(), StartError>>,
    stop: tokio::sync::mpsc::Sender<Stop>,
    _data: tempfile::TempDir,
}

async fn serve() -> Service {
    let data = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let overrides = Overrides {
        policies: Some(root.join("policies")),
        schemas: Some(root.join("schemas")),
        entities: Some(root.join("entities")),
        emergency: Some(data.path().join("emergency")),
        data_directory: Some(data.path().join("data")),
        ..Overrides::default()
    };
    let config = Config { listen: Listen::free(), ..Config::load(None, overrides).unwrap() };
    let bound = bind(&config).await.unwrap();
    let address = format!("http://{}", bound.addresses.data);
    let (metrics, report) = (Arc::clone(&bound.metrics), bound.report.clone());
    let (readiness, commands) = (bound.readiness.clone(), bound.loader().commands.clone());
    let (stop, stops) = tokio::sync::mpsc::channel(1);
    let serving = tokio::spawn(bound.run(stops));
    let client = AuthorizationServiceClient::connect(address).await.unwrap();
    Service { client, metrics, report, readiness, commands, serving, stop, _data: data }
}

fn question(principal: &str) -> pb::AuthorizeRequest {
    let reference =
        |r#type: &str, id: &str| Some(pb::EntityRef { r#type: r#type.to_owned(), id: id.to_owned() });
    pb::AuthorizeRequest {
        request_id: "r".to_owned(),
        principal: reference("Mandate::User", principal),
        action: reference("", "list_tools"),
        resource: reference("Mandate::ToolServer", "github"),
        ..pb::AuthorizeRequest::default()
    }
}

impl Service {
    fn metrics(&self) -> String {
        self.metrics.render(|| self.report.observed()).unwrap()
    }

    /// Fails unless the service ends by itself, and says that this has ended.
    async fn check_ends(self, what: &str) {
        let ended = tokio::time::timeout(PATIENCE, self.serving).await.expect("it notices").unwrap();
        let Err(StartError::Ended(ended)) = ended else { panic!("it ended with {ended:?}") };
        assert_eq!(ended, what);
        assert!(!self.readiness.get(), "it is ready without {what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_evaluation_is_that_questions_internal_error_and_nobody_elses() {
    let mut service = serve().await;
    let mut others = service.client.clone();
    // On the same connection, all the time: a panic that took the connection down would fail these.
    let background = tokio::spawn(async move {
        for _ in 0..200 {
            // The context that the schema requires is missing: an answer of its own, and no failure of the service.
            assert_eq!(others.authorize(question("ana")).await.unwrap_err().code(), Code::InvalidArgument);
        }
    });
    for _ in 0..20 {
        let status = service.client.authorize(question(PANIC_IN_EVALUATION)).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{status:?}");
        assert!(!status.message().contains(PANIC_IN_EVALUATION), "{status:?}");
    }
    background.await.unwrap();
    let request = pb::AuthorizeBatchRequest {
        defaults: None,
        requests: vec![question("ana"), question(PANIC_IN_EVALUATION), question("ana")],
    };
    let results = service.client.authorize_batch(request).await.unwrap().into_inner().results;
    let code = |result: &pb::AuthorizeResult| match result.outcome.as_ref() {
        Some(pb::authorize_result::Outcome::Status(status)) => Code::from(status.code),
        _ => Code::Ok,
    };
    let codes: Vec<_> = results.iter().map(code).collect();
    assert_eq!(codes, [Code::InvalidArgument, Code::Internal, Code::InvalidArgument]);
    let messages = tokio_stream::iter([question("ana"), question(PANIC_IN_EVALUATION), question("ana")]);
    let mut answers = service.client.authorize_stream(messages).await.unwrap().into_inner();
    let mut streamed = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        assert!(matches!(answer.outcome, Some(pb::authorize_stream_response::Outcome::Status(_))));
        streamed += 1;
    }
    assert_eq!(streamed, 3);
    let metrics = service.metrics();
    assert!(metrics.contains("pdp_panics_total 22\n"), "{metrics}");
    let counts = service.report.audit.counts();
    assert_eq!(counts.issued, 200 + 20 + 3 + 3);
    service.stop.try_send(Stop::AtOnce).unwrap();
    service.serving.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_that_panics_ends_the_service() {
    let service = serve().await;
    while !service.readiness.get() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(service.commands.send(Command::Panic));
    service.check_ends("what keeps policies and entities up to date").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_writer_that_panics_ends_the_service() {
    let mut service = serve().await;
    let request = pb::AuthorizeRequest { request_id: DEADLY.to_owned(), ..question("ana") };
    drop(service.client.authorize(request).await);
    service.check_ends("the writer of the decision log").await;
}
