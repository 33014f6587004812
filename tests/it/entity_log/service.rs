//! Writing and reading over the control listener.

use mandate::server::pb;
use mandate::server::pb::value::Kind;
use prost::Message as _;
use tonic::Code;

use super::{Admin, doc, level, sources, uid, value, view, view_since};
use crate::support::{Client, TestServer, check_field, curl, framed, is_allow, reference};

#[test]
fn a_write_is_in_force_when_it_is_answered_and_on_every_connection() {
    let server = TestServer::start(&sources());
    let admin = Admin::of(&server);
    assert!(!is_allow(&server.authorize(view("new")).unwrap()), "unknown yet");
    for round in 0..500 {
        let id = format!("new{round}");
        let revision = admin.put(vec![doc(&id, 1, &["plan"])]).unwrap();
        let other = Client::connect(&server.data);
        let answer = other.authorize(view_since(&id, &revision)).unwrap();
        assert!(is_allow(&answer), "round {round}");
        let revision = admin.delete(vec![uid(&id)]).unwrap();
        assert!(!is_allow(&other.authorize(view_since(&id, &revision)).unwrap()), "round {round}");
        assert!(!is_allow(&server.authorize(view(&id)).unwrap()), "round {round}");
    }
}

#[test]
fn what_was_put_is_shown_as_it_was_put_and_whose_it_is() {
    let server = TestServer::start(&sources());
    let admin = Admin::of(&server);
    let mut rich = doc("é\"\n", -7, &["plan"]);
    let attributes = &mut rich.attributes.as_mut().unwrap().attributes;
    attributes.insert("owner".to_owned(), value(Kind::Entity(reference("Mandate::User", "ana"))));
    let at = prost_types::Timestamp { seconds: 1_795_000_000, nanos: 7_000_000 };
    attributes.insert("at".to_owned(), value(Kind::Datetime(at)));
    let tag = ("a".to_owned(), value(Kind::String("b".to_owned())));
    rich.tags = Some(pb::Record { attributes: [tag].into() });
    let revision = admin.put(vec![rich.clone()]).unwrap();
    let got = admin.get(uid("é\"\n")).unwrap();
    assert_eq!((got.entity.unwrap(), got.owner.as_str(), got.revision), (rich, "api", revision));
    assert_eq!(admin.get(uid("plan")).unwrap().owner, "file");
    assert_eq!(admin.get(uid("nothing")).unwrap_err().code(), Code::NotFound);
    check_field(
        admin.get(reference("Mandate::Nothing", "x")),
        Code::InvalidArgument,
        "uid.type",
        "no entity type",
    );
}

#[test]
fn what_does_not_fit_is_refused_whole_and_names_its_field() {
    let server = TestServer::start(&sources());
    let admin = Admin::of(&server);
    admin.put(vec![doc("child", 1, &["plan"]), doc("own", 1, &[]), doc("in-own", 1, &["own"])]).unwrap();
    let mut odd = doc("odd", 1, &[]);
    odd.attributes.as_mut().unwrap().attributes.insert("level".to_owned(), value(Kind::String("x".into())));
    let put =
        |entities, code, field: &str, saying: &str| check_field(admin.put(entities), code, field, saying);
    put(vec![doc("good", 1, &[]), odd], Code::InvalidArgument, "entities[1]", "level");
    assert_eq!(admin.get(uid("good")).unwrap_err().code(), Code::NotFound, "all or none");
    let nameless = pb::Entity { uid: None, ..doc("x", 1, &[]) };
    put(vec![nameless], Code::InvalidArgument, "entities[0].uid", "required");
    put(vec![doc("plan", 9, &[])], Code::FailedPrecondition, "entities[0]", "entity file");
    put(vec![doc("x", 1, &["gone"])], Code::FailedPrecondition, "entities[0]", "not stored");
    put(vec![doc("own", 1, &["in-own"])], Code::InvalidArgument, "entities[0]", "in itself");
    put(vec![doc("x", 1, &[]), doc("x", 1, &[])], Code::InvalidArgument, "entities[1]", "named twice");
    put(vec![doc("x", 1, &[]); 1_001], Code::InvalidArgument, "entities", "1001; the limit is 1000");
    put(Vec::new(), Code::InvalidArgument, "entities", "names no entity");
    let delete = |id, code, saying: &str| check_field(admin.delete(vec![uid(id)]), code, "uids[0]", saying);
    delete("own", Code::FailedPrecondition, "still the parent");
    delete("plan", Code::FailedPrecondition, "entity file");
    delete("gone", Code::NotFound, "not stored");
    let large = doc(&"x".repeat(2_000_000), 1, &[]);
    put(vec![large], Code::InvalidArgument, "entities", "the limit is");
}

#[test]
fn a_write_for_one_revision_is_made_at_that_alone() {
    let server = TestServer::start(&sources());
    let admin = Admin::of(&server);
    let first = admin.put(vec![doc("a", 1, &[])]).unwrap();
    let second = admin.put_if(vec![doc("a", 2, &[])], &first).unwrap();
    let refused = admin.put_if(vec![doc("a", 3, &[])], &first);
    check_field(refused, Code::Aborted, "if_revision", "another revision");
    assert_eq!(level(&admin.get(uid("a")).unwrap().entity.unwrap()), Some(&value(Kind::Long(2))));
    admin.put_if(vec![doc("a", 3, &[])], &second).unwrap();
    check_field(
        admin.put_if(vec![doc("a", 3, &[])], "x"),
        Code::InvalidArgument,
        "if_revision",
        "no revision",
    );
}

