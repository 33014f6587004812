//! Lists of entities, page by page: every page of one list is of one world, however long it takes to turn them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cedar_policy::EntityTypeName;
use uuid::Uuid;

use super::stored;
use super::{pb, wire};
use crate::engine::request::InvalidRequest;
use crate::store::Published;
use prost::Message as _;

/// Entities on a page, where nobody says how many.
const USUAL_PAGE: usize = 100;
/// Most entities on a page.
const MAX_PAGE: usize = 1_000;
/// Bytes after which a page is full.
const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;
/// Lists that are kept open at most; of more, the oldest ends.
const MAX_OPEN: usize = 32;
/// How long the next page may be asked for.
const OPEN: Duration = Duration::from_secs(300);

/// Lists that somebody may turn the page of.
#[derive(Debug, Default)]
pub(super) struct Listings(Mutex<VecDeque<Open>>);

#[derive(Debug, Clone)]
struct Open {
    id: Uuid,
    since: Instant,
    type_name: String,
    published: Arc<Published>,
}

/// A page that is asked for.
pub(super) struct Page {
    open: Open,
    /// The last id of the page before.
    after: Option<String>,
    size: usize,
}

impl Listings {
    /// The page that a request asks for.
    ///
    /// # Errors
    /// [`InvalidRequest`]: the size or the token is none; or the list has ended.
    pub(super) fn page(
        &self,
        request: &pb::ListEntitiesRequest,
        current: &Arc<Published>,
    ) -> Result<Page, InvalidRequest> {
        let pb::ListEntitiesRequest { r#type: type_name, page_token, page_size } = request;
        let size = match usize::try_from(*page_size).unwrap_or(usize::MAX) {
            0 => USUAL_PAGE,
            size if size <= MAX_PAGE => size,
            size => {
                let message = format!("is {size}; the limit is {MAX_PAGE}");
                return Err(InvalidRequest::field("page_size", message));
            }
        };
        if page_token.is_empty() {
            let (id, since, published) = (Uuid::now_v7(), Instant::now(), Arc::clone(current));
            let open = Open { id, since, type_name: type_name.clone(), published };
            return Ok(Page { open, after: None, size });
        }
        wire::check_length("page_token", page_token)?;
        let wrong = |message: &str| InvalidRequest::field("page_token", message);
        let bytes = URL_SAFE_NO_PAD.decode(page_token).ok();
        let read = bytes.as_deref().and_then(|bytes| bytes.split_first_chunk::<16>());
        let (id, after) = read.ok_or_else(|| wrong("is none that was given out"))?;
        let after =
            String::from_utf8(after.to_vec()).map_err(|_error| wrong("is none that was given out"))?;
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = lists.iter().find(|open| open.id.as_bytes() == id && open.since.elapsed() < OPEN).cloned();
        let open = open.ok_or_else(|| wrong("is of a list that has ended: begin again"))?;
        if open.type_name != *type_name {
            return Err(wrong("is of a list of another type"));
        }
        Ok(Page { open, after: Some(after), size })
    }

    /// Keeps a list open, for the next page.
    fn keep(&self, open: Open) {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.retain(|known| known.id != open.id && known.since.elapsed() < OPEN);
        lists.push_back(open);
        while lists.len() > MAX_OPEN {
            lists.pop_front();
        }
    }

    /// The page. Looks at every entity: not for a thread that answers others.
    pub(super) fn turn(&self, page: Page, of: &EntityTypeName) -> pb::ListEntitiesResponse {
        let Page { open, after, size } = page;
        let world = &open.published.world;
        let mut next: BTreeSet<(&str, &cedar_policy::EntityUid)> = BTreeSet::new();
        let of_type = world.entities.iter().map(|(uid, _)| uid).filter(|uid| uid.type_name() == of);
        for uid in of_type {
            let id = uid.id().unescaped();
            if after.as_deref().is_none_or(|after| id > after) {
                next.insert((id, uid));
                // One more tells whether there is another page.
                if next.len() > size + 1 {
                    next.pop_last();
                }
            }
        }
        let more = next.len() > size;
        let (mut entities, mut bytes, mut last) = (Vec::new(), 0, None);
        let mut cut = false;
        for (id, uid) in next.iter().take(size) {
            let Some(entity) = stored::message(world, uid) else { continue };
            bytes += entity.encoded_len();
            if bytes > MAX_PAGE_BYTES && last.is_some() {
                cut = true;
                break;
            }
            entities.push(entity);
            last = Some((*id).to_owned());
        }
        let token = last.filter(|_| more || cut).map(|last| {
            let bytes = [open.id.as_bytes().as_slice(), last.as_bytes()].concat();
            URL_SAFE_NO_PAD.encode(bytes)
        });
        let revision = open.published.revision.to_string();
        if token.is_some() {
            self.keep(open.clone());
        }
        pb::ListEntitiesResponse { entities, next_page_token: token.unwrap_or_default(), revision }
    }
}
