//! What of an answer to `Authorize` is checked.

use mandate::server::pb::{CacheStatus, Decision};
use prost::Message;

use crate::load::Source;

/// The method under test.
pub(crate) const METHOD: &str = "/mandate.v1.AuthorizationService/Authorize";

/// The fields of an answer that are checked; the rest of the message is skipped.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Checked {
    #[prost(enumeration = "Decision", tag = "1")]
    decision: i32,
    #[prost(string, tag = "3")]
    pub(crate) request_id: String,
    #[prost(enumeration = "CacheStatus", tag = "11")]
    cache: i32,
    #[prost(string, tag = "15")]
    pub(crate) generation: String,
}

impl Checked {
    /// Where it came from, if it is what was expected: the decision, the request's id, the generation.
    ///
    /// # Errors
    /// It is another, in words.
    pub(crate) fn check(&self, expected: (Decision, &str, &str)) -> Result<Source, String> {
        let got = (self.decision(), self.request_id.as_str(), self.generation.as_str());
        if got != expected {
            return Err(format!("the answer is {got:?}, not {expected:?}"));
        }
        Ok(match self.cache() {
            CacheStatus::Unspecified => Source::Untold,
            CacheStatus::Hit => Source::Remembered,
            CacheStatus::Miss | CacheStatus::Bypass => Source::Decided,
        })
    }
}
