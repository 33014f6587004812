//! What is asked: drawn from everything there is, and made of the strings that a message holds.

use mandate::engine::authorize::Now;
use mandate::engine::datum::{Datum, Reference};
use mandate::engine::request::AuthzRequest;
use rand::RngExt as _;
use rand::distr::Distribution as _;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::Zipf;
use serde::Serialize;

use crate::Attempt;
use crate::population::{Name, Population, pick, some, user, whole};

/// When what is compared with the plain `Authorizer` is asked, and about when everything is: 2026-11-22T10:00:00Z.
pub(crate) const NOW: Now = Now(1_795_341_600_000);
/// How many decisions are made in one millisecond.
const DECISIONS_OF_A_MILLISECOND: u64 = 20;
pub(crate) const NOW_TEXT: &str = "2026-11-22T10:00:00Z";
/// Share of requests about something the person works with; the others are about anything.
const OWN_WORK: f64 = 0.5;

pub(crate) const PURPOSES: [&str; 4] = ["triage", "report", "review", "migration"];
pub(crate) const LABELS: [&str; 6] = ["bulk", "export", "night", "urgent", "batch", "trial"];
const ADDRESSES: [&str; 6] =
    ["10.1.2.3", "10.200.0.9", "10.77.10.1", "10.180.3.4", "192.168.7.7", "203.0.113.9"];
const ISSUED: [&str; 4] =
    ["2026-11-22T09:58:00Z", "2026-11-22T08:00:00Z", "2026-11-22T03:30:00Z", "2026-11-21T10:00:00Z"];

/// When the decision after so many others is asked: as time goes by under load.
pub(crate) fn instant(decisions: u64) -> Now {
    Now(NOW.0 + i64::try_from(decisions / DECISIONS_OF_A_MILLISECOND).unwrap_or_default())
}

/// How principals and resources are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Draw {
    /// The kth as often as 1/k of the first.
    Zipf,
    /// All as often.
    Uniform,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Read,
    Write,
    Erase,
}

/// A question, by number.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) user: usize,
    pub(crate) action: Action,
    pub(crate) resource: usize,
    mfa: bool,
    untrusted: bool,
    issued: &'static str,
    ip: &'static str,
    purpose: String,
    labels: Vec<&'static str>,
}

/// A question as a decoded message holds it.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) principal: Name,
    pub(crate) action: &'static str,
    pub(crate) resource: Name,
    asked: Asked,
}

impl Action {
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Erase => "erase",
        }
    }
}

impl Draw {
    /// One of so many, counted from zero.
    fn one_of(self, count: usize, random: &mut Xoshiro256PlusPlus) -> Attempt<usize> {
        let rank = match self {
            Self::Zipf => whole(Zipf::new(count as f64, 1.0)?.sample(random)) - 1,
            Self::Uniform => random.random_range(0..count),
        };
        Ok(rank.min(count - 1))
    }

    /// A question about what there is.
    ///
    /// # Errors
    /// There is nobody, or nothing.
    pub(crate) fn ask(self, population: &Population, random: &mut Xoshiro256PlusPlus) -> Attempt<Asked> {
        let user = self.one_of(population.users.len(), random)?;
        let own = population.own(user);
        let resource = match own.is_empty() || !random.random_bool(OWN_WORK) {
            true => self.one_of(population.resources.len(), random)?,
            false => *own.get(self.one_of(own.len(), random)?).ok_or("nothing is worked with")?,
        };
        Ok(Asked {
            user,
            resource,
            action: match random.random_range(0..20) {
                0..13 => Action::Read,
                13..18 => Action::Write,
                _ => Action::Erase,
            },
            mfa: random.random_bool(0.8),
            untrusted: random.random_bool(0.3),
            issued: pick(&ISSUED, random),
            ip: pick(&ADDRESSES, random),
            purpose: format!("{} of what came in this week", pick(&PURPOSES, random)),
            labels: some(&LABELS, random),
        })
    }
}

impl Asked {
    /// The question as a message; none about what there is not.
    pub(crate) fn wire(self, population: &Population) -> Option<Wire> {
        let resource = population.name(self.resource)?;
        Some(Wire { principal: user(self.user), action: self.action.id(), resource, asked: self })
    }
}

impl Wire {
    /// The numbers of principal and resource.
    pub(crate) fn about(&self) -> (usize, usize) {
        (self.asked.user, self.asked.resource)
    }

    /// The request, its strings its own: what every door makes of a message.
    pub(crate) fn request(&self) -> AuthzRequest {
        let Asked { mfa, untrusted, issued, ip, purpose, labels, .. } = &self.asked;
        let text = |text: &str| Datum::String(text.to_owned());
        let mut request = AuthzRequest::new(
            Reference::new(self.principal.type_name, self.principal.id.as_str()),
            Reference::new("Mandate::Action", self.action),
            Reference::new(self.resource.type_name, self.resource.id.as_str()),
        );
        request.context = vec![
            ("issued".to_owned(), text(issued)),
            ("ip".to_owned(), text(ip)),
            ("mfa".to_owned(), Datum::Bool(*mfa)),
            ("untrusted".to_owned(), Datum::Bool(*untrusted)),
            ("purpose".to_owned(), text(purpose)),
            ("labels".to_owned(), Datum::List(labels.iter().map(|label| text(label)).collect())),
        ];
        request
    }

    /// The context as Cedar's JSON has it, the time filled in.
    pub(crate) fn cedar_context(&self) -> serde_json::Value {
        let Asked { mfa, untrusted, issued, ip, purpose, labels, .. } = &self.asked;
        let extension = |name: &str, text: &str| serde_json::json!({"__extn": {"fn": name, "arg": text}});
        serde_json::json!({
            "now": extension("datetime", NOW_TEXT),
            "issued": extension("datetime", issued),
            "ip": extension("ip", ip),
            "mfa": mfa,
            "untrusted": untrusted,
            "purpose": purpose,
            "labels": labels,
        })
    }
}
