//! Tokens of subjects: which are believed, and what is made of them.

mod doors;
mod fetching;
mod granted;
mod hostile;
mod inspect;
mod issuer;
mod provider;
mod secured;
mod written;
