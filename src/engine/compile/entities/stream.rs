//! The elements of entity files, one after another, and the threads that read them.
//!
//! One thread finds where each element ends, several make something of each, and the caller takes what they made, in the
//! order of the files. At any time a few chunks of elements are under way, however large the files are.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle, scope};

use serde::Deserializer as _;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::engine::compile::workers::Workers;
use crate::engine::guard::{PARSER_STACK_BYTES, StackUnavailable};

/// Bytes of elements that a thread takes at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks that wait for each thread.
const WAITING: usize = 4;
/// What the parser of JSON calls white space.
const JSON_SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// An entity file that is text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'t> {
    pub(super) name: &'t str,
    pub(super) text: &'t str,
}

/// One element of a file, as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'t> {
    /// Which file.
    pub(super) file: usize,
    /// Where in the file, in bytes.
    pub(super) offset: usize,
    /// The element.
    pub(super) text: &'t str,
}

/// What comes out of files.
#[derive(Debug)]
pub(super) enum Found<'t, R> {
    /// An element, and what was made of it.
    Element(Element<'t>, R),
    /// The rest of a file is not what entity files are.
    Broken {
        /// Which file.
        file: usize,
        /// What is wrong.
        message: String,
    },
}

/// Makes something of each element, on the threads, and hands it to `take`, here, in the order of the files.
///
/// # Errors
/// [`StackUnavailable`] when the system gives no thread, or `work` panicked.
pub(super) fn each<'t, R: Send>(
    texts: &[Text<'t>],
    workers: &Workers,
    work: impl Fn(&Element<'t>) -> R + Sync,
    mut take: impl FnMut(Found<'t, R>),
) -> Result<(), StackUnavailable> {
    if texts.iter().map(|text| text.text.len()).sum::<usize>() <= CHUNK_BYTES {
        // Starting threads would take longer, and what is urgent is small.
        for (file, text) in texts.iter().enumerate() {
            let scanned = scan(file, text, |element| {
                take(Found::Element(element, work(&element)));
                true
            });
            if let Err(message) = scanned {
                take(Found::Broken { file, message });
            }
        }
        return Ok(());
    }
    let threads = workers.threads.get();
    scope(|scope| {
        let (jobs, waiting) = sync_channel(threads * WAITING);
        let (steps, taken) = sync_channel(2 * threads * WAITING);
        // Only the threads hold the receiver: if all of them have panicked, nobody waits for one to take a job.
        let waiting = Arc::new(Mutex::new(waiting));
        let started: Vec<_> = (0..threads)
            .map(|_| {
                let (waiting, work) = (Arc::clone(&waiting), &work);
                spawn(scope, move || {
                    work_off(&waiting, work);
                })
            })
            .collect::<Result<_, _>>()?;
        drop(waiting);
        let scanner = spawn(scope, move || scan_all(texts, &Queue { jobs, steps }))?;
        for step in taken {
            match step {
                Step::Chunk(made) => made.recv().into_iter().flatten().for_each(|(element, result)| {
                    take(Found::Element(element, result));
                }),
                Step::Broken { file, message } => take(Found::Broken { file, message }),
            }
        }
        // All of them, or leaving the scope panics for those that did.
        let ended: Vec<_> = started.into_iter().chain([scanner]).map(join).collect();
        ended.into_iter().collect()
    })
}

/// A chunk of elements, and where to send what is made of them.
struct Job<'t, R> {
    elements: Vec<Element<'t>>,
    made: SyncSender<Vec<(Element<'t>, R)>>,
}

/// What to take next, in the order of the files.
enum Step<'t, R> {
    Chunk(Receiver<Vec<(Element<'t>, R)>>),
    Broken { file: usize, message: String },
}

/// Where the scanner puts what it finds. Blocks while enough is under way.
struct Queue<'t, R> {
    jobs: SyncSender<Job<'t, R>>,
    steps: SyncSender<Step<'t, R>>,
}

impl<'t, R> Queue<'t, R> {
    /// Whether anybody is left to take it.
    fn put(&self, elements: Vec<Element<'t>>) -> bool {
        let (made, receiver) = sync_channel(1);
        self.steps.send(Step::Chunk(receiver)).is_ok() && self.jobs.send(Job { elements, made }).is_ok()
    }
}

fn scan_all<'t, R>(texts: &[Text<'t>], queue: &Queue<'t, R>) {
    for (file, text) in texts.iter().enumerate() {
        let (mut chunk, mut bytes, mut heard) = (Vec::new(), 0, true);
        let scanned = scan(file, text, |element| {
            chunk.push(element);
            bytes += element.text.len();
            if bytes >= CHUNK_BYTES {
                heard = queue.put(std::mem::take(&mut chunk));
                bytes = 0;
            }
            heard
        });
        if !heard || !queue.put(chunk) {
            return;
        }
        if let Err(message) = scanned
            && queue.steps.send(Step::Broken { file, message }).is_err()
        {
            return;
        }
    }
}

