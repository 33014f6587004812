//! gRPC by curl, which does not watch the deadlines it sends.

use std::io::Write as _;
use std::process::Command;

/// A unary call by curl.
#[derive(Debug)]
pub(crate) struct Curled {
    /// `grpc-status`; none where it comes after a message.
    pub(crate) status: Option<String>,
    /// The frames of the answer's messages.
    pub(crate) body: Vec<u8>,
    /// How often the call was made: an answer that comes before the request is sent whole ends the stream, and curl may
    /// lose it then.
    pub(crate) calls: usize,
}

/// A unary call with these headers. None without curl, which is said loudly.
pub(crate) fn curl(address: &str, method: &str, body: &[u8], headers: &[&str]) -> Option<Curled> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let answer = tempfile::NamedTempFile::new().unwrap();
    file.write_all(body).unwrap();
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--http2-prior-knowledge", "--dump-header", "-", "--output"])
        .arg(answer.path());
    command.args(["--header", "content-type: application/grpc", "--header", "te: trailers"]);
    for header in headers {
        command.args(["--header", header]);
    }
    command.arg("--data-binary").arg(format!("@{}", file.path().display()));
    command.arg(format!("{address}{method}"));
    let (mut answered, mut calls) = (String::new(), 0);
    while answered.is_empty() && calls < 5 {
        let Ok(output) = command.output() else {
            assert!(std::env::var_os("CI").is_none(), "curl is not there");
            eprintln!("SKIPPED: curl is not there, and tonic's client keeps deadlines itself");
            return None;
        };
        answered = String::from_utf8(output.stdout).unwrap();
        calls += 1;
    }
    let before_the_message = answered.split("\r\n\r\n").next().unwrap();
    let status = before_the_message.lines().find_map(|line| line.strip_prefix("grpc-status: "));
    assert!(before_the_message.starts_with("HTTP/2 200"), "{answered}");
    let body = std::fs::read(answer.path()).unwrap();
    Some(Curled { status: status.map(|status| status.trim().to_owned()), body, calls })
}

/// `grpc-status` of a call that may take this long; none where it comes after a message. None at all without curl.
pub(crate) fn status_within(
    address: &str,
    method: &str,
    message: &[u8],
    timeout: &str,
) -> Option<Option<String>> {
    let timeout = format!("grpc-timeout: {timeout}");
    curl(address, method, &framed(message), &[&timeout]).map(|curled| curled.status)
}

/// A message as gRPC frames it.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}
