//! Who is asking, and on whose behalf: two different questions (C1). The *caller* is whoever is on the other end of a
//! connection, usually an enforcement point; the *subject* is who the decision is about. Who this process is itself, the
//! [`workload_api`] says, if it is asked.
//!
//! Of subjects, in reading order: [`subjects`] is the door; [`compact`] takes a token apart; an [`issuer`] checks its
//! [`header`] and [`claims`], finds the key in its [`jwks`] (kept by [`keys`], fetched by [`https`]), and its [`profile`]
//! says what the claims mean; [`verified`] remembers.

pub mod bundle;
pub mod caller;
pub mod caller_tokens;
pub mod callers;
pub mod claims;
pub mod compact;
pub mod credentials;
pub mod header;
pub mod https;
pub mod issuer;
pub mod jwks;
pub mod keys;
pub mod own;
pub mod peer;
pub mod profile;
pub mod rejection;
pub mod rights;
pub mod shown;
pub mod steps;
pub mod subjects;
pub mod svid;
pub mod verified;
pub mod workload_api;
