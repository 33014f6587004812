//! What is remembered of policy files: those that were entirely clean are taken over whole while neither they nor the
//! schema change, so that a load takes as long as its changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;

use super::origin::Origin;
use crate::engine::cedar::CompiledPolicy;
use crate::engine::content::Content;
use crate::engine::index::{ScopeKeys, Scopes};
use crate::engine::problem::{Place, SourceFile};
use crate::engine::version::Version;

/// Clean policies by their text. What is clean does not depend on other policies or on where it stands.
type ByText = HashMap<Arc<str>, Arc<CompiledPolicy>, RandomState>;

/// The clean policies of a set.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Files in which nothing else is, by name.
    files: HashMap<String, Arc<CleanFile>>,
    /// Policies of other files.
    others: ByText,
}

/// A file of policies, each clean by itself.
#[derive(Debug)]
pub(super) struct CleanFile {
    file: SourceFile,
    policies: Vec<Arc<CompiledPolicy>>,
    /// Where each begins.
    offsets: Vec<usize>,
    /// What their scopes ask, as it was told last.
    scopes: Mutex<Option<Arc<Scopes>>>,
    /// The state of the stored entities in which all that they name was stored, if there was one.
    stored_in: Mutex<Option<Version>>,
}

impl Known {
    /// How many files and single policies.
    pub(super) fn len(&self) -> usize {
        self.files.len() + self.others.len()
    }

    /// The same file, if it was clean.
    pub(super) fn file(&self, file: &SourceFile) -> Option<&Arc<CleanFile>> {
        self.files.get(&file.name).filter(|known| known.file.bytes == file.bytes)
    }

    pub(super) fn add_file(&mut self, file: Arc<CleanFile>) {
        self.files.insert(file.file.name.clone(), file);
    }

    pub(super) fn add_policy(&mut self, policy: &Arc<CompiledPolicy>) {
        self.others.insert(Arc::clone(policy.text()), Arc::clone(policy));
    }

    /// The policies by their text, less those of files that are `taken` over.
    pub(super) fn policies<'k>(
        &'k self,
        taken: &'k HashMap<&str, &Arc<CleanFile>>,
    ) -> impl Iterator<Item = (&'k str, &'k Arc<CompiledPolicy>)> {
        let is_taken =
            |file: &Arc<CleanFile>| taken.get(file.name()).is_some_and(|taken| Arc::ptr_eq(taken, file));
        let left = self.files.values().filter(move |file| !is_taken(file));
        let of_files = left.flat_map(|file| &file.policies).map(|policy| (&**policy.text(), policy));
        of_files.chain(self.others.iter().map(|(text, policy)| (&**text, policy)))
    }
}

impl CleanFile {
    /// A file of these policies, each with the place where it begins.
    pub(super) fn new(
        name: &str,
        bytes: Content,
        policies: impl IntoIterator<Item = (Arc<CompiledPolicy>, usize)>,
    ) -> Self {
        let (policies, offsets) = policies.into_iter().unzip();
        let file = SourceFile { name: name.to_owned(), bytes };
        Self { file, policies, offsets, scopes: Mutex::default(), stored_in: Mutex::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.file.name
    }

    pub(super) fn policies(&self) -> &[Arc<CompiledPolicy>] {
        &self.policies
    }

    /// Where each policy stands.
    pub(super) fn origins(&self) -> impl Iterator<Item = (&Arc<CompiledPolicy>, Origin)> {
        // It compiled: it is text.
        let place = Place::new(&self.file.name, &String::from_utf8_lossy(&self.file.bytes));
        let offsets = self.offsets.iter();
        let origins = offsets.map(move |offset| Origin { place: place.clone(), offset: *offset });
        self.policies.iter().zip(origins)
    }

    /// What the scopes ask, told in `keys`.
    pub(super) fn scopes(&self, keys: &mut Arc<ScopeKeys>) -> Arc<Scopes> {
        let mut told = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        match &*told {
            Some(scopes) if keys.means(scopes) => Arc::clone(scopes),
            _ => {
                let policies = self.policies.iter().map(|policy| &**policy);
                let scopes = Arc::new(ScopeKeys::scopes(keys, policies));
                *told = Some(Arc::clone(&scopes));
                scopes
            }
        }
    }

    /// Whether all that the policies name is stored, as far as is known.
    pub(super) fn is_stored_in(&self, entities: Version) -> bool {
        *self.stored_in.lock().unwrap_or_else(PoisonError::into_inner) == Some(entities)
    }

    /// Notes that all that the policies name is stored.
    pub(super) fn note_stored_in(&self, entities: Version) {
        *self.stored_in.lock().unwrap_or_else(PoisonError::into_inner) = Some(entities);
    }
}
