//! `mandate.v1.DecisionLogService` on the control listener: what was decided, to those who may read it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::administrators::Administrator;
use super::pb::decision_log_service_server::DecisionLogService;
use super::{deadline, log_query, pb, status};
use crate::audit::reading::query::{Field, Query, Term};
use crate::audit::reading::search::{Hit, Indexes, Search};
use crate::audit::reading::seen::Seen;
use crate::audit::reading::source::Source;
use crate::audit::spool::reader::{LogReader, ReadError};
use crate::engine::request::InvalidRequest;
use crate::identity::rights::Right;
use crate::pdp::{Call, Pdp};

/// Queries at one time. Each has a thread, and reads the disk.
const QUERIES: usize = 4;
/// Callers that follow at one time.
const TAILS: usize = 32;
/// Records that are ready before the caller takes them.
const AHEAD: usize = 64;
/// How long a caller may leave a record untaken: whoever waits for a place must get one.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// Records, and about how many bytes of them, that are read at once for one who follows.
const TOGETHER: (usize, usize) = (256, 1024 * 1024);
/// How often somebody's rights are looked at where there is nothing to tell.
const LOOK: Duration = Duration::from_secs(5);

/// The log, for those who may read it.
#[derive(Debug, Clone)]
pub(super) struct LogReading {
    pdp: Arc<Pdp>,
    queries: Arc<Semaphore>,
    tails: Arc<Semaphore>,
}

impl LogReading {
    pub(super) fn new(pdp: Arc<Pdp>) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { pdp, queries: places(QUERIES), tails: places(TAILS) }
    }

    fn refuse(&self, call: &Call, invalid: InvalidRequest) -> Status {
        status::refused(&self.pdp.refuse(call, invalid.into()))
    }

    fn source(&self) -> Result<Source, Status> {
        let source = self.pdp.log_source().cloned();
        source.ok_or_else(|| Status::failed_precondition("nothing is recorded here: `log.mode` is \"off\""))
    }
}

fn place(of: &Arc<Semaphore>, what: &str) -> Result<OwnedSemaphorePermit, Status> {
    let full = |_full| Status::resource_exhausted(format!("too many {what} at one time: try again later"));
    Arc::clone(of).try_acquire_owned().map_err(full)
}

/// What is said of a log that cannot be read: the administrator's own problem, which names files.
fn unread(error: &ReadError) -> Status {
    match error {
        ReadError::Gone { .. } => Status::failed_precondition(error.to_string()),
        ReadError::Folder { .. } => Status::unavailable(error.to_string()),
        ReadError::Missing { .. } | ReadError::Segment { .. } => Status::data_loss(error.to_string()),
    }
}

fn message(line: Vec<u8>) -> Result<pb::LogRecord, Status> {
    let json = String::from_utf8(line).map_err(|_error| Status::data_loss("a record is not UTF-8"))?;
    Ok(pb::LogRecord { json })
}

#[tonic::async_trait]
impl DecisionLogService for LogReading {
    type QueryStream = BoxStream<pb::LogRecord>;

    async fn query(&self, request: Request<pb::QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        let (administrator, call) = (Administrator::of(&request)?, deadline::call(&request)?);
        administrator.may(&Right::ReadLog)?;
        let asked = request.into_inner();
        let limit = if asked.limit == 0 { u32::MAX } else { asked.limit };
        let query = log_query::of(asked).map_err(|invalid| self.refuse(&call, invalid))?;
        let (source, place) = (self.source()?, place(&self.queries, "queries")?);
        let (records, taken) = mpsc::channel(AHEAD);
        let asking = Asking { administrator, records, to: Handle::current(), _place: place };
        spawn_blocking(move || asking.answer(&source, query, limit));
        let next = |mut taken: mpsc::Receiver<_>| async move { Some((taken.recv().await?, taken)) };
        Ok(Response::new(Box::pin(stream::unfold(taken, next))))
    }

    type TailStream = BoxStream<pb::LogRecord>;

    async fn tail(&self, request: Request<pb::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        let (administrator, call) = (Administrator::of(&request)?, deadline::call(&request)?);
        administrator.may(&Right::ReadLog)?;
        let after = request.into_inner().after_decision_id;
        let (source, place) = (self.source()?, place(&self.tails, "callers follow the log")?);
        let from = if after.is_empty() {
            source.synced()
        } else {
            let id =
                log_query::id("after_decision_id", &after).map_err(|invalid| self.refuse(&call, invalid))?;
            let _reads = self
                .queries
                .acquire()
                .await
                .map_err(|_closed| Status::unavailable("the server is stopping"))?;
            let source = source.clone();
            let found = spawn_blocking(move || behind(&source, &id)).await;
            found.map_err(|_panic| Status::internal("the log could not be searched"))??
        };
        let reader = Some(LogReader::new(&source.directory, from));
        let tailing =
            Tailing { reader, source, administrator, waiting: VecDeque::new(), ended: false, _place: place };
        Ok(Response::new(Box::pin(tailing.into_stream())))
    }

