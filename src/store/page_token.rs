//! Where to go on with a list that was given out in part: tokens that a caller can hand back and cannot make up.
//!
//! A token says what the list is of and which name it ended with. It names no world: a page is of the world that is served when
//! it is turned, and goes on behind that name, whatever became of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cedar_policy::{EntityId, EntityUid};

use super::Store;
use super::revision::TAG;

/// First byte of what is authenticated. Revisions begin with another.
const PURPOSE: u8 = b'p';
/// A token that was not given out for this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageTokenError {
    /// Nobody gave it out, or it was altered.
    #[error("is no token that this server gave out")]
    Unknown,
    /// It was given out for another question.
    #[error("is of another search: ask as before, or begin without it")]
    OtherList,
}

impl Store {
    /// The token of the page behind `last`, of the list of that name.
    pub fn page_token(&self, list: &str, last: &EntityUid) -> String {
        let mut bytes = Vec::new();
        for part in [list, last.type_name().to_string().as_str(), last.id().unescaped()] {
            bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        let tag = self.current().signer.tag(PURPOSE, &bytes);
        bytes.extend(tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The name behind which a token goes on.
    ///
    /// # Errors
    /// [`PageTokenError`].
    pub fn page_after(&self, list: &str, token: &str) -> Result<EntityUid, PageTokenError> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_error| PageTokenError::Unknown)?;
        let (body, tag) = bytes.split_last_chunk::<TAG>().ok_or(PageTokenError::Unknown)?;
        if !self.current().signer.is_tag(PURPOSE, body, tag) {
            return Err(PageTokenError::Unknown);
        }
        let (of, last) = read(body).ok_or(PageTokenError::Unknown)?;
        if of == list { Ok(last) } else { Err(PageTokenError::OtherList) }
    }
}

fn read(body: &[u8]) -> Option<(&str, EntityUid)> {
    let mut rest = body;
    let mut part = || {
        let (length, behind) = rest.split_first_chunk()?;
        let (part, behind) = behind.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        rest = behind;
        std::str::from_utf8(part).ok()
    };
    let (list, name, id) = (part()?, part()?, part()?);
    Some((list, EntityUid::from_type_name_and_id(name.parse().ok()?, EntityId::new(id))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::delegation::scene_for_tests::WORLD;

    fn uid(id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id("Mandate::Tool".parse().unwrap(), EntityId::new(id))
    }

    #[test]
    fn a_token_goes_on_where_its_list_ended_and_in_no_other() {
        let (store, other) = (Store::new(WORLD.clone()), Store::new(WORLD.clone()));
        for id in ["", "t1", "🦀 \"x\"\n"] {
            let token = store.page_token("one", &uid(id));
            assert_eq!(store.page_after("one", &token), Ok(uid(id)));
            assert_eq!(store.page_after("two", &token), Err(PageTokenError::OtherList));
            assert_eq!(other.page_after("one", &token), Err(PageTokenError::Unknown), "of another server");
        }
        for token in ["", "!", "AAAA", store.current().revision.as_ref()] {
            assert_eq!(store.page_after("one", token), Err(PageTokenError::Unknown), "{token}");
        }
    }

    #[test]
    fn a_change_of_any_bit_is_noticed() {
        let store = Store::new(WORLD.clone());
        let bytes = URL_SAFE_NO_PAD.decode(store.page_token("one", &uid("t1"))).unwrap();
        for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut forged = bytes.clone();
            forged[at] ^= 1 << bit;
            let forged = URL_SAFE_NO_PAD.encode(forged);
            assert_eq!(
                store.page_after("one", &forged),
                Err(PageTokenError::Unknown),
                "byte {at}, bit {bit}"
            );
        }
    }
}
