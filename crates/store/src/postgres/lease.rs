//! The right to do something alone for a while, as a row that expires by the database's clock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Inner;
use super::failure::Failure;
use crate::error::{Error, ErrorKind};
use crate::turn::Lease;

/// Returns what a holder is told by from every other.
pub(super) fn token() -> Vec<u8> {
    let mut token = vec![0; 16];
    getrandom::fill(&mut token).expect("the system has randomness");
    token
}

/// Returns a length of time as the database is told it.
pub(super) fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

/// Takes a lease where nobody holds it, or goes on holding it, and tells whether it did.
pub(super) async fn take(
    connection: &mut PgConnection,
    name: &[u8],
    holder: &[u8],
    length: Duration,
) -> Result<bool, Failure> {
    let take = "INSERT INTO aichat.leases AS held (name, holder, expires)
                VALUES ($1, $2, now() + $3::BIGINT * INTERVAL '1 millisecond')
                ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
                WHERE held.expires <= now() OR held.holder = excluded.holder";
    let taken = sqlx::query(take).bind(name).bind(holder).bind(millis(length)).execute(connection).await?;
    Ok(taken.rows_affected() > 0)
}

/// Holds a lease for longer, and tells whether it was still held.
async fn renew(
    connection: &mut PgConnection,
    name: &[u8],
    holder: &[u8],
    length: Duration,
) -> Result<bool, Failure> {
    let renew = "UPDATE aichat.leases SET expires = now() + $3::BIGINT * INTERVAL '1 millisecond'
                 WHERE name = $1 AND holder = $2";
    let renewed = sqlx::query(renew).bind(name).bind(holder).bind(millis(length)).execute(connection).await?;
    Ok(renewed.rows_affected() > 0)
}

/// Gives a lease back, if it is still held.
pub(super) async fn give_back(
    connection: &mut PgConnection,
    name: &[u8],
    holder: &[u8],
) -> Result<(), Failure> {
    let give = sqlx::query("DELETE FROM aichat.leases WHERE name = $1 AND holder = $2");
    give.bind(name).bind(holder).execute(connection).await?;
    Ok(())
}

/// What a holder believes of its lease. The database's clock started later than ours, so that the belief ends
/// first.
pub(super) struct Belief {
    until: Mutex<Instant>,
    lost: AtomicBool,
}

impl Belief {
    /// Believes in a lease that was asked for at `asked`.
    pub(super) fn since(asked: Instant, length: Duration) -> Self {
        Self { until: Mutex::new(asked + length), lost: AtomicBool::new(false) }
    }

    /// Takes note of a renewal that was asked for at `asked`. One that came too late helps nobody: the lease may
    /// have been another's in between.
    pub(super) fn renewed(&self, asked: Instant, length: Duration) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if Instant::now() >= *until {
            self.lose();
        }
        *until = asked + length;
    }

    /// Gives up.
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// Tells whether the lease was not renewed in time.
    pub(super) fn is_lost(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        self.lost.load(Ordering::Relaxed) || Instant::now() >= until
    }
}

/// A lease that a task renews until this is dropped.
pub(super) struct Held {
    store: Arc<Inner>,
    what: Arc<Holding>,
    /// Dropped, it ends the task.
    end: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

/// A lease as the task that renews it and the turns under it see it.
pub(super) struct Holding {
    name: Vec<u8>,
    holder: Vec<u8>,
    belief: Belief,
    /// Whether its holder has no more use for it.
    is_given_back: AtomicBool,
}

impl Held {
    /// Tries to take a lease.
    pub(super) async fn take(store: &Arc<Inner>, name: Vec<u8>) -> Result<Option<Self>, Error> {
        let holder = token();
        let asked = Instant::now();
        let taken = store.server.work("take a lease", || async {
            let mut lent = store.server.lend().await?;
            let done = take(&mut lent, &name, &holder, store.lease).await;
            lent.settle(done)
        });
        Ok(taken.await?.then(|| Self::new(store, name, holder, asked)))
    }

    /// Holds a lease that was taken.
    pub(super) fn new(store: &Arc<Inner>, name: Vec<u8>, holder: Vec<u8>, asked: Instant) -> Self {
        let belief = Belief::since(asked, store.lease);
        let what = Arc::new(Holding { name, holder, belief, is_given_back: AtomicBool::new(false) });
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(Arc::clone(&what).hold(Arc::clone(store), ended));
        Self { store: Arc::clone(store), what, end: Some(end), task: Some(task) }
    }

    /// Returns what a turn looks at to see whether the lease still holds.
    pub(super) fn holding(&self) -> &Arc<Holding> {
        &self.what
    }
}

impl Lease for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.what.is_given_back.store(true, Ordering::Relaxed);
        self.end = None;
        self.store.closing.extend(self.task.take());
    }
}

impl Holding {
    /// Renews the lease until it is no longer wanted, and gives it back then.
    async fn hold(self: Arc<Self>, store: Arc<Inner>, mut ended: oneshot::Receiver<()>) {
        let mut next = store.lease / 3;
        while tokio::time::timeout(next, &mut ended).await.is_err() {
            next = match self.renew(&store).await {
                Ok(true) => store.lease / 3,
                Ok(false) => {
                    self.belief.lose();
                    // Nothing is left to renew; what there may be to give back is another's.
                    let _ = (&mut ended).await;
                    return;
                }
                Err(_) => store.lease / 20,
            };
        }
        let give = store.server.work("give a lease back", || async {
            let mut lent = store.server.lend().await?;
            let done = give_back(&mut lent, &self.name, &self.holder).await;
            lent.settle(done)
        });
        // One that cannot be given back expires.
        let _ = give.await;
    }

    async fn renew(&self, store: &Inner) -> Result<bool, Error> {
        let mut asked = Instant::now();
        let renewed = store.server.work("renew a lease", || {
            asked = Instant::now();
            async {
                let mut lent = store.server.lend().await?;
                let done = renew(&mut lent, &self.name, &self.holder, store.lease).await;
                lent.settle(done)
            }
        });
        // What comes later than that comes too late.
        let renewed = tokio::time::timeout(store.lease, renewed).await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable, "cannot renew a lease: the database does not answer"))
        })?;
        if renewed {
            self.belief.renewed(asked, store.lease);
        }
        Ok(renewed)
    }

    /// Makes sure that the lease is still held, unless it was given back: then its holder knows what it does.
    ///
    /// # Errors
    /// Fails with `busy` where it was lost.
    pub(super) async fn confirm(&self, store: &Inner) -> Result<(), Error> {
        if self.is_given_back.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.belief.is_lost() || !self.renew(store).await? || self.belief.is_lost() {
            return Err(Error::new(
                ErrorKind::Busy,
                "the session's lease was lost: another process may have gone on with the session meanwhile",
            ));
        }
        Ok(())
    }
}
