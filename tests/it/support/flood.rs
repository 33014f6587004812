//! More requests than a server can answer, by a client that costs next to nothing: HTTP/2 frames are written as they are made
//! once, and read as far as it takes to see what came of each call.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use mandate::server::pb;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Calls that a connection may have under way, as the server says it.
const STREAMS: usize = 100;
/// How long what is under way at the end may take: who is turned away is held back for ten seconds at most.
const PATIENCE: Duration = Duration::from_secs(12);

/// How calls come.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// So many a second, however many have been answered.
    PerSecond(f64),
    /// So many under way at any time.
    UnderWay(usize),
}

/// A flood to come.
#[derive(Debug, Clone)]
pub(crate) struct Flood {
    /// Where to: `http://127.0.0.1:4466`.
    pub(crate) address: String,
    pub(crate) question: pb::AuthorizeRequest,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    pub(crate) lasting: Duration,
}

/// What came of a flood.
#[derive(Debug, Default)]
pub(crate) struct Washed {
    /// How long each answer took that allowed.
    pub(crate) allowed: Vec<Duration>,
    /// Answers that did not allow.
    pub(crate) denied: usize,
    /// How long each refusal took: gRPC calls that ended without a message.
    pub(crate) refused: Vec<Duration>,
    /// Calls that were not made, for the connection had as many under way as it may.
    pub(crate) held_off: usize,
    /// Calls that were reset, or never ended.
    pub(crate) lost: usize,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Washed {
    /// Calls that were allowed, in a second.
    pub(crate) fn goodput(&self) -> f64 {
        self.allowed.len() as f64 / self.took.as_secs_f64()
    }

    /// The time that so many of a hundred calls took at most.
    pub(crate) fn percentile(times: &[Duration], percent: usize) -> Duration {
        let mut times = times.to_vec();
        times.sort_unstable();
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).copied().unwrap_or_default()
    }

    fn add(&mut self, other: Self) {
        self.allowed.extend(other.allowed);
        self.denied += other.denied;
        self.refused.extend(other.refused);
        self.held_off += other.held_off;
        self.lost += other.lost;
        self.took = self.took.max(other.took);
    }
}

impl Flood {
    /// Lets it come.
    pub(crate) fn wash(&self) -> Washed {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut connections = JoinSet::new();
            for number in 0..self.connections {
                let address = self.address.trim_start_matches("http://").to_owned();
                let stream = TcpStream::connect(&address).await.expect("a connection");
                stream.set_nodelay(true).expect("a socket");
                let connection = Connection::new(stream, &address, &self.question);
                let pace = match self.pace {
                    Pace::PerSecond(calls) => Pace::PerSecond(calls / self.connections as f64),
                    Pace::UnderWay(calls) => {
                        let more = usize::from(number < calls % self.connections);
                        Pace::UnderWay(calls / self.connections + more)
                    }
                };
                connections.spawn(connection.wash(pace, self.lasting));
            }
            let mut washed = Washed::default();
            connections.join_all().await.into_iter().for_each(|own| washed.add(own));
            washed
        })
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A header block that puts nothing into tables (RFC 7541 §6.2.2): it is the same for every call.
fn header_block(authority: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).expect("a short text");
        [&[length], text.as_bytes()].concat()
    };
    let named = |name: &str, value: &str| [vec![0], text(name), text(value)].concat();
    [
        vec![0x83, 0x86, 0x04],
        text("/mandate.v1.AuthorizationService/Authorize"),
        vec![0x01],
        text(authority),
        named("content-type", "application/grpc"),
        named("te", "trailers"),
    ]
    .concat()
}

struct Connection {
    stream: TcpStream,
    headers: Vec<u8>,
    data: Vec<u8>,
    sent: HashMap<u32, Instant>,
    next: u32,
    out: Vec<u8>,
    input: Vec<u8>,
    washed: Washed,
    gone: bool,
}

