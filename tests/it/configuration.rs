//! Configuration that must not be accepted.

use std::ffi::OsString;
use std::process::Command;

use crate::support::{Sources, binary, mandate};

/// `mandate validate` with a configuration file of this text.
fn validate(text: &str) -> crate::support::Finished {
    let sources = Sources::small().write("mandate.toml", text);
    let file = sources.path("mandate.toml").into_os_string();
    let arguments = ["validate".into(), "--config".into(), file];
    mandate(arguments.into_iter().chain(sources.flags()))
}

#[test]
fn an_unknown_key_or_value_fails_the_command_and_is_named() {
    validate("").check_code(0);
    validate("[decisions]\non_policy_error = 'strict'\n").check_code(0);
    for (text, named) in [
        ("colour = 'red'\n", "colour"),
        ("[listen]\nprot = 1\n", "prot"),
        ("[listen]\ndata = 'somewhere'\n", "listen.data"),
        ("[sources]\npolicy = 'x'\n", "policy"),
        ("[decisions]\non_policy_error = 'allow'\n", "allow"),
        ("[decisions]\non_policy_errors = 'deny'\n", "on_policy_errors"),
        ("[callers]\ninsecure_unauthenticated = 'yes'\n", "insecure_unauthenticated"),
        ("[domain]\nchain_required = 'Mandate::Agent'\n", "chain_required"),
        ("[listen\n", "mandate.toml"),
    ] {
        let finished = validate(text);
        finished.check_code(1);
        assert!(finished.stderr.contains(named), "`{named}` in {}", finished.stderr);
    }
}

#[test]
fn a_configuration_file_that_is_missing_is_an_error_and_not_a_default() {
    let arguments = ["validate", "--config", "/nowhere/mandate.toml"].map(OsString::from);
    let finished = mandate(arguments.into_iter().chain(Sources::small().flags()));
    finished.check_code(1);
    assert!(finished.stderr.contains("`/nowhere/mandate.toml` does not exist"), "{}", finished.stderr);
}

#[test]
fn the_environment_is_held_to_the_same_keys() {
    let run = |name: &str, value: &str| {
        let mut command = Command::new(binary());
        command.arg("validate").args(Sources::small().flags()).env(name, value);
        // The folders are gone when this runs, and the configuration is read before them.
        command.output().unwrap()
    };
    let refused = run("MANDATE__LISTEN__PROT", "1");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("prot"), "{refused:?}");
    // Kubernetes sets this for a Service named `mandate`; it is none of ours.
    let accepted = run("MANDATE_PORT", "tcp://10.0.0.1:4466");
    assert_eq!(accepted.status.code(), Some(3), "{accepted:?}");
}

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let sources = Sources::small().write("mandate.toml", "[decisions]\non_policy_error = 'strict'\n");
    let run = |value: &str| {
        let mut command = Command::new(binary());
        command.arg("validate").arg("--config").arg(sources.path("mandate.toml")).args(sources.flags());
        command.env("MANDATE__DECISIONS__ON_POLICY_ERROR", value).output().unwrap().status.code()
    };
    assert_eq!(run("cedar"), Some(0));
    assert_eq!(run("never"), Some(1), "the environment was read");
}

/// `mandate serve` on these addresses: how it ended, without having served.
fn serve(data: &str, http: &str) -> crate::support::Finished {
    let arguments = ["serve", "--data", data, "--http", http].map(OsString::from);
    mandate(arguments.into_iter().chain(Sources::small().flags()))
}

#[test]
fn other_hosts_are_not_served_unless_that_is_asked_for_by_its_name() {
    for (data, http, named) in [
        ("0.0.0.0:0", "127.0.0.1:0", "listen.data"),
        ("127.0.0.1:0", "0.0.0.0:0", "listen.http"),
        ("[::]:0", "127.0.0.1:0", "listen.data"),
        ("127.0.0.1:0", "192.0.2.1:0", "listen.http"),
    ] {
        let finished = serve(data, http);
        finished.check_code(1);
        assert!(finished.stderr.contains(named), "{}", finished.stderr);
        assert!(finished.stderr.contains("--insecure-unauthenticated-callers"), "{}", finished.stderr);
    }
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (data, http) in [(address.as_str(), "127.0.0.1:0"), ("127.0.0.1:0", address.as_str())] {
        let finished = serve(data, http);
        finished.check_code(1);
        assert!(finished.stderr.contains(&address), "{}", finished.stderr);
    }
}
