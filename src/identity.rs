//! Who is asking, and on whose behalf: two different questions (C1). The *caller* is whoever is on the other end of a
//! connection, usually an enforcement point; the *subject* is who the decision is about.

pub mod caller;
pub mod credentials;