impl Connection {
    fn new(stream: TcpStream, authority: &str, question: &pb::AuthorizeRequest) -> Self {
        let message = question.encode_to_vec();
        let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
        let message = [&[0], &length[..], &message].concat();
        let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        out.extend(frame(SETTINGS, 0, 0, &[]));
        // What answers hold is never too much.
        out.extend(frame(WINDOW_UPDATE, 0, 0, &0x3fff_0000_u32.to_be_bytes()));
        Self {
            stream,
            headers: frame(HEADERS, END_HEADERS, 0, &header_block(authority)),
            data: frame(DATA, END_STREAM, 0, &message),
            sent: HashMap::new(),
            next: 1,
            out,
            input: Vec::new(),
            washed: Washed::default(),
            gone: false,
        }
    }

    async fn wash(mut self, pace: Pace, lasting: Duration) -> Washed {
        let begun = Instant::now();
        let mut due = 0;
        let mut ticks = tokio::time::interval(Duration::from_millis(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while begun.elapsed() < lasting && !self.gone {
            match pace {
                Pace::PerSecond(calls) => {
                    let every = Duration::from_secs_f64(1.0 / calls);
                    let until = begun.elapsed().as_nanos() / every.as_nanos();
                    for _ in due..until {
                        self.ask(STREAMS);
                    }
                    due = until;
                }
                Pace::UnderWay(calls) => {
                    while self.sent.len() < calls {
                        self.ask(calls);
                    }
                }
            }
            self.exchange(&mut ticks).await;
        }
        self.washed.took = begun.elapsed();
        let ended = Instant::now();
        while !self.sent.is_empty() && ended.elapsed() < PATIENCE && !self.gone {
            self.exchange(&mut ticks).await;
        }
        self.washed.lost += self.sent.len();
        self.washed
    }

    /// Makes a call, if there may be one more.
    fn ask(&mut self, most: usize) {
        if self.sent.len() >= most {
            self.washed.held_off += 1;
            return;
        }
        for part in [&self.headers, &self.data] {
            let at = self.out.len();
            self.out.extend_from_slice(part);
            self.out[at + 5..at + 9].copy_from_slice(&self.next.to_be_bytes());
        }
        self.sent.insert(self.next, Instant::now());
        self.next += 2;
    }

    /// Writes what there is, and reads what has come, or waits for a moment.
    async fn exchange(&mut self, ticks: &mut tokio::time::Interval) {
        if !self.out.is_empty()
            && let Ok(written) = self.stream.try_write(&self.out)
        {
            self.out.drain(..written);
        }
        tokio::select! {
            biased;
            ready = self.stream.readable() => {
                ready.expect("a socket");
                let mut bytes = [0; 65_536];
                match self.stream.try_read(&mut bytes) {
                    Ok(0) => self.gone = true,
                    Ok(read) => {
                        self.input.extend_from_slice(&bytes[..read]);
                        self.take_frames();
                    }
                    Err(error) => self.gone = error.kind() != std::io::ErrorKind::WouldBlock,
                }
            }
            _ = ticks.tick() => {}
        }
    }

    fn take_frames(&mut self) {
        let input = std::mem::take(&mut self.input);
        let mut rest = &input[..];
        while let Some((head, after)) = rest.split_at_checked(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, next)) = after.split_at_checked(length) else { break };
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            self.take(head[3], head[4], stream, payload);
            rest = next;
        }
        self.input = rest.to_vec();
    }

    fn take(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        match kind {
            SETTINGS if flags & ACK == 0 => self.out.extend(frame(SETTINGS, ACK, 0, &[])),
            PING if flags & ACK == 0 => self.out.extend(frame(PING, ACK, 0, payload)),
            GOAWAY => self.gone = true,
            DATA => {
                let Some(sent) = self.sent.remove(&stream) else { return };
                let answer = pb::AuthorizeResponse::decode(&payload[5.min(payload.len())..]);
                match answer.map(|answer| answer.decision()) {
                    Ok(pb::Decision::Allow) => self.washed.allowed.push(sent.elapsed()),
                    _ => self.washed.denied += 1,
                }
            }
            HEADERS if flags & END_STREAM != 0 => {
                if let Some(sent) = self.sent.remove(&stream) {
                    self.washed.refused.push(sent.elapsed());
                }
            }
            RST_STREAM => self.washed.lost += usize::from(self.sent.remove(&stream).is_some()),
            _ => {}
        }
    }
}
