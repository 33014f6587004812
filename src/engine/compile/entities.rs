//! Entity files to the stored entities: a million of them, and then only those that changed.

mod beside;
mod element;
mod excerpt;
mod relations;
mod stream;

#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod reading_tests;

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;

use super::workers::Workers;
use crate::engine::catalog::Catalog;
use crate::engine::content::Sum;
use crate::engine::entities::{EntityStore, StoredEntity};
use crate::engine::generation::Strictness;
use crate::engine::guard::StackUnavailable;
use crate::engine::problem::{Place, Problem, Report, SourceFile};
use crate::engine::progress::Progress;
use crate::engine::version::Version;
pub use beside::Beside;
pub(super) use beside::Stored;
use element::{Named, Reader};
use excerpt::Excerpts;
use relations::check_parents;
use stream::{Element, Found, Text, each};

/// Most direct parents of one entity.
const MAX_PARENTS: usize = 10_000;
/// Most problems of one kind between entities that are reported each.
const MAX_ALIKE: usize = 20;
/// Most entities that are reported each because of what they say alone.
const MAX_REFUSED: usize = 1_000;

/// What was loaded last: files that did not change are not read again, and entities that did not keep their versions.
#[derive(Debug, Clone, Default)]
pub(super) struct EntityMemory {
    workers: Workers,
    progress: Arc<Progress>,
    last: Option<Arc<Last>>,
}

#[derive(Debug)]
struct Last {
    catalog: Arc<Catalog>,
    files: Vec<(String, Sum)>,
    store: EntityStore,
    /// Names what the store holds.
    state: Version,
    /// Warnings only: what was rejected is not remembered.
    found: Report,
}

impl EntityMemory {
    /// A memory of nothing, of loads on these threads.
    pub(super) fn new(workers: Workers) -> Self {
        Self { workers, ..Self::default() }
    }

    /// Counts loads there from now on.
    pub(super) fn report_to(&mut self, progress: Arc<Progress>) {
        self.progress = progress;
    }

    /// Parses, validates and relates every entity of the files, and puts those beside them. What comes out holds what loading
    /// them afresh would; with it comes a name that it keeps while the files hold the same.
    ///
    /// # Errors
    /// [`StackUnavailable`]. What is wrong with the entities goes to `report`.
    pub(super) fn load(
        &mut self,
        files: &[SourceFile],
        beside: &Beside,
        catalog: &Arc<Catalog>,
        report: &mut Report,
    ) -> Result<Stored, StackUnavailable> {
        let sums: Vec<(String, Sum)> =
            files.iter().map(|file| (file.name.clone(), *file.bytes.sum())).collect();
        let known =
            self.last.clone().filter(|last| Arc::ptr_eq(&last.catalog, catalog) && last.files == sums);
        if let Some(last) = &known
            && let Some(stored) = beside.as_served(last.state, catalog)
        {
            self.progress.begin(0);
            report.problems.extend(last.found.problems.iter().cloned());
            return Ok(stored);
        }
        let mut found = Report::default();
        let texts: Vec<Text<'_>> = files.iter().filter_map(|file| excerpt::text(file, &mut found)).collect();
        let reader = Reader::new(catalog);
        let (of_files, state) = match &known {
            Some(last) => {
                self.progress.begin(0);
                (last.store.clone(), last.state)
            }
            None => (self.read(&texts, &reader, &mut found)?, Version::next()),
        };
        let workers = &self.workers;
        let stored = beside.join((&of_files, state), files, &reader, catalog, workers, &mut found)?;
        relations::check(&texts, &stored.entities, &reader, catalog, workers, &mut found)?;
        report.problems.extend(found.problems.iter().cloned());
        if !found.rejects() {
            let catalog = Arc::clone(catalog);
            self.last = Some(Arc::new(Last { catalog, files: sums, store: of_files, state, found }));
        }
        Ok(stored)
    }

    /// The entities of files, as an edit of those of the last.
    fn read(
        &self,
        texts: &[Text<'_>],
        reader: &Reader<'_>,
        found: &mut Report,
    ) -> Result<EntityStore, StackUnavailable> {
        let Self { workers, progress, .. } = self;
        progress.begin(texts.iter().map(|text| text.text.len()).sum());
        let before = self.last.as_ref().map(|last| last.store.clone()).unwrap_or_default();
        let mut edit = Edit::of(&before, reader.strictness());
        each(
            texts,
            workers,
            |element| reader.read(element.text),
            |found| {
                if let Found::Element(element, _) = &found {
                    progress.add(element.text.len());
                }
                edit.take(found);
            },
        )?;
        let (store, refused) = edit.finish();
        refused.report(texts, reader, workers, found)?;
        Ok(store)
    }
}

/// What reads single entities as entity files are read, one text after another.
pub(in crate::engine) fn reader(
    catalog: &Catalog,
) -> impl Fn(&str) -> Result<(EntityUid, StoredEntity), String> + use<'_> {
    let reader = Reader::new(catalog);
    move |text| {
        let (uid, entity) = reader.read(text)?;
        relations::check_parents(&uid, &entity).map(|()| (uid, entity))
    }
}

