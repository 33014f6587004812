//! The decision log as it is read: over the control listener, and from the command line; by whom, while it is written, and
//! after a restart.

use std::path::Path;
use std::time::Duration;

use mandate::server::pb;
use pb::admin_service_client::AdminServiceClient;
use pb::decision_log_service_client::DecisionLogServiceClient;
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use crate::callers::Guarded;
use crate::support::{
    Client, Finished, Process, Sources, TestServer, bearer, mandate, question, reference, token,
};

/// Somebody who reads the log.
struct Reader {
    client: Client,
    shown: String,
}

impl Reader {
    fn of(control: &str, data: &Path) -> Self {
        Self { client: Client::connect(control), shown: format!("Bearer {}", token(data)) }
    }

    fn of_server(server: &TestServer) -> Self {
        Self::of(&server.control, &server.folder.path().join("data"))
    }

    fn log(&self) -> DecisionLogServiceClient<Channel> {
        DecisionLogServiceClient::new(self.client.channel())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        bearer(message, &self.shown)
    }

    fn next(&self, records: &mut Streaming<pb::LogRecord>) -> Result<Option<Value>, Status> {
        let next = async {
            tokio::time::timeout(Duration::from_secs(60), records.message()).await.expect("a record in time")
        };
        let record = self.client.wait(next)?;
        Ok(record.map(|record| serde_json::from_str(&record.json).expect("JSON")))
    }

    fn query(&self, query: pb::QueryRequest) -> Result<Vec<Value>, Status> {
        let mut records = self.client.wait(self.log().query(self.request(query)))?.into_inner();
        let mut found = Vec::new();
        while let Some(record) = self.next(&mut records)? {
            found.push(record);
        }
        Ok(found)
    }

    fn tail(&self, after: &str) -> Result<Streaming<pb::LogRecord>, Status> {
        let request = self.request(pb::TailRequest { after_decision_id: after.to_owned() });
        self.client.wait(self.log().tail(request)).map(tonic::Response::into_inner)
    }

    /// The next record that a decision made.
    fn next_decision(&self, records: &mut Streaming<pb::LogRecord>) -> Value {
        loop {
            let record = self.next(records).unwrap().expect("no end");
            if record["kind"] == "decision" {
                return record;
            }
        }
    }
}

fn view(user: &str, session: &str) -> pb::AuthorizeRequest {
    let evidence = pb::Evidence { session_id: session.to_owned(), ..pb::Evidence::default() };
    let asked = question(("User", user), "view", ("Doc", "plan"));
    pb::AuthorizeRequest { evidence: Some(evidence), ..asked }
}

fn ids(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["decision_id"].as_str().unwrap()).collect()
}

/// Decides these, and waits until they can be found.
fn decided(server: &TestServer, asked: &[(&str, &str)]) -> Vec<String> {
    let ids = asked.iter().map(|(user, session)| server.authorize(view(user, session)).unwrap().decision_id);
    let ids: Vec<_> = ids.collect();
    let reader = Reader::of_server(server);
    let last = pb::QueryRequest { decision_id: ids.last().unwrap().clone(), ..pb::QueryRequest::default() };
    crate::callers::eventually("the last is synced", || !reader.query(last.clone()).unwrap().is_empty());
    ids
}

#[test]
fn records_are_found_by_what_they_say() {
    let server = TestServer::start(&Sources::small());
    let made = decided(&server, &[("ana", "s1"), ("nobody", "s1"), ("ana", "s2")]);
    let reader = Reader::of_server(&server);
    let none = pb::QueryRequest::default;
    let session = |id: &str| pb::QueryRequest { session_id: id.to_owned(), ..none() };
    let cases = [
        (session("s1"), vec![0, 1]),
        (session("s3"), vec![]),
        (pb::QueryRequest { decision: "deny".to_owned(), ..session("s1") }, vec![1]),
        (pb::QueryRequest { principal: Some(reference("Mandate::User", "ana")), ..none() }, vec![0, 2]),
        (pb::QueryRequest { principal: Some(reference("Mandate::Doc", "ana")), ..none() }, vec![]),
        (pb::QueryRequest { resource: Some(reference("", "plan")), limit: 2, ..none() }, vec![0, 1]),
        (pb::QueryRequest { decision_id: made[2].clone(), ..none() }, vec![2]),
        (pb::QueryRequest { kind: "decision".to_owned(), ..none() }, vec![0, 1, 2]),
    ];
    for (query, expected) in cases {
        let found = reader.query(query.clone()).unwrap();
        let expected: Vec<_> = expected.into_iter().map(|place: usize| made[place].as_str()).collect();
        assert_eq!(ids(&found), expected, "{query:?}");
    }
    let refused = reader.query(pb::QueryRequest { decision: "maybe".to_owned(), ..none() }).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    let report = pb::ReportOutcomeRequest::default();
    let refused = reader.client.wait(reader.log().report_outcome(reader.request(report))).unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented, "{refused:?}");
}

