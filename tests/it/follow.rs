//! Followers: what they serve is what their primary serves, for as long as that can be proven.

mod leases;
mod primaries;
mod refusals;
mod states;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use mandate::config::{Config, FollowConfig, Overrides};
use mandate::server::pb;
use serde_json::Value;
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::support::{Sources, TestServer, get, get_status, is_allow};

/// Longer than anything here may take, however busy the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server's configuration, whose followers need not hurry.
pub(crate) fn leading(sources: &Sources) -> Config {
    let mut config = sources.restless_config();
    config.lease = PATIENCE;
    config
}

/// The configuration of a follower of whoever has this URL and this token.
pub(crate) fn following(primary: &str, token: PathBuf) -> Config {
    let mut config = Config::load(None, Overrides::default()).expect("a configuration");
    config.follow = Some(FollowConfig {
        primary: primary.to_owned(),
        ca_file: None,
        server_name: None,
        shown: None,
        token_file: Some(token),
    });
    config
}

/// Where a server of this process keeps its token.
pub(crate) fn token_of(server: &TestServer) -> PathBuf {
    server.folder.path().join("data/control.token")
}

/// A follower of a server, which is current.
pub(crate) fn follower_of(primary: &TestServer) -> TestServer {
    let follower = TestServer::with_config(&following(&primary.control, token_of(primary)));
    until_current(&follower);
    follower
}

#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: it never comes to that");
        thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
pub(crate) fn until_current(follower: &TestServer) {
    until("current", || is_ready(follower));
}

pub(crate) fn is_ready(server: &TestServer) -> bool {
    get(&format!("{}/readyz", server.ops)).status == 200
}

/// What a follower says of its primary.
pub(crate) fn status_of(follower: &TestServer) -> Value {
    let status = get_status(&follower.control, &data_of(follower));
    status["following"].clone()
}

pub(crate) fn data_of(server: &TestServer) -> PathBuf {
    server.folder.path().join("data")
}

/// The one word that a refusal says to machines.
pub(crate) fn reason_of(refused: &Status) -> String {
    refused.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// Whether a question is allowed; a refusal is not.
pub(crate) fn allows(server: &TestServer, request: pb::AuthorizeRequest) -> bool {
    server.authorize(request).is_ok_and(|answer| is_allow(&answer))
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            std::fs::copy(&path, &copied).expect("copied");
        }
    }
}