fn work_off<'t, R>(waiting: &Mutex<Receiver<Job<'t, R>>>, work: &impl Fn(&Element<'t>) -> R) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { elements, made }) = next else { return };
        let results = elements.into_iter().map(|element| {
            let result = work(&element);
            (element, result)
        });
        // Whoever waited for it may have given up.
        drop(made.send(results.collect()));
    }
}

fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, ()>, StackUnavailable> {
    Builder::new()
        .name("mandate-entities".to_owned())
        .stack_size(PARSER_STACK_BYTES)
        .spawn_scoped(scope, work)
        .map_err(|error| StackUnavailable(error.to_string()))
}

fn join(thread: ScopedJoinHandle<'_, ()>) -> Result<(), StackUnavailable> {
    thread.join().map_err(|_panic| StackUnavailable("a thread that reads entities panicked".to_owned()))
}

/// Finds every element of a file, for as long as `found` wants more.
fn scan<'t>(file: usize, text: &Text<'t>, found: impl FnMut(Element<'t>) -> bool) -> Result<(), String> {
    if text.name.ends_with(".jsonl") {
        scan_lines(file, text.text, found)
    } else {
        scan_array(file, text.text, found)
    }
}

/// `*.jsonl`: an element a line.
fn scan_lines<'t>(
    file: usize,
    text: &'t str,
    mut found: impl FnMut(Element<'t>) -> bool,
) -> Result<(), String> {
    let mut any = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let rest = line.trim_start_matches(JSON_SPACE);
        let offset = start + line.len() - rest.len();
        start += line.len();
        if rest.is_empty() {
            continue;
        }
        any = true;
        if !found(Element { file, offset, text: rest.trim_end_matches(JSON_SPACE) }) {
            break;
        }
    }
    if any { Ok(()) } else { Err("holds no entity; one line is one entity".to_owned()) }
}

/// `*.json`: one array.
fn scan_array<'t>(
    file: usize,
    text: &'t str,
    mut found: impl FnMut(Element<'t>) -> bool,
) -> Result<(), String> {
    let start = text.as_ptr() as usize;
    let found = |element: &'t str| {
        let offset = (element.as_ptr() as usize).saturating_sub(start);
        found(Element { file, offset, text: element })
    };
    let mut array = serde_json::Deserializer::from_str(text);
    let read = array.deserialize_seq(Elements(found)).and_then(|()| array.end());
    read.map_err(|error| error.to_string())
}

/// Visits the elements of an array without keeping them.
struct Elements<F>(F);

impl<'t, F: FnMut(&'t str) -> bool> Visitor<'t> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'t>>(mut self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(element) = sequence.next_element::<&RawValue>()? {
            if !(self.0)(element.get()) {
                return Err(A::Error::custom("not read to the end"));
            }
        }
        Ok(())
    }
}
