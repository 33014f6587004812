//! Tokens of subjects: which are believed, and what is made of them.

mod doors;
mod hostile;
mod issuer;
