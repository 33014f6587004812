//! Why a token is not believed: which check failed, in words that hold nothing of the token.

use std::borrow::Cow;
use std::fmt;

/// A token that is not believed. Its message names claims and limits, never a token's own text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{check}: {message}")]
pub struct Rejection {
    /// The check that failed.
    pub check: Check,
    /// What is wrong, and what would be right.
    pub message: Cow<'static, str>,
}

impl Rejection {
    /// A token that failed a check.
    pub fn new(check: Check, message: impl Into<Cow<'static, str>>) -> Self {
        Self { check, message: message.into() }
    }
}

/// What is checked of a token, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Check {
    /// Its length.
    Size,
    /// Three parts of canonical base64url, the first two JSON objects (RFC 7515 §3.1).
    Form,
    /// That exactly one configured issuer is named.
    Issuer,
    /// Members of its header that could change what is verified.
    Header,
    /// What kind of token it says it is (RFC 8725 §3.11).
    Type,
    /// How it is signed.
    Algorithm,
    /// The claims that every token of its profile has, and their types.
    Claims,
    /// For whom it was issued.
    Audience,
    /// That it has not expired.
    Expiry,
    /// That it is valid already.
    NotBefore,
    /// How old it is, and how long it may live.
    Age,
    /// Whether its issuer's keys are known at all.
    Keys,
    /// The key it names.
    Key,
    /// Its signature.
    Signature,
    /// That whoever shows it holds what it is bound to (RFC 7800).
    Confirmation,
    /// Who acts, and for whom, as its issuer's profile says.
    Profile,
}

impl Check {
    /// Every check, in order.
    pub const ALL: [Self; 16] = [
        Self::Size,
        Self::Form,
        Self::Issuer,
        Self::Header,
        Self::Type,
        Self::Algorithm,
        Self::Claims,
        Self::Audience,
        Self::Expiry,
        Self::NotBefore,
        Self::Age,
        Self::Keys,
        Self::Key,
        Self::Signature,
        Self::Confirmation,
        Self::Profile,
    ];

    /// The name that metrics and messages give it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Form => "form",
            Self::Issuer => "issuer",
            Self::Header => "header",
            Self::Type => "typ",
            Self::Algorithm => "algorithm",
            Self::Claims => "claims",
            Self::Audience => "audience",
            Self::Expiry => "expiry",
            Self::NotBefore => "not_before",
            Self::Age => "age",
            Self::Keys => "keys",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Confirmation => "confirmation",
            Self::Profile => "profile",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
