//! A follower that is cut off from its primary, that hears everything late, or that is frozen and thawed: no Allow later than a lease after
//! what forbids it was acknowledged.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use mandate::server::pb;
use nix::sys::signal::Signal;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::Finding;
use crate::delegation::list_issues;
use crate::entity_log::Admin;
use crate::support::{Client, Link, Process, Sources, get, is_allow, repository};

const LEASE: Duration = Duration::from_secs(2);
/// How long callers wait for an answer. One that had been given when its process froze is on its way when it thaws, and nothing but its caller's
/// deadline keeps it from being heard.
const DEADLINE: Duration = Duration::from_secs(1);
/// Grants that are asked about at a time, and revoked one by one.
const GRANTS: usize = 400;
const ASKING: usize = 4;

/// What happens to a follower.
#[derive(Debug, Clone, Copy)]
enum Hurt {
    Cut,
    Lost,
    Late,
    Frozen,
}

/// One answer that could have been old.
struct Answer {
    grant: usize,
    asked: Instant,
    came: Instant,
    allowed: bool,
}

struct Scene {
    sources: Sources,
    primary: Process,
    link: Link,
    follower: Process,
    _own: Sources,
}

impl Scene {
    /// The shipped sources, with many grants from the planner to the worker, and a follower behind a link.
    fn new() -> Self {
        let shipped = repository();
        let sources = Sources::empty();
        for kind in ["policies", "schemas", "entities"] {
            crate::follow::copy(&shipped.join(kind), &sources.path(kind));
        }
        sources
            .put("entities/many.json", serde_json::to_vec(&many(&shipped.join("entities"))).expect("JSON"));
        let lease = format!("MANDATE__FOLLOWERS__LEASE={}ms", LEASE.as_millis());
        let primary = Process::try_start_with(&sources, &[&lease]).expect("a primary");
        let (link, own) = (Link::to(&primary.control), Sources::empty());
        let token = sources.path("data/control.token").display().to_string();
        let follower = Process::follow(&own, &link.url(), &token, &[]);
        let scene = Self { sources, primary, link, follower, _own: own };
        scene.recover();
        scene
    }

    fn hurt(&self, how: Hurt) {
        match how {
            Hurt::Cut => self.link.cut(),
            Hurt::Lost => self.link.stop(),
            Hurt::Late => self.link.delay(LEASE * 2),
            Hurt::Frozen => self.follower.signal(Signal::SIGSTOP),
        }
    }

    fn heal(&self, how: Hurt) {
        match how {
            Hurt::Frozen => self.follower.signal(Signal::SIGCONT),
            Hurt::Cut | Hurt::Lost | Hurt::Late => self.link.mend(),
        }
    }

    fn recover(&self) {
        crate::follow::until("current", || get(&format!("{}/readyz", self.follower.ops)).status == 200);
    }
}

/// Grants like `planner-worker`, by other names.
fn many(entities: &std::path::Path) -> Vec<serde_json::Value> {
    let files = std::fs::read_dir(entities).expect("entities").map(|file| file.expect("a file").path());
    let read = |path: std::path::PathBuf| -> Vec<serde_json::Value> {
        serde_json::from_slice(&std::fs::read(path).expect("a file")).unwrap_or_default()
    };
    let grant = files.flat_map(read).find(|entity| entity["uid"]["id"] == "planner-worker").expect("stored");
    let named = |number: usize| {
        let mut grant = grant.clone();
        grant["uid"]["id"] = format!("pw-{number}").into();
        grant
    };
    (0..GRANTS).map(named).collect()
}

fn question(grant: usize) -> pb::AuthorizeRequest {
    list_issues(&[&format!("pw-{grant}")])
}

