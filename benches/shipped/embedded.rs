//! The shipped world behind a decision point in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mandate::app::Embedded;
use mandate::audit::record::Surface;
use mandate::config::{Config, LogMode, Overrides};
use mandate::identity::caller::Caller;
use mandate::pdp::Call;
use mandate::store::directory::Folders;

/// A decision point that keeps what it must in a folder of its own, and its log in another, if it has one. Nothing else goes on in
/// it: no files are watched, and no decisions are made once more.
pub(crate) fn embedded(folder: &Path, log: Option<&Path>) -> Embedded {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut config = Config::load(None, Overrides::default()).unwrap();
    config.folders = Folders {
        policies: root.join("policies"),
        schemas: root.join("schemas"),
        entities: root.join("entities"),
    };
    config.data_directory = folder.join("data");
    config.check_one_in = None;
    config.verify_one_in = None;
    config.reload.watch = false;
    config.log.directory = log.map_or_else(|| folder.join("log"), Path::to_path_buf);
    config.log.notary.key = folder.join("log.key");
    config.log.mode = if log.is_some() { LogMode::Async } else { LogMode::Off };
    Embedded::start(&config, "benchmark").unwrap()
}

/// A call that has a second.
pub(crate) fn call() -> Call {
    Call {
        caller: Arc::new(Caller::anonymous("benchmark")),
        surface: Surface::Grpc,
        request_id: String::new(),
        deadline: Instant::now() + Duration::from_secs(1),
        origin: None,
        trace: None,
    }
}