/// Errors about entities of files that load, each where its entity stands first, in the order of the files.
///
/// # Errors
/// [`StackUnavailable`].
pub fn problems_at(
    files: &[SourceFile],
    catalog: &Catalog,
    found: Vec<(EntityUid, String, &'static str)>,
) -> Result<Vec<Problem>, StackUnavailable> {
    let texts: Vec<Text<'_>> =
        files.iter().filter_map(|file| excerpt::text(file, &mut Report::default())).collect();
    let wanted = found.iter().map(|(uid, ..)| uid).collect();
    let places = relations::places(&texts, &Reader::new(catalog), &Workers::default(), wanted)?;
    let place = |uid: &EntityUid| places.get(uid).copied().unwrap_or_default();
    let mut placed: Vec<_> =
        found.into_iter().map(|(uid, message, help)| (place(&uid), message, help)).collect();
    placed.sort();
    let mut excerpts = Excerpts::of(&texts);
    let problems = placed.into_iter().map(|((file, offset), message, help)| {
        let (place, span) = excerpts.around(file, offset);
        Problem::error(&place, message).at(span, None).help(help)
    });
    Ok(problems.collect())
}

/// The entities before, on the way to those that the files say.
struct Edit<'b> {
    strictness: Strictness,
    before: &'b EntityStore,
    /// Those of before that the files name.
    seen: HashSet<&'b EntityUid, RandomState>,
    store: EntityStore,
    refused: Refused,
}

impl<'b> Edit<'b> {
    fn of(before: &'b EntityStore, strictness: Strictness) -> Self {
        let seen = HashSet::with_capacity_and_hasher(before.len(), RandomState::default());
        Self { strictness, before, seen, store: before.clone(), refused: Refused::default() }
    }

    fn take(&mut self, found: Found<'_, Result<Named, String>>) {
        match found {
            Found::Element(element, Ok((uid, entity))) => self.add(element, uid, entity),
            Found::Element(element, Err(message)) => self.refused.push(element, Reason::Said(message)),
            Found::Broken { file, message } => {
                self.refused.broken.push((file, self.refused.each.len(), message))
            }
        }
    }

    fn add(&mut self, element: Element<'_>, uid: EntityUid, entity: StoredEntity) {
        let full = self.strictness == Strictness::Full;
        let known = self.before.entry(&uid);
        let is_repeated = match known {
            Some((uid, _)) => !self.seen.insert(uid),
            None => self.store.contains(&uid),
        };
        if is_repeated {
            let is_same = self.store.get(&uid).is_some_and(|first| first.holds_same(&entity));
            if full || !is_same {
                self.refused.push(element, Reason::Repeated(uid));
            }
        } else if let Err(message) = if full { check_parents(&uid, &entity) } else { Ok(()) } {
            self.refused.push(element, Reason::Said(message));
        } else if known.is_none_or(|(_, before)| !before.holds_same(&entity)) {
            self.store.put_unchecked(uid, entity);
        }
    }

    /// Forgets what the files no longer name.
    fn finish(mut self) -> (EntityStore, Refused) {
        if self.seen.len() < self.before.len() {
            let gone = self.before.iter().filter(|(uid, _)| !self.seen.contains(uid));
            gone.for_each(|(uid, _)| self.store.delete_unchecked(uid));
        }
        (self.store, self.refused)
    }
}

/// What is not stored, and why.
#[derive(Default)]
struct Refused {
    each: Vec<(relations::At, Reason)>,
    more: usize,
    /// Files that are not what entity files are, and how many of the others were found before.
    broken: Vec<(usize, usize, String)>,
}

enum Reason {
    Said(String),
    Repeated(EntityUid),
}

impl Refused {
    fn push(&mut self, element: Element<'_>, reason: Reason) {
        if self.each.len() < MAX_REFUSED {
            self.each.push(((element.file, element.offset), reason));
        } else {
            self.more += 1;
        }
    }

    fn report(
        self,
        texts: &[Text<'_>],
        reader: &Reader<'_>,
        workers: &Workers,
        report: &mut Report,
    ) -> Result<(), StackUnavailable> {
        let repeated = self.each.iter().filter_map(|(_, reason)| match reason {
            Reason::Repeated(uid) => Some(uid),
            Reason::Said(_) => None,
        });
        let repeated: HashSet<_, RandomState> = repeated.collect();
        let first = match repeated.is_empty() {
            true => Default::default(),
            false => relations::places(texts, reader, workers, repeated)?,
        };
        let mut firsts = Excerpts::of(texts);
        let mut excerpts = Excerpts::of(texts);
        let mut broken = self.broken.into_iter().peekable();
        let count = self.each.len();
        for (at, ((file, offset), reason)) in self.each.into_iter().enumerate() {
            while let Some((file, _, message)) = broken.next_if(|(_, before, _)| *before <= at) {
                report.push(broken_file(texts, file, message));
            }
            let message = match reason {
                Reason::Said(message) => message,
                Reason::Repeated(uid) => {
                    let (file, offset) = first.get(&uid).copied().unwrap_or_default();
                    format!("{uid} is given twice, first at {}", firsts.locate(file, offset))
                }
            };
            let (place, span) = excerpts.around(file, offset);
            report.push(Problem::error(&place, message).at(span, None));
        }
        for (file, _, message) in broken {
            report.push(broken_file(texts, file, message));
        }
        if self.more > 0 {
            let message = format!("and {} more beyond these {count}", self.more);
            report.push(Problem::error(&Place::new("entities", ""), message));
        }
        Ok(())
    }
}

fn broken_file(texts: &[Text<'_>], file: usize, message: String) -> Problem {
    let name = texts.get(file).map_or("", |text| text.name);
    let help = "an entity file is an array of {\"uid\": …, \"attrs\": …, \"parents\": …}; of a `.jsonl` file each line is one";
    Problem::error(&Place::new(name, ""), message).help(help)
}
