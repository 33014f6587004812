//! Those who want a server to be busy with them and nobody else. They come from another address of this host, and come back
//! whenever they are put out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};

use super::frames::{END_HEADERS, END_STREAM, Kind, call, field, frame, greeting, headers};

/// How long one waits before it comes back.
const PAUSE: Duration = Duration::from_millis(100);
/// How long one waits between two bytes, where it is slow.
const SLOW: Duration = Duration::from_millis(500);
/// How often one sends, where it is fast.
const TICK: Duration = Duration::from_millis(5);
/// Bytes that are taken in for one that reads nothing. With what Linux gives by itself it could ask a hundred thousand questions
/// before an answer had to wait, which is a flood and not a slow reader.
const UNREAD: u32 = 4096;

/// What they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Attack {
    /// Nothing.
    Silence,
    /// A request of HTTP/1 whose headers never end.
    SlowHeaders,
    /// A preface that never ends.
    SlowPreface,
    /// A message that never ends.
    SlowMessage,
    /// A `ClientHello` that comes byte by byte, and never whole.
    SlowHello,
    /// Calls whose answers are never read.
    NeverReading,
    /// Calls whose answers may not be sent.
    ZeroWindow,
    /// Calls that are taken back at once: 20,000 a second (CVE-2023-44487).
    RapidReset,
    /// Calls that break the protocol (RUSTSEC-2024-0003).
    ErrorReset,
    /// Headers that go on and on (RUSTSEC-2024-0332).
    Continuation,
    /// Frames of nothing (RUSTSEC-2026-0258).
    EmptyData,
    /// Pings.
    Pings,
    /// Settings.
    Settings,
    /// Headers of a thousand fields.
    ManyFields,
    /// Headers of 64 KiB.
    LargeHeaders,
}

/// How it went.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) connected: AtomicU64,
    pub(super) put_out: AtomicU64,
    /// The longest that one was let be, in milliseconds.
    pub(super) longest: AtomicU64,
}

/// Attackers at work, until this is dropped.
#[derive(Debug)]
pub(super) struct Attackers {
    pub(super) account: Arc<Account>,
    runtime: Option<Runtime>,
}

impl Attackers {
    /// So many of each, on this listener.
    pub(super) fn begin(address: &str, attacks: &[(Attack, usize)]) -> Self {
        let address = address.split_once("://").unwrap().1.parse().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let account = Arc::new(Account::default());
        for (attack, count) in attacks {
            for _ in 0..*count {
                runtime.spawn(go_on(address, *attack, Arc::clone(&account)));
            }
        }
        Self { account, runtime: Some(runtime) }
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_timeout(Duration::from_secs(5));
    }
}

