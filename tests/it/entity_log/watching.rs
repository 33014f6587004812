//! `Watch`: every batch once, in order, and coming back.

use std::time::Duration;

use mandate::server::pb;
use tonic::{Code, Status, Streaming};

use super::{Admin, doc, sources, uid};
use crate::support::{Process, Sources, TestServer, reference};

struct Watch<'a> {
    admin: &'a Admin,
    messages: Streaming<pb::WatchResponse>,
}

impl<'a> Watch<'a> {
    fn begin(admin: &'a Admin, from: &str, include_entities: bool) -> Result<Self, Status> {
        let request =
            pb::WatchRequest { from_revision: from.to_owned(), include_entities, ..Default::default() };
        let messages = admin.client.wait(admin.entities().watch(admin.request(request)))?.into_inner();
        Ok(Self { admin, messages })
    }

    /// The next message that is no heartbeat.
    fn next(&mut self) -> Result<pb::WatchResponse, Status> {
        loop {
            let next = self.messages.message();
            let next = async {
                tokio::time::timeout(Duration::from_secs(60), next).await.expect("a message in time")
            };
            let message = self.admin.client.wait(next)?;
            let message = message.expect("no end");
            assert!(message.lease.is_some(), "{message:?}");
            if message != (pb::WatchResponse { lease: message.lease, ..pb::WatchResponse::default() }) {
                return Ok(message);
            }
        }
    }
}

#[test]
fn who_watches_is_told_of_everything_in_order() {
    let sources = sources();
    let server = TestServer::with_config(&sources.restless_config());
    let admin = Admin::of(&server);
    let mut watch = Watch::begin(&admin, "", true).unwrap();
    let synced = watch.next().unwrap();
    assert!(synced.synced && !synced.reset, "{synced:?}");
    let put = admin.put(vec![doc("a", 1, &[]), doc("b", 1, &[])]).unwrap();
    let told = watch.next().unwrap();
    assert_eq!((told.changed.len(), told.entities.len(), &told.revision), (2, 2, &put));
    admin.delete(vec![uid("a")]).unwrap();
    assert_eq!(watch.next().unwrap().deleted, [uid("a")]);
    admin.revoke("g").unwrap();
    assert_eq!(watch.next().unwrap().revoked, [reference("Mandate::Delegation", "g")]);
    admin.suspend(None, false).unwrap();
    assert_eq!(watch.next().unwrap().suspended, [pb::EntityRef::default()]);
    admin.suspend(None, true).unwrap();
    assert_eq!(watch.next().unwrap().lifted, [pb::EntityRef::default()]);
    sources.put("policies/base.cedar", "@id(\"other\")\npermit (principal, action, resource);\n");
    assert!(watch.next().unwrap().generation_published);
    // Seeds: everything is to be looked at anew.
    sources.put("entities/more.json", serde_json::json!([crate::support::user("eve")]).to_string());
    let mut reset = watch.next().unwrap();
    while !reset.reset {
        reset = watch.next().unwrap();
    }
    let whole = watch.next().unwrap();
    let revoked = if whole.revoked.is_empty() { watch.next().unwrap() } else { whole };
    assert_eq!(revoked.revoked.len(), 1);
    assert_eq!(watch.next().unwrap().changed.len(), 4, "ana, eve, plan and b");
    // From there.
    let mut back = Watch::begin(&admin, &put, false).unwrap();
    assert!(back.next().unwrap().reset, "the seeds changed since");
}

#[test]
fn who_comes_back_is_told_what_was_missed_and_nothing_twice() {
    let server = TestServer::start(&sources());
    let admin = Admin::of(&server);
    let first = admin.put(vec![doc("a", 1, &[])]).unwrap();
    for id in ["b", "c"] {
        admin.put(vec![doc(id, 1, &[])]).unwrap();
    }
    let mut back = Watch::begin(&admin, &first, false).unwrap();
    let told: Vec<_> = (0..2).map(|_| back.next().unwrap().changed).collect();
    assert_eq!(told, [[uid("b")], [uid("c")]]);
    assert!(back.next().unwrap().synced);
    let refused = Watch::begin(&admin, "x", false).err().unwrap();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("from_revision"), "{refused:?}");
}

#[test]
fn heartbeats_renew_the_lease() {
    let server = TestServer::start(&sources());
    let admin = Admin::of(&server);
    let mut watch = Watch::begin(&admin, "", false).unwrap();
    watch.next().unwrap();
    let next = watch.messages.message();
    let next = async { tokio::time::timeout(Duration::from_secs(60), next).await.unwrap().unwrap().unwrap() };
    let heartbeat = admin.client.wait(next);
    assert!(heartbeat.lease.is_some() && heartbeat.revision.is_empty() && !heartbeat.synced);
}

/// What may have changed while the server was down is not known: everything is told anew.
#[test]
fn a_restart_resets_whoever_comes_back() {
    let sources: Sources = sources();
    let process = Process::start(&sources);
    let admin = Admin::of_process(&process, &sources);
    let first = admin.put(vec![doc("a", 1, &[])]).unwrap();
    admin.put(vec![doc("b", 1, &[])]).unwrap();
    process.crash();
    let process = Process::start(&sources);
    let admin = Admin::of_process(&process, &sources);
    let mut back = Watch::begin(&admin, &first, false).unwrap();
    assert!(back.next().unwrap().reset);
    let mut stored = 0;
    loop {
        let message = back.next().unwrap();
        stored += message.changed.len();
        if message.synced {
            break;
        }
    }
    assert_eq!(stored, 4, "ana, plan, a and b");
}
