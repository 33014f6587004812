//! A connection that a test can cut, stop, slow down, or lead elsewhere.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// How often a connection that stands still looks whether it may go on.
const LOOK: Duration = Duration::from_millis(2);

/// What stands between a client and a server. Its threads end with the connections, or when it is dropped.
#[derive(Debug)]
pub(crate) struct Link {
    address: SocketAddr,
    way: Arc<Way>,
}

#[derive(Debug)]
struct Way {
    server: Mutex<SocketAddr>,
    /// Nothing passes, and nothing is closed.
    stopped: AtomicBool,
    /// Nobody is let in.
    refusing: AtomicBool,
    /// Connections of before are closed when it grows.
    cuts: AtomicU64,
    /// How long everything is on its way.
    delay_millis: AtomicU64,
    over: AtomicBool,
}

impl Link {
    /// Leads to a server at `http://…`.
    pub(crate) fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let way = Arc::new(Way {
            server: Mutex::new(parsed(server)),
            stopped: AtomicBool::new(false),
            refusing: AtomicBool::new(false),
            cuts: AtomicU64::new(0),
            delay_millis: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let passing = Arc::clone(&way);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if passing.over.load(Ordering::SeqCst) {
                    return;
                }
                passing.let_in(client);
            }
        });
        Self { address, way }
    }

    /// Its own address, as `http://…`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Leads elsewhere, from the next connection on.
    pub(crate) fn lead_to(&self, server: &str) {
        *self.way.server.lock().expect("nobody panicked") = parsed(server);
    }

    /// Closes what is open, and lets nobody in until [`Self::mend`].
    pub(crate) fn cut(&self) {
        self.way.refusing.store(true, Ordering::SeqCst);
        self.way.cuts.fetch_add(1, Ordering::SeqCst);
    }

    /// Lets nothing pass, as a network does that loses everything, until [`Self::mend`].
    pub(crate) fn stop(&self) {
        self.way.stopped.store(true, Ordering::SeqCst);
    }

    /// Has everything be on its way for so long.
    pub(crate) fn delay(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).expect("a short while");
        self.way.delay_millis.store(millis, Ordering::SeqCst);
    }

    /// Lets everything pass again.
    pub(crate) fn mend(&self) {
        self.way.stopped.store(false, Ordering::SeqCst);
        self.way.refusing.store(false, Ordering::SeqCst);
        self.delay(Duration::ZERO);
    }
}

fn parsed(server: &str) -> SocketAddr {
    server.trim_start_matches("http://").parse().expect("an address")
}

impl Way {
    fn let_in(self: &Arc<Self>, client: TcpStream) {
        if self.refusing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(server) = TcpStream::connect(*self.server.lock().expect("nobody panicked")) else { return };
        let cuts = self.cuts.load(Ordering::SeqCst);
        let pair = |from: &TcpStream, to: &TcpStream| Some((from.try_clone().ok()?, to.try_clone().ok()?));
        for (from, to) in [pair(&client, &server), pair(&server, &client)].into_iter().flatten() {
            let way = Arc::clone(self);
            thread::spawn(move || way.pass(from, to, cuts));
        }
    }

    /// Reads at once, and writes when it is due: what is on its way is so all at the same time.
    fn pass(&self, mut from: TcpStream, mut to: TcpStream, cuts: u64) {
        from.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let (sender, due) = mpsc::channel::<(Instant, Vec<u8>)>();
        let mut buffer = vec![0; 64 * 1024];
        thread::scope(|scope| {
            let (ended, writing) = (from.try_clone().expect("a socket"), &self);
            scope.spawn(move || {
                while let Ok((at, bytes)) = due.recv() {
                    thread::sleep(at.saturating_duration_since(Instant::now()));
                    while writing.stopped.load(Ordering::SeqCst) && writing.is_open(cuts) {
                        thread::sleep(LOOK);
                    }
                    if !writing.is_open(cuts) || to.write_all(&bytes).is_err() {
                        break;
                    }
                }
                // Either of them may be closed already.
                let _ends = (ended.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            });
            while self.is_open(cuts) {
                match from.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => {
                        let delay = Duration::from_millis(self.delay_millis.load(Ordering::SeqCst));
                        let sent = sender.send((Instant::now() + delay, buffer[..length].to_vec()));
                        if sent.is_err() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
            drop(sender);
        });
    }

    fn is_open(&self, cuts: u64) -> bool {
        self.cuts.load(Ordering::SeqCst) == cuts && !self.over.load(Ordering::SeqCst)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.way.over.store(true, Ordering::SeqCst);
        // Wakes whoever waits for the next client.
        drop(TcpStream::connect(self.address));
    }
}