async fn go_on(address: SocketAddr, attack: Attack, account: Arc<Account>) {
    loop {
        let socket = TcpSocket::new_v4().unwrap();
        if attack == Attack::NeverReading {
            socket.set_recv_buffer_size(UNREAD).unwrap();
        }
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        if let Ok(stream) = socket.connect(address).await {
            account.connected.fetch_add(1, Ordering::Relaxed);
            let begun = Instant::now();
            let _put_out = attack.make(stream).await;
            account.put_out.fetch_add(1, Ordering::Relaxed);
            let lasted = u64::try_from(begun.elapsed().as_millis()).unwrap();
            account.longest.fetch_max(lasted, Ordering::Relaxed);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Attack {
    /// Goes on until the other end has had enough.
    async fn make(self, stream: TcpStream) -> io::Result<()> {
        let settings = greeting(&[]);
        let open = [&settings[..], &headers(1)].concat();
        match self {
            Self::Silence => every(stream, SLOW, &[], |_| Vec::new()).await,
            Self::SlowHeaders => {
                every(stream, SLOW, b"POST /access/v1/evaluation HTTP/1.1\r\nhost: ", one_byte).await
            }
            Self::SlowPreface => {
                every(stream, SLOW, b"PRI * HTTP/2.0\r\n", |turn| [b"\r\nSM\r"[turn % 5]].into()).await
            }
            Self::SlowMessage => every(stream, SLOW, &open, |_| frame(Kind::Data, 0, 1, b"\0")).await,
            // A record of a handshake, 512 bytes long, of which one comes at a time (RFC 8446 §5.1).
            Self::SlowHello => {
                every(stream, SLOW, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", one_byte).await
            }
            Self::NeverReading => never_reading(stream).await,
            Self::ZeroWindow => every(stream, SLOW, &greeting(&[(4, 0)]), |turn| calls(turn, 20)).await,
            Self::RapidReset => every(stream, TICK, &settings, rapid).await,
            Self::ErrorReset => every(stream, TICK, &settings, |turn| broken(turn, 10)).await,
            Self::Continuation => {
                let begun = [settings, frame(Kind::Headers, 0, 1, &call())].concat();
                every(stream, TICK, &begun, |_| {
                    frame(Kind::Continuation, 0, 1, &field("x-on", &"a".repeat(100)))
                })
                .await
            }
            Self::EmptyData => every(stream, TICK, &open, |_| frame(Kind::Data, 0, 1, &[]).repeat(100)).await,
            Self::Pings => {
                every(stream, TICK, &settings, |_| frame(Kind::Ping, 0, 0, &[7; 8]).repeat(100)).await
            }
            Self::Settings => {
                every(stream, TICK, &settings, |_| frame(Kind::Settings, 0, 0, &[]).repeat(100)).await
            }
            Self::ManyFields => every(stream, SLOW, &settings, |turn| many_fields(turn, "a")).await,
            Self::LargeHeaders => {
                every(stream, SLOW, &settings, |turn| many_fields(turn, &"a".repeat(60))).await
            }
        }
    }
}

fn one_byte(_turn: usize) -> Vec<u8> {
    vec![b'a']
}

/// The number of a client's stream, of so many in a turn.
fn stream(turn: usize, of: usize, place: usize) -> u32 {
    u32::try_from(2 * (turn * of + place) + 1).unwrap()
}

/// Whole calls, of an empty message.
fn calls(turn: usize, count: usize) -> Vec<u8> {
    let call = |place| {
        let stream = stream(turn, count, place);
        [headers(stream), frame(Kind::Data, END_STREAM, stream, &[0; 5])].concat()
    };
    (0..count).flat_map(call).collect()
}

/// A hundred calls that are begun and taken back.
fn rapid(turn: usize) -> Vec<u8> {
    let reset = |place| {
        let stream = stream(turn, 100, place);
        [headers(stream), frame(Kind::Reset, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    (0..100).flat_map(reset).collect()
}

/// Calls that say more after they have said all.
fn broken(turn: usize, count: usize) -> Vec<u8> {
    let broken = |place| {
        let stream = stream(turn, count, place);
        let whole = frame(Kind::Headers, END_HEADERS | END_STREAM, stream, &call());
        [whole, frame(Kind::Data, 0, stream, b"more")].concat()
    };
    (0..count).flat_map(broken).collect()
}

/// A call of a thousand header fields.
fn many_fields(turn: usize, value: &str) -> Vec<u8> {
    let stream = stream(turn, 1, 0);
    let fields: Vec<_> = (0..1000).map(|number| field(&format!("x-{number}"), value)).collect();
    let mut frames = frame(Kind::Headers, 0, stream, &call());
    for some in fields.chunks(100) {
        frames.extend(frame(Kind::Continuation, 0, stream, &some.concat()));
    }
    frames.extend(frame(Kind::Continuation, END_HEADERS, stream, &[]));
    frames
}

/// Sends what a connection begins with, and then something again and again; whatever comes is read and forgotten.
async fn every(
    mut stream: TcpStream,
    pause: Duration,
    begin: &[u8],
    mut next: impl FnMut(usize) -> Vec<u8>,
) -> io::Result<()> {
    stream.write_all(begin).await?;
    let (mut reads, mut writes) = stream.split();
    let reading = async {
        let mut some = [0; 4096];
        while reads.read(&mut some).await? > 0 {}
        io::Result::Ok(())
    };
    let writing = async {
        for turn in 0.. {
            tokio::time::sleep(pause).await;
            writes.write_all(&next(turn)).await?;
        }
        io::Result::Ok(())
    };
    tokio::select! {
        ended = reading => ended,
        ended = writing => ended,
    }
}

async fn never_reading(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(&greeting(&[])).await?;
    for turn in 0.. {
        stream.write_all(&calls(turn, 20)).await?;
        tokio::time::sleep(TICK).await;
    }
    Ok(())
}
