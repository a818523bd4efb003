//! The database as the rest of the backend sees it: units of work, each done again where the server asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::address::PostgresAddress;
use super::connection::{Connections, Lent};
use super::failure::{Failure, Remedy};
use super::layout;
use crate::error::Error;

/// How often a unit gives way to others before it gives up.
const ATTEMPTS: u32 = 40;
/// How long a server that was there may be away.
const AWAY: Duration = Duration::from_secs(5);
/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_millis(200);
/// How long one attempt may take. A connection that is silent for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(30);
/// The same for work that depends on how much there is.
pub(super) const LONG: Duration = Duration::from_secs(1800);

/// A database that may not have been reached yet.
pub(super) struct Server {
    address: PostgresAddress,
    connections: Arc<Connections>,
    laid_out: OnceCell<()>,
    /// Whether the server answered once: it is waited for only then.
    seen: AtomicBool,
}

impl Server {
    /// Names a database; connects to nothing.
    pub(super) fn new(address: PostgresAddress) -> Self {
        let connections = Arc::new(Connections::new(address.options()));
        Self { address, connections, laid_out: OnceCell::new(), seen: AtomicBool::new(false) }
    }

    /// Returns where it is, without user and password.
    pub(super) fn place(&self) -> String {
        self.address.to_string()
    }

    /// Lends a connection to a database whose tables are there.
    pub(super) async fn lend(&self) -> Result<Lent, Failure> {
        self.laid_out.get_or_try_init(|| layout::prepare(&self.connections)).await?;
        self.connections.lend().await
    }

    /// Lends a connection within a transaction.
    pub(super) async fn begin(&self) -> Result<Lent, Failure> {
        let mut lent = self.lend().await?;
        lent.begin().await?;
        Ok(lent)
    }

    /// Does a unit of work, again where the server asks for it or was away for a moment. A unit may have been done
    /// already when it is done again: a connection can end between a commit and its acknowledgement.
    ///
    /// # Errors
    /// Fails as the last attempt did; `what` says what was to be done.
    pub(super) async fn work<T, F>(&self, what: &str, unit: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        self.work_within(SILENCE, what, unit).await
    }

    /// Does a unit of work of which each attempt may take so long.
    ///
    /// # Errors
    /// Fails as [`work`](Self::work) does.
    pub(super) async fn work_within<T, F>(
        &self,
        silence: Duration,
        what: &str,
        mut unit: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut again = 0;
        let mut gone: Option<Instant> = None;
        let mut pause = Duration::from_millis(1);
        loop {
            let done = tokio::time::timeout(silence, unit()).await;
            let silent = || Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into());
            let failure = match done.unwrap_or_else(|_| silent()) {
                Ok(value) => {
                    self.seen.store(true, Ordering::Relaxed);
                    return Ok(value);
                }
                Err(failure) => failure,
            };
            match failure.remedy() {
                Remedy::Again if again < ATTEMPTS => {
                    self.seen.store(true, Ordering::Relaxed);
                    again += 1;
                }
                Remedy::Reconnect if self.seen.load(Ordering::Relaxed) => {
                    self.connections.forget();
                    if gone.get_or_insert_with(Instant::now).elapsed() >= AWAY {
                        return Err(failure.into_error(what, &self.place()));
                    }
                }
                _ => return Err(failure.into_error(what, &self.place())),
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LONGEST);
        }
    }
}

/// Returns between a half and all of a pause, so that two that collided do not meet again.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness they may meet again, and try once more.
    let _ = getrandom::fill(&mut byte);
    pause.mul_f64(0.5 + f64::from(byte[0]) / 512.0)
}
