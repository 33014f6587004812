//! A running server, and the two ways in: its own door, and gRPC.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mandate::app::{self, StartError, Stop};
use mandate::audit::record::Surface;
use mandate::config::{Config, Listen, LogMode, Overrides};
use mandate::engine::request::AuthzRequest;
use mandate::engine::world::World;
use mandate::identity::caller::Caller;
use mandate::pdp::{Answer, Asked, Call, Pdp};
use mandate::server::pb;
use mandate::server::pb::authorization_service_client::AuthorizationServiceClient;
use mandate::server::pb::authorize_request::ContextForm;
use mandate::store::Published;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use super::Attempt;
use super::bundle::Case;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the server starts with; nobody asks it about that.
const SOURCES: [(&str, &str); 3] = [
    (
        "schemas/first.cedarschema",
        "namespace Mandate { entity User; action see appliesTo { principal: User, resource: User }; }",
    ),
    ("policies/first.cedar", "@id(\"first\") permit (principal, action, resource);"),
    ("entities/first.json", "[]"),
];

/// A server on free ports of this process.
#[derive(Debug)]
pub(crate) struct Service {
    pdp: Arc<Pdp>,
    client: AuthorizationServiceClient<Channel>,
    stop: mpsc::Sender<Stop>,
    serving: JoinHandle<Result<(), StartError>>,
    _folder: TempDir,
}

impl Service {
    /// Starts it, on a runtime of [`app::runtime`].
    pub(crate) async fn start() -> Attempt<Self> {
        let folder = tempfile::tempdir()?;
        for (name, text) in SOURCES {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap_or(folder.path()))?;
            fs::write(file, text)?;
        }
        let within = |name: &str| Some(folder.path().join(name));
        let mut config = Config::load(
            None,
            Overrides {
                policies: within("policies"),
                schemas: within("schemas"),
                entities: within("entities"),
                emergency: within("emergency"),
                data_directory: within("data"),
                ..Overrides::default()
            },
        )?;
        config.listen = Listen::free();
        config.log.mode = LogMode::Off;
        config.reload.watch = false;
        config.reload.poll = Duration::from_secs(24 * 60 * 60);
        let bound = app::bind(&config).await?;
        let pdp = Arc::clone(&bound.pdp);
        let address = format!("http://{}", bound.addresses.data);
        let (stop, stops) = mpsc::channel(1);
        let serving = tokio::spawn(bound.run(stops));
        let client = AuthorizationServiceClient::connect(address).await?;
        Ok(Self { pdp, client, stop, serving, _folder: folder })
    }

    /// Serves this world from now on.
    pub(crate) fn publish(&self, world: World) -> Arc<Published> {
        self.pdp.store().publish(world);
        self.pdp.current()
    }

    /// Asks the server's own door.
    pub(crate) async fn ask(&self, request: &AuthzRequest) -> Result<Answer, String> {
        let deadline = Instant::now() + PATIENCE;
        let caller = Arc::new(Caller::anonymous("conformance"));
        let (surface, request_id) = (Surface::Grpc, String::new());
        let call = Call { caller, surface, request_id, deadline, origin: None, trace: None };
        let asked = Ok(Asked::from(request.clone()));
        self.pdp.authorize(&call, asked).await.map_err(|refused| format!("{refused:?}"))
    }

    /// Asks over gRPC.
    pub(crate) async fn call(
        &self,
        case: &Case,
        bypass_cache: bool,
    ) -> Result<pb::AuthorizeResponse, String> {
        let entity = |reference: &mandate::engine::datum::Reference| {
            Some(pb::EntityRef { r#type: reference.type_name.clone(), id: reference.id.clone() })
        };
        let request = pb::AuthorizeRequest {
            principal: entity(&case.principal),
            action: entity(&case.action),
            resource: entity(&case.resource),
            context_form: Some(ContextForm::ContextJson(case.context.clone())),
            consistency: Some(pb::Consistency { bypass_cache, ..pb::Consistency::default() }),
            ..pb::AuthorizeRequest::default()
        };
        let answer = self.client.clone().authorize(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| format!("{status}"))
    }

    /// Stops it.
    pub(crate) async fn stop(self) -> Attempt<()> {
        self.stop.send(Stop::AtOnce).await?;
        Ok(self.serving.await??)
    }
}
