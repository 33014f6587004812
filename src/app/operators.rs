//! The threads that serve operators: their own, so that however much there is to decide, probes, numbers and commands do not
//! wait for it.

use std::io;
use std::thread;
use std::time::Duration;

use futures_util::future::{FusedFuture, FutureExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};

use crate::engine::guard::WORKER_STACK_BYTES;
use crate::server::connections::listener::Listener;

/// A probe must not wait for a command, nor one command for another that is long.
const THREADS: usize = 2;

/// Longest time for what is under way, once there is to be an end.
const CLOSE: Duration = Duration::from_secs(1);

/// Threads for operators, with the stack that evaluation needs: delegating is decided here.
fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .worker_threads(THREADS)
        .thread_name("mandate-ops")
        .thread_stack_size(WORKER_STACK_BYTES)
        .build()
}

/// Has two listeners served by threads of their own, until `closed` holds; `serve` is what is done with each. The future that is
/// returned says how that ended; to drop it ends nothing.
///
/// # Errors
/// The system gives no threads, or not its listeners back.
pub(super) fn operate<F>(
    listeners: (Listener, Listener),
    mut closed: watch::Receiver<bool>,
    serve: impl FnOnce(Listener, Listener) -> F + Send + 'static,
) -> io::Result<impl FusedFuture<Output = F::Output>>
where
    F: Future<Output = io::Result<((), ())>>,
{
    let (one, other) = (listeners.0.detach()?, listeners.1.detach()?);
    let runtime = runtime()?;
    let (told, ended) = oneshot::channel();
    thread::Builder::new().name("mandate-operators".to_owned()).spawn(move || {
        let served = runtime.block_on(async {
            let serving = serve(one.attach()?, other.attach()?);
            let late = async {
                // An error means that nobody is left who could say so.
                drop(closed.wait_for(|closed| *closed).await);
                tokio::time::sleep(CLOSE).await;
            };
            tokio::select! {
                served = serving => served,
                () = late => Ok(((), ())),
            }
        });
        // Nobody may be left to hear it.
        drop(told.send(served));
        runtime.shutdown_timeout(CLOSE);
    })?;
    let lost = |_| Err(io::Error::other("the threads that serve operators are gone"));
    Ok(ended.map(move |served| served.unwrap_or_else(lost)).fuse())
}
