//! The control listener, as an administrator uses it.

use std::fs;
use std::path::Path;

use mandate::server::pb;
use mandate::server::pb::admin_service_client::AdminServiceClient;
use serde_json::Value;
use tonic::Request;

use super::server::Client;

/// The token in a data directory.
pub(crate) fn token(data: &Path) -> String {
    fs::read_to_string(data.join("control.token")).expect("a token").trim().to_owned()
}

/// A message with this `authorization`.
pub(crate) fn bearer<T>(message: T, authorization: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", authorization.parse().expect("a header"));
    request
}

/// The status document of the service that listens here.
pub(crate) fn get_status(control: &str, data: &Path) -> Value {
    let client = Client::connect(control);
    let mut admin = AdminServiceClient::new(client.channel());
    let request = bearer(pb::GetStatusRequest {}, &format!("Bearer {}", token(data)));
    let answer = client.wait(admin.get_status(request)).expect("a status");
    serde_json::from_str(&answer.into_inner().json).expect("JSON")
}
