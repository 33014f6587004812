//! The caller's deadline, and the codes tonic gets wrong, for every gRPC call.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::status;

/// Longest time a call may take, whatever its own deadline says.
const MAX_CALL: Duration = Duration::from_secs(30);

/// When the call's answer stops being of use.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The instant, if it is still ahead.
    ///
    /// # Errors
    /// DEADLINE_EXCEEDED once it has passed.
    pub fn check(self) -> Result<std::time::Instant, Status> {
        if Instant::now() < self.0 { Ok(self.0.into_std()) } else { Err(status::deadline_exceeded()) }
    }
}

/// Bounds a call by its `grpc-timeout` and answers DEADLINE_EXCEEDED when it passes, even if an answer came just
/// after: an Allow that is late is no Allow. Rewrites codes by [`status::rewritten`].
pub async fn enforce(mut request: Request, next: Next) -> Response {
    let asked = request.headers().get("grpc-timeout").and_then(parse).unwrap_or(MAX_CALL);
    let deadline = Instant::now() + asked.min(MAX_CALL);
    request.extensions_mut().insert(Deadline(deadline));
    match timeout_at(deadline, next.run(request)).await {
        Ok(response) if Instant::now() < deadline => recode(response),
        _ => status::deadline_exceeded().into_http::<Body>(),
    }
}

fn recode(response: Response) -> Response {
    let rewritten = Status::from_header_map(response.headers()).and_then(|status| status::rewritten(&status));
    match rewritten {
        Some(status) => status.into_http(),
        None => response,
    }
}

/// `grpc-timeout`: at most eight digits and a unit (gRPC over HTTP/2, "Timeout").
fn parse(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        let read = |text| parse(&HeaderValue::from_static(text));
        assert_eq!(read("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for wrong in ["", "S", "123456789S", "-1S", "1x", "1 S", "1.5S"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
