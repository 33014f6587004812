//! What names in requests mean: as it is configured, or in the default namespace.

use std::ffi::OsString;

use crate::support::{Process, Sources, TestServer, evaluation, mandate};

fn server(config: &str) -> TestServer {
    TestServer::with_config(&Sources::small().config_written(config).unwrap())
}

#[test]
fn a_name_without_a_namespace_is_in_the_default_one() {
    let server = server("");
    for (subject, resource) in [("User", "Doc"), ("Mandate::User", "Doc"), ("User", "Mandate::Doc")] {
        assert!(server.evaluate(&evaluation((subject, "ana"), "view", (resource, "plan"))).decision());
    }
    for (subject, resource) in [("user", "Doc"), ("User", "doc"), ("Other::User", "Doc"), ("::User", "Doc")] {
        let answer = server.evaluate(&evaluation((subject, "ana"), "view", (resource, "plan")));
        assert!(answer.status == 400 || !answer.decision(), "{subject} {resource}");
    }
}

#[test]
fn a_configured_name_means_what_is_configured() {
    let config = "[authzen]\nnamespace = 'Elsewhere'\n[authzen.subjects]\nuser = 'Mandate::User'\nUser = 'Mandate::Doc'\n\
                  [authzen.resources]\n\"a doc\" = 'Mandate::Doc'\n[authzen.actions]\n\"tools/call\" = 'Mandate::Action::\"view\"'\n";
    let server = server(config);
    let ask = |subject: &str, action: &str, resource: &str| {
        server.evaluate(&evaluation((subject, "ana"), action, (resource, "plan")))
    };
    assert!(ask("user", "tools/call", "a doc").decision());
    assert!(ask("Mandate::User", "tools/call", "Mandate::Doc").decision(), "whole names stay what they are");
    assert!(!ask("User", "tools/call", "a doc").decision(), "another type, by configuration");
    assert!(!ask("user", "tools/call", "Doc").decision(), "the namespace is another");
    assert!(!ask("user", "tools/call", "user").decision(), "a subject's name means nothing of a resource");
    ask("user", "view", "a doc").check_error(400, "no action Elsewhere::Action::\"view\"");
}

#[test]
fn a_name_that_cannot_mean_anything_is_refused() {
    for (config, key) in [
        ("[authzen.subjects]\nuser = 'no type'\n", "authzen.subjects.user"),
        ("[authzen.resources]\ndoc = ''\n", "authzen.resources.doc"),
        ("[authzen.actions]\nread = 'view'\n", "authzen.actions.read"),
        ("[authzen.actions]\nread = 'Mandate::Action::view'\n", "authzen.actions.read"),
        ("[authzen]\nundeclared = 'allow'\n", "allow"),
        ("[authzen]\nsubject = 'x'\n", "subject"),
    ] {
        let error = Sources::small().config_written(config).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn a_name_that_means_nothing_in_the_schema_is_warned_of() {
    let sources = Sources::small();
    let config = "[authzen.subjects]\nuser = 'Mandate::User'\nrobot = 'Mandate::Robot'\n[authzen.resources]\nfile = 'Mandate::File'\n\
                  [authzen.actions]\nread = 'Mandate::Action::\"view\"'\nfly = 'Mandate::Action::\"fly\"'\n";
    sources.config_written(config).unwrap();
    let flags = ["validate", "--format", "json", "--config"].map(OsString::from);
    let file = sources.path("mandate.toml").into_os_string();
    let finished = mandate(flags.into_iter().chain([file]).chain(sources.flags()));
    finished.check_code(0);
    let problems = finished.json()["problems"].clone();
    let told: Vec<_> = problems
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["message"].as_str().unwrap().to_owned())
        .collect();
    for expected in [
        "`authzen.subjects.robot` means `Mandate::Robot`",
        "`authzen.resources.file` means `Mandate::File`",
        "`authzen.actions.fly` means Mandate::Action::\"fly\"",
    ] {
        assert!(told.iter().any(|message| message.starts_with(expected)), "{told:?}");
    }
    assert_eq!(told.len(), 3, "{told:?}");
    // The service starts, says so, and answers.
    let file = sources.path("mandate.toml");
    let process = Process::try_start_with(&sources, &["--config", file.to_str().unwrap()]).unwrap();
    assert!(process.announced.contains("Mandate::Robot"), "{}", process.announced);
    process.terminate().check_code(0);
}
