//! What connections come in by: TCP, or a Unix socket.

use std::fs::{self, File, Permissions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};
use tokio_util::either::Either;

use crate::listening::Address;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// Bytes of answers that the system keeps for a connection beside what is on its way.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 64 * 1024;

/// What comes in.
pub(super) type Stream = Either<TcpStream, UnixStream>;

/// Where connections come in.
#[derive(Debug)]
pub enum Listener {
    /// By TCP.
    Tcp(TcpListener),
    /// By a Unix socket.
    Unix(UnixDoor),
}

/// A Unix socket that is listened on.
#[derive(Debug)]
pub struct UnixDoor {
    listener: UnixListener,
    file: SocketFile,
}

/// The file of a Unix socket. It goes with the socket, unless somebody else has put another there.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// What tells the file from any other: device and inode.
    identity: (u64, u64),
}

/// A listener on its way from the runtime that it was made in to another.
#[derive(Debug)]
pub struct Detached(Sockets);

#[derive(Debug)]
enum Sockets {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener, SocketFile),
}

impl Detached {
    /// The listener, in the runtime that this is called in.
    ///
    /// # Errors
    /// The runtime does not take it.
    pub fn attach(self) -> io::Result<Listener> {
        Ok(match self.0 {
            Sockets::Tcp(listener) => Listener::Tcp(TcpListener::from_std(listener)?),
            Sockets::Unix(listener, file) => {
                Listener::Unix(UnixDoor { listener: UnixListener::from_std(listener)?, file })
            }
        })
    }
}

impl Listener {
    /// Listens, and says where: a port that was left open is known then. Whoever may write a Unix socket's file, which has
    /// this mode, may connect.
    ///
    /// # Errors
    /// The address cannot be had: it is another's, or somebody listens there.
    pub async fn bind(address: &Address, mode: u32) -> io::Result<(Self, Address)> {
        match address {
            Address::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                keep_little(&listener)?;
                let bound = listener.local_addr()?;
                Ok((Self::Tcp(listener), bound.into()))
            }
            Address::Unix(path) => {
                let door = UnixDoor::bind(path, mode).await?;
                Ok((Self::Unix(door), address.clone()))
            }
        }
    }

    /// The listener, for another runtime.
    ///
    /// # Errors
    /// The runtime does not give it back.
    pub fn detach(self) -> io::Result<Detached> {
        Ok(Detached(match self {
            Self::Tcp(listener) => Sockets::Tcp(listener.into_std()?),
            Self::Unix(UnixDoor { listener, file }) => Sockets::Unix(listener.into_std()?, file),
        }))
    }

    /// The next connection, and the address of its other end; none over a Unix socket.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are single small frames: waiting to fill a packet would only delay them.
                drop(stream.set_nodelay(true));
                Ok((Either::Left(stream), Some(peer.ip())))
            }
            Self::Unix(door) => {
                let (stream, _nameless) = door.listener.accept().await?;
                Ok((Either::Right(stream), None))
            }
        }
    }
}

/// Has the system keep few answers for each connection that comes in here (`TCP_NOTSENT_LOWAT`, tcp(7)). It would keep megabytes for one that
/// reads nothing, which are more than ten thousand answers that have to be decided first.
#[cfg(target_os = "linux")]
fn keep_little(listener: &TcpListener) -> io::Result<()> {
    socket2::SockRef::from(listener).set_tcp_notsent_lowat(UNSENT_BYTES)
}

/// Other systems keep as much as they like.
#[cfg(not(target_os = "linux"))]
fn keep_little(_listener: &TcpListener) -> io::Result<()> {
    Ok(())
}

impl UnixDoor {
    async fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Two servers that find the same stale socket must not both replace it: the second would take the first one's.
        let folder = File::open(folder.unwrap_or(Path::new(".")))?;
        flock(&folder, FlockOperation::LockExclusive)?;
        make_way(path).await?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        // Nobody gets in before it listens, and then only by these permissions.
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        let listener = socket.listen(BACKLOG)?;
        let made = fs::symlink_metadata(path)?;
        let file = SocketFile { path: path.to_owned(), identity: (made.dev(), made.ino()) };
        Ok(Self { listener, file })
    }
}

/// Removes a socket on which nobody listens: a process that was killed leaves one.
async fn make_way(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // Somebody listens who has no room, or is none of ours.
        Err(error) => Err(error),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.identity) {
            // One that stays is replaced by the next start.
            drop(fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpSocket;
    use tokio::time::timeout;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn little_is_kept_for_a_connection_that_reads_nothing() {
        let free = "127.0.0.1:0".parse().unwrap();
        let (listener, Address::Tcp(bound)) = Listener::bind(&Address::Tcp(free), 0).await.unwrap() else {
            panic!("an address")
        };
        let silent = TcpSocket::new_v4().unwrap();
        silent.set_recv_buffer_size(4096).unwrap();
        let (accepted, silent) = tokio::join!(listener.accept(), silent.connect(bound));
        let (Either::Left(stream), Some(_)) = accepted.unwrap() else { panic!("by TCP") };
        let (mut kept, answer) = (0, [0; 256]);
        while let Ok(Ok(())) = timeout(Duration::from_millis(200), stream.writable()).await {
            kept += stream.try_write(&answer).unwrap_or(0);
        }
        let most = 2 * usize::try_from(UNSENT_BYTES).unwrap();
        assert!(kept > answer.len() && kept < most, "{kept} bytes");
        drop(silent);
    }

    async fn bind(path: &Path) -> io::Result<Listener> {
        Listener::bind(&Address::Unix(path.to_owned()), 0o640).await.map(|(listener, _)| listener)
    }

    #[tokio::test]
    async fn a_socket_has_its_mode_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let listener = bind(&path).await.unwrap();
        assert_eq!(mode(&path), 0o640);
        let (accepted, connected) = tokio::join!(listener.accept(), UnixStream::connect(&path));
        assert!(accepted.unwrap().1.is_none() && connected.is_ok());
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn only_a_socket_on_which_nobody_listens_makes_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        // As a process leaves it that is killed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = bind(&path).await.unwrap();
        assert_eq!(bind(&path).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).await.is_ok());
        // Another's file stays, whatever became of ours.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        drop(listener);
        assert_eq!(bind(&path).await.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let nowhere = folder.path().join("none/a.sock");
        assert_eq!(bind(&nowhere).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
