use std::path::Path;

use super::*;
use crate::engine::compile::{Options, compile};
use crate::server::admission::Settings;
use crate::server::sizes::Sizes;
use crate::store::directory::{self, Folders};
use crate::telemetry::metrics::Metrics;

const MIB: u64 = 1 << 20;

fn watch() -> Watch {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [policies, schemas, entities] = ["policies", "schemas", "entities"].map(|kind| root.join(kind));
    let sources = directory::read(&Folders { policies, schemas, entities }).unwrap();
    let world = compile(&sources, &Options::default()).unwrap().world;
    let store = Arc::new(Store::remembering(world, Some(64 * MIB)));
    let settings = Settings {
        queue_delay: Duration::from_secs(1),
        deadline: Duration::from_secs(1),
        max_deadline: Duration::from_secs(1),
        sizes: Sizes { message_bytes: 1_024, batch_items: 10, batch_bytes: 1_024 },
    };
    let admission = Admission::new(settings, Arc::new(Metrics::new().unwrap()));
    Watch::new(Guarded { limit: Some(100 * MIB), store, admission, status: Arc::default() })
}

#[test]
fn near_the_limit_less_is_remembered_and_then_requests_are_turned_away() {
    let mut watch = watch();
    let begun = Instant::now();
    let mut look = |used: u64, at: u64| {
        watch.look(used * MIB, begun + Duration::from_millis(at));
        let shed = watch.guarded.admission.admit_message().is_err();
        (watch.part, watch.guarded.store.cache_limit().unwrap() / MIB, shed)
    };
    assert_eq!(look(84, 0), (1, 64, false));
    assert_eq!(look(85, 100), (2, 32, false));
    assert_eq!(look(86, 200), (2, 32, false), "what was forgotten takes a while to show");
    assert_eq!(look(86, 600), (4, 16, false));
    assert_eq!(look(96, 700), (4, 16, true), "there is no time left");
    assert_eq!(look(86, 1_200), (8, 8, false));
    assert_eq!(look(86, 1_800), (16, 4, false));
    assert_eq!(look(86, 2_400), (32, 2, false));
    assert_eq!(look(86, 3_000), (64, 1, false));
    assert_eq!(look(86, 3_600), (128, 0, false));
    assert_eq!(look(86, 4_200), (256, 0, false));
    assert_eq!(look(86, 4_800), (256, 0, true), "nothing is left to be forgotten");
    assert_eq!(look(86, 9_700), (256, 0, true));
    assert_eq!(look(86, 9_800), (256, 0, false), "it is not requests that use it");
    assert_eq!(look(85, 9_900), (256, 0, false));
    assert_eq!(look(87, 10_000), (256, 0, true), "more is used than then");
    assert_eq!(look(84, 10_100), (256, 0, false));
    assert_eq!(look(50, 11_000), (256, 0, false));
    assert_eq!(look(50, 70_000), (256, 0, false));
    assert_eq!(look(70, 70_500), (256, 0, false));
    assert_eq!(look(50, 71_000), (256, 0, false));
    assert_eq!(look(50, 131_000), (1, 64, false));
    assert_eq!(watch.guarded.status.bytes(), (50 * MIB, 100 * MIB));
    assert_eq!(watch.guarded.status.pressure(), 0);
}