    async fn report_outcome(
        &self,
        _request: Request<pb::ReportOutcomeRequest>,
    ) -> Result<Response<pb::ReportOutcomeResponse>, Status> {
        Err(Status::unimplemented("outcomes are reported on the data listener"))
    }
}

/// The sequence behind the record with this id.
fn behind(source: &Source, id: &str) -> Result<u64, Status> {
    let query = Query { terms: vec![Term::new(Field::DecisionId, id)], ..Query::default() };
    let search = Search::new(&source.directory, query, source.synced(), Indexes::Use);
    for hit in search.map_err(|error| unread(&error))? {
        let hit = hit.map_err(|error| unread(&error))?;
        // Outcomes name the decision they are of, too.
        if Seen::read(&hit.line).decision_id == id {
            return Ok(hit.sequence + 1);
        }
    }
    Err(Status::not_found(format!("no record {id} is in the log: it is kept no longer, or never was there")))
}

/// A query that is answered.
#[derive(Debug)]
struct Asking {
    administrator: Administrator,
    records: mpsc::Sender<Result<pb::LogRecord, Status>>,
    to: Handle,
    _place: OwnedSemaphorePermit,
}

impl Asking {
    /// Sends what is found, until the caller has enough, or may not have it any more.
    fn answer(self, source: &Source, query: Query, limit: u32) {
        let search = match Search::new(&source.directory, query, source.synced(), Indexes::Use) {
            Ok(search) => search,
            Err(error) => {
                self.send(Err(unread(&error)));
                return;
            }
        };
        for (_, found) in (0..limit).zip(search) {
            let record = self.entitled(found);
            let goes_on = record.is_ok();
            if !self.send(record) || !goes_on {
                return;
            }
        }
    }

    fn entitled(&self, found: Result<Hit, ReadError>) -> Result<pb::LogRecord, Status> {
        let hit = found.map_err(|error| unread(&error))?;
        // Rights are looked at for every message, as for every question (C10).
        self.administrator.may(&Right::ReadLog)?;
        message(hit.line)
    }

    /// Whether the caller took it.
    fn send(&self, record: Result<pb::LogRecord, Status>) -> bool {
        let sent = self.to.block_on(timeout(TAKEN_WITHIN, self.records.send(record)));
        matches!(sent, Ok(Ok(())))
    }
}

/// Somebody follows the log.
#[derive(Debug)]
struct Tailing {
    /// None only while it reads.
    reader: Option<LogReader>,
    source: Source,
    administrator: Administrator,
    waiting: VecDeque<Vec<u8>>,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl Tailing {
    fn into_stream(self) -> impl Stream<Item = Result<pb::LogRecord, Status>> {
        stream::unfold(self, |mut tailing| async move {
            if tailing.ended {
                return None;
            }
            let next = tailing.next().await;
            tailing.ended = next.is_err();
            Some((next, tailing))
        })
    }

    async fn next(&mut self) -> Result<pb::LogRecord, Status> {
        while self.waiting.is_empty() {
            if !self.read().await? {
                self.wait().await?;
            }
        }
        self.administrator.may(&Right::ReadLog)?;
        message(self.waiting.pop_front().unwrap_or_default())
    }

    /// Reads what is synced; whether there was something.
    async fn read(&mut self) -> Result<bool, Status> {
        let lost = || Status::internal("the log could not be read");
        let mut reader = self.reader.take().ok_or_else(lost)?;
        let until = self.source.progress.borrow_and_update().synced;
        if reader.next() >= until {
            self.reader = Some(reader);
            return Ok(false);
        }
        let (records, bytes) = TOGETHER;
        let read = spawn_blocking(move || (reader.read(until, records, bytes), reader)).await;
        let (read, reader) = read.map_err(|_panic| lost())?;
        self.reader = Some(reader);
        self.waiting.extend(read.map_err(|error| unread(&error))?.into_iter().map(|entry| entry.line));
        Ok(!self.waiting.is_empty())
    }

    /// Waits until there may be more, or the caller's rights are to be looked at.
    async fn wait(&mut self) -> Result<(), Status> {
        let long = self.administrator.expires().map_or(LOOK, |left| left.min(LOOK));
        if let Ok(Err(_gone)) = timeout(long, self.source.progress.changed()).await {
            return Err(Status::unavailable("the decision log has ended"));
        }
        self.administrator.may(&Right::ReadLog)
    }
}
