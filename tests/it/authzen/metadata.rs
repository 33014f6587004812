//! What the decision point says of itself, and where.

use serde_json::json;

use crate::callers::{Guarded, OPEN};
use crate::support::{Sources, TestServer, get};

const WELL_KNOWN: &str = "/.well-known/authzen-configuration";

fn server(config: &str) -> TestServer {
    TestServer::with_config(&Sources::small().config_written(config).unwrap())
}

#[test]
fn by_default_it_names_the_host_that_was_asked() {
    let server = server("");
    for host in [server.http.clone(), server.http.replace("127.0.0.1", "localhost")] {
        let metadata = get(&format!("{host}{WELL_KNOWN}")).json();
        assert_eq!(metadata["policy_decision_point"], json!(host));
        assert_eq!(metadata["access_evaluation_endpoint"], json!(format!("{host}/access/v1/evaluation")));
        assert_eq!(metadata["access_evaluations_endpoint"], json!(format!("{host}/access/v1/evaluations")));
        for part in ["subject", "resource", "action"] {
            let url = format!("{host}/access/v1/search/{part}");
            assert_eq!(metadata[format!("search_{part}_endpoint")], json!(url));
        }
        assert!(metadata.as_object().unwrap().values().all(|value| !value.is_null()), "absent, not null");
    }
    assert_eq!(get(&format!("{}{WELL_KNOWN}/tenant1", server.http)).status, 404);
}

#[test]
fn what_is_configured_is_named_instead() {
    for (url, base, path) in [
        ("https://pdp.example", "https://pdp.example", ""),
        ("https://pdp.example:8443/", "https://pdp.example:8443", ""),
        ("https://pdp.example/tenants/one", "https://pdp.example/tenants/one", "/tenants/one"),
    ] {
        let server = server(&format!("[authzen]\nurl = '{url}'\n"));
        let metadata = get(&format!("{}{WELL_KNOWN}{path}", server.http)).json();
        assert_eq!(metadata["policy_decision_point"], json!(base));
        assert_eq!(metadata["access_evaluation_endpoint"], json!(format!("{base}/access/v1/evaluation")));
    }
}

#[test]
fn a_url_that_names_no_decision_point_is_refused() {
    for url in [
        "http://pdp.example",
        "pdp.example",
        "https://",
        "https://pdp.example?x=1",
        "https://pdp.example#x",
        "https://me:secret@pdp.example",
        "https://pdp.example/{tenant}",
        "https://pdp.example/a%2fb",
    ] {
        let error = Sources::small().config_written(&format!("[authzen]\nurl = '{url}'\n")).unwrap_err();
        assert!(error.to_string().contains("authzen.url"), "{url}: {error}");
    }
}

#[test]
fn it_is_told_over_tls_to_whoever_asks() {
    let guarded = Guarded::new(OPEN);
    let base = guarded.server.http.replace("127.0.0.1", "localhost");
    let output = std::process::Command::new("curl")
        .args(["--silent", "--cacert"])
        .arg(guarded.papers.path("example.org.pem"))
        .arg(format!("{base}{WELL_KNOWN}"))
        .output()
        .expect("curl");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(base.starts_with("https://"));
    assert_eq!(metadata["policy_decision_point"], json!(base));
    let urls = metadata.as_object().unwrap().values();
    assert!(urls.map(|url| url.as_str().unwrap()).all(|url| url.starts_with(&base)), "{metadata}");
}