#[test]
fn who_follows_is_told_of_everything_from_now_or_from_a_record_on() {
    let server = TestServer::start(&Sources::small());
    let made = decided(&server, &[("ana", "s1"), ("nobody", "s1")]);
    let reader = Reader::of_server(&server);
    let (mut fresh, mut back) = (reader.tail("").unwrap(), reader.tail(&made[0]).unwrap());
    assert_eq!(reader.next_decision(&mut back)["decision_id"], made[1].as_str());
    let more = decided(&server, &[("ana", "s2"), ("ana", "s3")]);
    for id in &more {
        assert_eq!(reader.next_decision(&mut fresh)["decision_id"], id.as_str());
        assert_eq!(reader.next_decision(&mut back)["decision_id"], id.as_str());
    }
    let unknown = "01930000-0000-7000-8000-000000000000";
    assert_eq!(reader.tail(unknown).unwrap_err().code(), Code::NotFound);
    assert_eq!(reader.tail("1").unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn who_comes_back_after_a_restart_goes_on_where_it_was() {
    let sources = Sources::small();
    let process = Process::start(&sources);
    let first = process.client().authorize(view("ana", "s")).unwrap().decision_id;
    let second = process.client().authorize(view("nobody", "s")).unwrap().decision_id;
    process.terminate().check_code(0);
    let process = Process::start(&sources);
    let third = process.client().authorize(view("ana", "s")).unwrap().decision_id;
    let reader = Reader::of(&process.control, &sources.path("data"));
    let mut tail = reader.tail(&first).unwrap();
    let told = [reader.next_decision(&mut tail), reader.next_decision(&mut tail)];
    assert_eq!(ids(&told), [second.as_str(), third.as_str()]);
    let session = pb::QueryRequest { session_id: "s".to_owned(), ..pb::QueryRequest::default() };
    assert_eq!(ids(&reader.query(session).unwrap()), [&first, &second, &third].map(String::as_str));
}

#[test]
fn nobody_reads_the_log_without_the_token() {
    let server = TestServer::start(&Sources::small());
    let reader = Reader { shown: "Bearer wrong".to_owned(), ..Reader::of_server(&server) };
    assert_eq!(reader.query(pb::QueryRequest::default()).unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(reader.tail("").unwrap_err().code(), Code::Unauthenticated);
}

/// Runs `mandate log …` on a server's folder.
fn log(server: &TestServer, arguments: &[&str]) -> Finished {
    let directory = server.folder.path().join("data/log");
    let mut all = vec!["log"];
    all.extend(arguments);
    all.extend(["--dir", directory.to_str().unwrap()]);
    mandate(all)
}

/// What was printed, without what differs from run to run.
fn steady(text: &str, made: &[String]) -> String {
    let mut text = text.to_owned();
    for (number, id) in made.iter().enumerate() {
        text = text.replace(id, &format!("ID{number}"));
    }
    let is_time = |word: &str| word.len() == 27 && word.ends_with('Z');
    let line = |line: &str| {
        let words = line.split(' ').map(|word| if is_time(word) { "TIME" } else { word });
        words.collect::<Vec<_>>().join(" ").trim_end().to_owned()
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

const STORY: &str = r#"session s1  1 allowed, 1 denied
TIME  asked      Mandate::User::"ana" view Mandate::Doc::"plan"  ID0
                             authority  Mandate::User::"ana"
                             verdict    allow base
TIME  outcome    executed of ID0   done
TIME  change     freeze   by control-token odd
TIME  change     unfreeze   by control-token odd
TIME  asked      Mandate::User::"nobody" view Mandate::Doc::"plan"  ID1
                             authority  Mandate::User::"nobody"
                             verdict    deny unknown_principal: REASON"#;

#[test]
fn a_sessions_story_is_told_from_the_log_of_a_real_server() {
    let server = TestServer::start(&Sources::small());
    let first = server.authorize(view("ana", "s1")).unwrap().decision_id;
    let mut outcomes = DecisionLogServiceClient::new(server.client().channel());
    let report = pb::ReportOutcomeRequest {
        decision_id: first.clone(),
        outcome: pb::Outcome::Executed.into(),
        detail: "done".to_owned(),
        ..pb::ReportOutcomeRequest::default()
    };
    crate::callers::eventually("the decision is written", || {
        server.client().wait(outcomes.report_outcome(report.clone())).is_ok()
    });
    let reader = Reader::of_server(&server);
    let mut admin = AdminServiceClient::new(reader.client.channel());
    for lift in [false, true] {
        let suspend = pb::SuspendRequest { principal: None, reason: "odd".to_owned(), lift };
        reader.client.wait(admin.suspend(reader.request(suspend))).unwrap();
    }
    let mut made = vec![first];
    made.extend(decided(&server, &[("nobody", "s1"), ("ana", "other")]));
    let told = log(&server, &["story", "--session", "s1"]);
    told.check_code(0);
    let found = steady(&told.stdout, &made);
    let reason = found.split("unknown_principal: ").nth(1).unwrap_or_default().to_owned();
    assert!(reason.contains("nobody"), "{found}");
    assert_eq!(found.replace(&reason, "REASON"), STORY);
    log(&server, &["story", "--session", "s9"]).check_code(1);
}

#[test]
fn the_command_line_finds_follows_and_reconciles() {
    let server = TestServer::start(&Sources::small());
    let made = decided(&server, &[("ana", "s1"), ("nobody", "s1"), ("ana", "s2")]);
    let found = log(&server, &["query", "--principal", "ana", "--from", "1h ago", "--format", "json"]);
    found.check_code(0);
    let lines: Vec<Value> = found.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ids(&lines), [made[0].as_str(), made[2].as_str()]);
    let asked = ["log", "query", "--server", "--decision", "deny", "--format", "json"];
    let address = server.control.trim_start_matches("http://").to_owned();
    let data = server.folder.path().join("data").to_string_lossy().into_owned();
    let connection = ["--control", address.as_str(), "--data-dir", data.as_str()];
    let found = mandate(asked.iter().chain(&connection));
    found.check_code(0);
    let lines: Vec<Value> = found.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ids(&lines), [made[1].as_str()]);
    let tail = ["log", "tail", "--after", made[1].as_str(), "--limit", "1", "--format", "json"];
    let followed = mandate(tail.iter().chain(&connection));
    followed.check_code(0);
    assert_eq!(followed.json()["decision_id"], made[2].as_str());
    let file = server.folder.path().join("executions.jsonl");
    let executions = |place: usize| json!({"decision_id": made[place], "tool": "plan"}).to_string();
    let path = file.to_str().unwrap();
    std::fs::write(&file, [executions(0), executions(2)].join("\n")).unwrap();
    log(&server, &["reconcile", "--executions", path]).check_code(0);
    std::fs::write(&file, [executions(0), executions(1)].join("\n")).unwrap();
    let found = log(&server, &["reconcile", "--executions", path, "--format", "json"]);
    found.check_code(1);
    let findings = found.json()["findings"].as_array().unwrap().clone();
    let findings: Vec<_> =
        findings.iter().map(|finding| (&finding["finding"], &finding["decision_id"])).collect();
    let expected = [(json!("executed_on_deny"), json!(made[1])), (json!("no_outcome"), json!(made[2]))];
    assert_eq!(findings, expected.iter().map(|(what, id)| (what, id)).collect::<Vec<_>>());
    let missing = log(&server, &["query", "--session", "s1", "--expect-instances", "2"]);
    missing.check_code(1);
    assert!(missing.stderr.contains("1 logs are here, and 2 were expected"), "{missing:?}");
}

const READERS: &str = r#"
@id("ask") permit (principal, action in Mandate::Pep::Action::"question", resource);
@id("read") permit (principal == Mandate::Pep::Caller::"spiffe://example.org/auditors/amy",
  action == Mandate::Pep::Action::"read_log", resource);
@id("all but read") permit (principal == Mandate::Pep::Caller::"spiffe://example.org/operators/root",
  action, resource) unless { action == Mandate::Pep::Action::"read_log" };
"#;

#[test]
fn the_log_is_read_by_whoever_may_and_following_ends_with_the_right() {
    let guarded = Guarded::with(READERS, "[control]\ncallers = true\n");
    let connect = |id: &str| {
        let shown = guarded.papers.authority.svid(id);
        Client::secured(&guarded.server.control, &guarded.papers.authority.pem, Some(&shown)).unwrap()
    };
    let query = |client: &Client| {
        let mut log = DecisionLogServiceClient::new(client.channel());
        client.wait(log.query(pb::QueryRequest::default())).map(tonic::Response::into_inner)
    };
    let tail = |client: &Client| {
        let mut log = DecisionLogServiceClient::new(client.channel());
        client.wait(log.tail(pb::TailRequest::default())).map(tonic::Response::into_inner)
    };
    let (root, amy) =
        (connect("spiffe://example.org/operators/root"), connect("spiffe://example.org/auditors/amy"));
    assert_eq!(query(&root).unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(tail(&root).unwrap_err().code(), Code::PermissionDenied);
    let refused = guarded.server.records(2);
    let by: Vec<_> =
        refused.iter().map(|record| (&record["kind"], &record["caller"], &record["reason"])).collect();
    let one =
        (&json!("refusal"), &json!("spiffe://example.org/operators/root"), &json!("CALLER_NOT_ENTITLED"));
    assert_eq!(by, [one, one]);
    query(&amy).unwrap();
    let mut followed = tail(&amy).unwrap();
    guarded.sources.replace("pep/pep.cedar", READERS.replace("auditors/amy", "auditors/ben"));
    let end = amy.wait(async {
        let read = async {
            loop {
                if let Err(status) = followed.message().await {
                    return status;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), read).await.expect("an end in time")
    });
    assert_eq!(end.code(), Code::PermissionDenied, "{end:?}");
}
