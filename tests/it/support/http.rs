//! HTTP, as an enforcement point speaks it.

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Request;

/// What came back.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) request_id: Option<String>,
    pub(crate) allow: Option<String>,
    pub(crate) body: String,
}

impl HttpAnswer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The `decision` of a 200.
    #[track_caller]
    pub(crate) fn decision(&self) -> bool {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["decision"].as_bool().expect("`decision` is a boolean")
    }

    /// Fails unless this is an error of that status, its body one JSON string that says `saying`.
    #[track_caller]
    pub(crate) fn check_error(&self, status: u16, saying: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let body = self.json();
        let message = body.as_str().unwrap_or_else(|| panic!("an error is a string: {self:?}"));
        assert!(message.contains(saying), "`{message}` does not say `{saying}`");
    }
}

fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).build().into()
}

pub(crate) fn get(url: &str) -> HttpAnswer {
    answer(agent().get(url).call().expect("an answer"))
}

/// Posts bytes with these headers.
pub(crate) fn post(url: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> HttpAnswer {
    try_post(url, headers, body).expect("an answer")
}

/// As [`post`]; an error if the server hangs up before it has read the whole body.
pub(crate) fn try_post(
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> Result<HttpAnswer, ureq::Error> {
    let mut request = Request::post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    agent().run(request.body(body.into()).expect("a request")).map(answer)
}

fn answer(response: ureq::http::Response<ureq::Body>) -> HttpAnswer {
    let header = |name| response.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
    HttpAnswer {
        status: response.status().as_u16(),
        content_type: header("content-type").unwrap_or_default(),
        request_id: header("x-request-id"),
        allow: header("allow"),
        body: response.into_body().read_to_string().expect("text"),
    }
}

/// An AuthZEN evaluation that says only what it must.
pub(crate) fn evaluation(subject: (&str, &str), action: &str, resource: (&str, &str)) -> Value {
    json!({
        "subject": {"type": subject.0, "id": subject.1},
        "action": {"name": action},
        "resource": {"type": resource.0, "id": resource.1},
    })
}
