//! What is written, and what it means.

use super::*;
use crate::engine::generation::OnPolicyError;

fn load(toml: &str, overrides: Overrides) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mandate.toml");
    std::fs::write(&file, toml).unwrap();
    let config = Config::load(Some(&file), overrides)?;
    config.check_exposure().map(|()| config)
}

#[test]
fn a_file_and_flags_override_defaults_in_that_order() {
    let flags = Overrides { policies: Some("elsewhere".into()), ..Overrides::default() };
    let written = "[sources]\npolicies = 'a'\nschemas = 'b'\n[decisions]\non_policy_error = 'strict'\n";
    let config = load(written, flags).unwrap();
    assert_eq!(config.folders.policies, PathBuf::from("elsewhere"));
    assert_eq!(config.folders.schemas, PathBuf::from("b"));
    assert_eq!(config.folders.entities, PathBuf::from("entities"));
    assert_eq!(config.options.on_policy_error, OnPolicyError::Strict);
    assert_eq!(config.listen.data, "127.0.0.1:4466".parse().unwrap());
}

#[test]
fn an_unknown_key_or_value_is_refused_and_named() {
    for (written, named) in [
        ("[listen]\nprot = 1\n", "prot"),
        ("colour = 'red'\n", "colour"),
        ("[decisions]\non_policy_error = 'allow'\n", "allow"),
        ("[listen]\ndata = 'somewhere'\n", "listen.data"),
        ("strictness = 'language'\n", "strictness"),
        ("[decisions]\nstrictness = 'language'\n", "strictness"),
        ("[domain]\nstrictness = 'language'\n", "strictness"),
    ] {
        let error = load(written, Overrides::default()).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn listening_beyond_loopback_must_be_asked_for_by_its_name() {
    let data = Some("0.0.0.0:4466".parse().unwrap());
    let exposed = Overrides { data, ..Overrides::default() };
    assert!(matches!(load("", exposed.clone()), Err(ConfigError::Exposed { listener: "listen.data", .. })));
    let accepted = Overrides { insecure_unauthenticated_callers: true, ..exposed };
    assert!(load("", accepted).unwrap().insecure_unauthenticated_callers);
}

#[test]
fn a_domain_takes_its_names_from_its_namespace() {
    let config = load("[domain]\nnamespace = 'Acme'\ncall_tool = 'invoke'\n", Overrides::default()).unwrap();
    assert_eq!(config.options.domain.user, "Acme::User");
    assert_eq!(config.options.domain.chain_required, ["Acme::Agent"]);
    assert_eq!(config.options.domain.call_tool, "invoke");
}

#[test]
fn durations_are_written_with_their_unit() {
    let config = load("[shutdown]\ngrace = '250ms'\ndrain = '1m'\n", Overrides::default()).unwrap();
    assert_eq!(config.shutdown.grace, Duration::from_millis(250));
    assert_eq!(config.shutdown.drain, Duration::from_secs(60));
    for wrong in ["[shutdown]\ngrace = '5'\n", "[shutdown]\ngrace = '-1s'\n", "[shutdown]\ngrace = 5\n"] {
        let error = load(wrong, Overrides::default()).unwrap_err().to_string();
        assert!(error.contains("shutdown.grace"), "{error}");
    }
}

#[test]
fn values_out_of_range_are_refused_and_named() {
    for (written, named) in [
        ("[reload]\npoll = '1ms'\n", "reload.poll"),
        ("[reload]\nsettle = '1h'\n", "reload.settle"),
        ("[log]\nqueue = 0\n", "log.queue"),
        ("[log]\nrotate_bytes = 10\n", "log.rotate_bytes"),
        ("[listen]\ncontrol = '0.0.0.0:4469'\n", "listen.control"),
    ] {
        let insecure = Overrides { insecure_unauthenticated_callers: true, ..Overrides::default() };
        let error = load(written, insecure).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn the_decision_log_lives_in_the_data_directory_unless_told_otherwise() {
    let config = load("[data]\ndirectory = '/somewhere'\n", Overrides::default()).unwrap();
    assert_eq!(config.log.directory, PathBuf::from("/somewhere/log"));
    assert_eq!((config.cache_bytes, config.verify_one_in), (Some(64 * 1024 * 1024), NonZeroU64::new(1_000)));
    let config =
        load("[log]\ndirectory = 'x'\n[cache]\nenabled = false\nverify_one_in = 0\n", Overrides::default())
            .unwrap();
    assert_eq!(config.log.directory, PathBuf::from("x"));
    let overflow = |written: &str| load(written, Overrides::default()).unwrap().log.overflow;
    assert_eq!(overflow("[log]\nmode = 'durable'\n"), LogOverflow::Block);
    assert_eq!(overflow("[log]\nmode = 'durable'\noverflow = 'drop'\n"), LogOverflow::Drop);
    assert_eq!(overflow(""), LogOverflow::Drop);
    assert_eq!((config.cache_bytes, config.verify_one_in), (None, None));
}

#[test]
fn a_follower_names_its_primary_and_what_proves_it_and_has_no_sources_of_its_own() {
    let follow = |more: &str| format!("[follow]\nprimary = 'https://pdp-primary:4469'\n{more}");
    let config = load(&follow("token_file = 'token'\n"), Overrides::default()).unwrap();
    let followed = config.follow.unwrap();
    assert_eq!(followed.primary, "https://pdp-primary:4469");
    assert_eq!((followed.shown, followed.token_file), (None, Some(PathBuf::from("token"))));
    let flag = Overrides { follow: Some("http://127.0.0.1:1/".to_owned()), ..Overrides::default() };
    let config = load("[follow]\ntoken_file = 'token'\n", flag).unwrap();
    assert_eq!(config.follow.unwrap().primary, "http://127.0.0.1:1", "a flag wins");
    let plain = "[follow]\nprimary = 'http://pdp-primary:4469'\ntoken_file = 't'\n";
    assert!(load(&format!("{plain}insecure_plaintext = true\n"), Overrides::default()).is_ok());
    for (written, named) in [
        (plain.to_owned(), "insecure_plaintext"),
        (follow(""), "token_file"),
        (follow("certificate = 'c'\n"), "follow.key"),
        (follow("key = 'k'\n"), "follow.certificate"),
        (follow("token_file = 't'\n[sources]\npolicies = 'p'\n"), "sources.policies"),
        (follow("token_file = 't'\n[sources]\nemergency = 'e'\n"), "sources.emergency"),
        ("[follow]\nca_file = 'c'\n".to_owned(), "follow.ca_file"),
        ("[follow]\nprimary = 'http://127.0.0.1:1'\nca_file = 'c'\ntoken_file = 't'\n".to_owned(), "https"),
        ("[follow]\nprimary = 'pdp-primary:4469'\ntoken_file = 't'\n".to_owned(), "follow.primary"),
        ("[follow]\nprimary = 'https://p:1/path'\ntoken_file = 't'\n".to_owned(), "names a server"),
        ("[followers]\nlease = '500ms'\n".to_owned(), "followers.lease"),
        ("[followers]\nlease = '1h'\n".to_owned(), "followers.lease"),
    ] {
        let error = load(&written, Overrides::default()).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    assert_eq!(load("", Overrides::default()).unwrap().lease, Duration::from_secs(10));
}

#[test]
fn limits_have_ranges_and_those_that_are_out_of_theirs_are_named() {
    let written = "connections = 100\nconnections_per_peer = 7\nhandshake = '1s'\nmax_age = '2m'\n[limits.http2]\nstreams = 3\n";
    let limits = load(&format!("[limits]\n{written}"), Overrides::default()).unwrap().limits.connections;
    assert_eq!((limits.connections, limits.connections_per_peer, limits.http2.streams), (100, Some(7), 3));
    assert_eq!((limits.handshake, limits.max_age), (Duration::from_secs(1), Duration::from_secs(120)));
    for (key, wrong) in [
        ("connections", "3"),
        ("connections_per_peer", "0"),
        ("handshake", "'0s'"),
        ("header", "'2m'"),
        ("idle", "'500ms'"),
        ("idle", "'30s'"),
        ("max_age", "'0s'"),
        ("max_age", "'25h'"),
        ("max_age_grace", "'11m'"),
        ("header_bytes", "100"),
        ("http2.streams", "0"),
        ("http2.stream_window", "1"),
        ("http2.connection_window", "100000000"),
        ("http2.pending_resets", "0"),
        ("http2.error_resets", "0"),
        ("http2.ping", "'1ms'"),
        ("http2.ping_timeout", "'2h'"),
    ] {
        let error =
            load(&format!("[limits]\n{key} = {wrong}\n"), Overrides::default()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`limits.{key}` is ")) && error.contains("must be"), "{error}");
    }
}

#[test]
fn a_unix_socket_is_as_local_as_loopback_and_its_mode_is_written_in_octal() {
    let written =
        "[listen]\ndata = 'unix:/run/data.sock'\ncontrol = 'unix:/run/control.sock'\nsocket_mode = '0600'\n";
    let config = load(written, Overrides::default()).unwrap();
    assert_eq!(config.listen.data, Address::Unix("/run/data.sock".into()));
    assert_eq!(config.socket_mode, 0o600);
    assert_eq!(load("", Overrides::default()).unwrap().socket_mode, 0o660);
    let long = format!("[listen]\nhttp = 'unix:/{}'\n", "a".repeat(200));
    for (wrong, named) in [
        ("[listen]\nsocket_mode = '0888'\n", "socket_mode"),
        ("[listen]\nsocket_mode = '7777'\n", "socket_mode"),
        ("[listen]\ndata = 'unix:'\n", "listen.data"),
        (&long, "at most 107"),
    ] {
        let error = load(wrong, Overrides::default()).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}