#[test]
fn a_list_is_of_one_world_however_slowly_it_is_turned() {
    let server = TestServer::start(&sources());
    let admin = Admin::of(&server);
    let ids: Vec<String> = (0..25).map(|at| format!("d{at:02}")).collect();
    admin.put(ids.iter().map(|id| doc(id, 1, &[])).collect()).unwrap();
    let page = |page_token: &str, page_size| {
        let request = pb::ListEntitiesRequest {
            r#type: "Mandate::Doc".into(),
            page_token: page_token.into(),
            page_size,
        };
        admin.list(request)
    };
    for size in [1, 7, 26, 27, 1_000] {
        let (mut seen, mut next, mut first) = (Vec::new(), String::new(), None);
        loop {
            let turned = page(&next, size).unwrap();
            seen.extend(turned.entities.into_iter().map(|entity| entity.uid.unwrap().id));
            assert_eq!(*first.get_or_insert(turned.revision.clone()), turned.revision);
            next = turned.next_page_token;
            if next.is_empty() {
                break;
            }
            // What changes meanwhile is of another world.
            admin.put(vec![doc("zzz", 1, &[])]).unwrap();
            admin.delete(vec![uid("zzz")]).unwrap();
        }
        let expected: Vec<_> = ids.iter().cloned().chain(["plan".to_owned()]).collect();
        assert_eq!(seen, expected, "pages of {size}");
    }
    check_field(page("", 1_001), Code::InvalidArgument, "page_size", "the limit is 1000");
    check_field(page("x", 1), Code::InvalidArgument, "page_token", "none that was given out");
    let token = page("", 1).unwrap().next_page_token;
    let other = pb::ListEntitiesRequest { r#type: "Mandate::User".into(), page_token: token, page_size: 1 };
    check_field(admin.list(other), Code::InvalidArgument, "page_token", "another type");
    check_field(admin.list(pb::ListEntitiesRequest::default()), Code::InvalidArgument, "type", "required");
}

#[test]
fn a_suspension_denies_at_once_whatever_is_remembered_and_can_be_lifted() {
    let server = TestServer::start(&sources());
    let admin = Admin::of(&server);
    let ask = || server.authorize(view("plan")).unwrap();
    let ana = || Some(reference("Mandate::User", "ana"));
    for (whom, rule, saying) in [
        (ana(), "suspended", "ana"),
        (None, "frozen", "everything"),
        (Some(uid("plan")), "suspended", "plan"),
    ] {
        assert!(is_allow(&ask()));
        assert!(is_allow(&ask()), "remembered");
        let revision = admin.suspend(whom.clone(), false).unwrap();
        let denied = server.authorize(view_since("plan", &revision)).unwrap();
        assert!(!is_allow(&denied));
        assert_eq!(denied.denied_by.as_ref().unwrap().rule, rule);
        let reason = denied.reason.unwrap();
        assert_eq!(reason.code, rule);
        assert!(
            reason.message.contains(saying) && reason.message.contains("odd calls"),
            "{}",
            reason.message
        );
        assert!(denied.determining_policies.is_empty());
        admin.suspend(whom.clone(), true).unwrap();
        check_field(admin.suspend(whom, true), Code::NotFound, "principal", "not suspended");
    }
    assert!(is_allow(&ask()));
    let nobody = Some(reference("Mandate::Nobody", "x"));
    check_field(admin.suspend(nobody, false), Code::InvalidArgument, "principal.type", "no entity type");
    // Somebody who is not stored yet.
    admin.suspend(Some(reference("Mandate::User", "mallory")), false).unwrap();
}

#[test]
fn every_write_and_every_refusal_is_one_record() {
    let server = TestServer::start(&sources());
    let admin = Admin::of(&server);
    admin.put(vec![doc("a", 1, &[])]).unwrap();
    admin.put(vec![doc("a", 2, &[])]).unwrap();
    admin.delete(vec![uid("a")]).unwrap();
    admin.put(vec![doc("plan", 1, &[])]).unwrap_err();
    admin.revoke("g").unwrap();
    let revision = admin.suspend(None, false).unwrap();
    let records = server.records(6);
    let said: Vec<_> =
        records.iter().map(|line| (line["kind"].as_str().unwrap(), line["change"].as_str())).collect();
    let change = |what| ("change", Some(what));
    assert_eq!(
        said,
        [
            change("put"),
            change("put"),
            change("delete"),
            ("refusal", None),
            change("revoke"),
            change("freeze")
        ]
    );
    let entity = |at: usize| &records[at]["entities"][0];
    assert!(entity(0)["before"].is_null() && entity(2)["after"].is_null());
    assert_eq!(entity(0)["after"], entity(1)["before"], "a digest of what it held");
    assert_eq!(entity(1)["after"], entity(2)["before"]);
    assert_eq!(records[3]["reason"], "ENTITY_OWNED_BY_FILE");
    assert_eq!((&records[4]["reason"], &entity(4)["uid"]["id"]), (&"left".into(), &"g".into()));
    assert_eq!(records[5]["revision"], revision.as_str());
    assert!(records.iter().all(|line| line["caller"] == "control-token" && line["surface"] == "control"));
}

#[test]
fn a_call_that_is_out_of_time_is_told_so() {
    let server = TestServer::start(&sources());
    let admin = Admin::of(&server);
    let request = pb::PutEntitiesRequest { entities: vec![doc("late", 1, &[])], if_revision: String::new() };
    let headers = ["grpc-timeout: 0n".to_owned(), format!("authorization: {}", admin.shown)];
    let method = "/mandate.v1.EntityService/PutEntities";
    let body = framed(&request.encode_to_vec());
    let Some(answered) = curl(&server.control, method, &body, &headers.each_ref().map(String::as_str)) else {
        return;
    };
    assert_eq!(answered.status, Some((Code::DeadlineExceeded as i32).to_string()));
}