/// Asks the follower until it is over, about grants near the one that is revoked next.
fn ask(address: &str, seed: u64, over: &AtomicBool, next: &AtomicUsize, well: &AtomicBool, seen: &Seen) {
    let client = Client::connect(address);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    while !over.load(Ordering::SeqCst) {
        let around = next.load(Ordering::SeqCst);
        let grant = random.random_range(around.saturating_sub(6)..(around + 3).min(GRANTS));
        let was_well = well.load(Ordering::SeqCst);
        let mut request = tonic::Request::new(question(grant));
        request.set_timeout(DEADLINE);
        let asked = Instant::now();
        let answer = client.authorize(request);
        let came = Instant::now();
        if answer.is_err() && was_well && well.load(Ordering::SeqCst) {
            seen.failed.fetch_add(1, Ordering::SeqCst);
        }
        let allowed = answer.as_ref().is_ok_and(is_allow);
        if let Ok(_answer) = answer {
            seen.answers.lock().expect("nobody panicked").push(Answer { grant, asked, came, allowed });
        } else {
            seen.refused.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

#[derive(Default)]
struct Seen {
    answers: Mutex<Vec<Answer>>,
    refused: AtomicUsize,
    failed: AtomicUsize,
}

#[test]
#[ignore = "make faults"]
fn no_allow_outlives_the_lease_of_what_it_rests_on() {
    let scene = Scene::new();
    let admin = Admin::of_process(&scene.primary, &scene.sources);
    let (over, next, well) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicBool::new(true));
    let (seen, revoked) = (Seen::default(), RwLock::new(HashMap::new()));
    let rounds = std::env::var("MANDATE_FREEZES").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(9);
    let revoke = |count: usize| {
        for _ in 0..count {
            let grant = next.load(Ordering::SeqCst);
            admin.revoke(&format!("pw-{grant}")).expect("revoked");
            revoked.write().expect("nobody panicked").insert(grant, Instant::now());
            next.fetch_add(1, Ordering::SeqCst);
        }
    };
    thread::scope(|scope| {
        for seed in 0..ASKING {
            let address = scene.follower.data.clone();
            let (over, next, well, seen) = (&over, &next, &well, &seen);
            scope.spawn(move || ask(&address, seed as u64, over, next, well, seen));
        }
        for _ in 0..rounds {
            for how in [Hurt::Cut, Hurt::Lost, Hurt::Late, Hurt::Frozen] {
                // All is well: what is revoked is known at once, and nobody is refused.
                revoke(3);
                thread::sleep(Duration::from_millis(500));
                well.store(false, Ordering::SeqCst);
                scene.hurt(how);
                for _ in 0..3 {
                    thread::sleep(LEASE.mul_f64(random.random_range(0.1..0.7)));
                    revoke(2);
                }
                scene.heal(how);
                scene.recover();
                // What was late may still be so.
                thread::sleep(LEASE);
                scene.recover();
                well.store(true, Ordering::SeqCst);
            }
        }
        over.store(true, Ordering::SeqCst);
    });
    let revoked = revoked.into_inner().expect("nobody panicked");
    let answers = seen.answers.into_inner().expect("nobody panicked");
    // How long after the revocation an Allow was asked for, and heard.
    let after = |answer: &Answer| {
        let at = revoked.get(&answer.grant).filter(|_| answer.allowed)?;
        Some((answer.asked.saturating_duration_since(*at), answer.came.checked_duration_since(*at)?))
    };
    let late: Vec<_> = answers.iter().filter_map(after).collect();
    // Nobody allows what is asked for later than a lease after; nobody hears an Allow that was given before for longer than he waits.
    let is_stale = |(asked, came): &&(Duration, Duration)| *asked > LEASE || *came > LEASE + DEADLINE;
    let stale = late.iter().filter(is_stale).count();
    let worst = late.iter().map(|(asked, _)| *asked).max().unwrap_or_default();
    let allowed = answers.iter().filter(|answer| answer.allowed).count();
    let failed = seen.failed.into_inner();
    let refused = seen.refused.into_inner();
    Finding::of(
        "F14 follower cut off, late, frozen and thawed",
        format!(
            "no Allow that is asked for later than a lease ({} ms) after its revocation, or heard later than a deadline after that; \
             0 failed answers while all is well",
            LEASE.as_millis()
        ),
    )
    .figure("answers", answers.len())
    .figure("allowed", allowed)
    .figure("refused_while_hurt", refused)
    .figure("revoked", revoked.len())
    .figure("stale", stale)
    .figure("failed_while_well", failed)
    .figure("latest_allow_ms", u64::try_from(worst.as_millis()).unwrap_or(u64::MAX))
    .seen(
        stale == 0 && failed == 0 && allowed > 0 && refused > 0,
        format!(
            "{} answers of which {allowed} Allows, {refused} refused while hurt, {} revocations: {stale} stale, the latest Allow was asked for \
             {} ms after its revocation; {failed} failed while all was well",
            answers.len(),
            revoked.len(),
            worst.as_millis()
        ),
    );
}
