//! How large what is asked may be, before anybody looks into it.

use crate::engine::request::InvalidRequest;

/// How large what is asked may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Largest message of a question or a batch, and largest body of one, in bytes.
    pub message_bytes: usize,
    /// Most questions in a batch.
    pub batch_items: usize,
    /// Most bytes of a batch once every question has taken what it inherits.
    pub batch_bytes: usize,
}

impl Sizes {
    /// Holds a batch to the limits: a list of so many questions, each of which inherits so many bytes.
    ///
    /// # Errors
    /// [`InvalidRequest`] at the list, or at what is inherited, with the limit and what is over it.
    pub fn check_batch(
        &self,
        (list, items): (&str, usize),
        (inherited, bytes): (&str, usize),
    ) -> Result<(), InvalidRequest> {
        let Self { batch_items, batch_bytes, .. } = self;
        if items > *batch_items {
            let message = format!("has {items} items; the limit is {batch_items} (`limits.batch_items`)");
            return Err(InvalidRequest::field(list, message));
        }
        let bytes = bytes.saturating_mul(items);
        if bytes > *batch_bytes {
            let message = format!(
                "comes to {bytes} bytes over all items; the limit is {batch_bytes} (`limits.batch_bytes`)"
            );
            return Err(InvalidRequest::field(inherited, message));
        }
        Ok(())
    }
}
