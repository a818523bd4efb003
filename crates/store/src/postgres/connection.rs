//! Connections to the database: few, made when they are needed, and kept only where nothing is left open on them.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;

/// How many connections a store has at most.
const MOST: usize = 8;
/// How many of them wait for the next call.
const IDLE: usize = 4;
/// How long making a connection may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The connections of one store.
pub(super) struct Connections {
    options: PgConnectOptions,
    idle: Mutex<Vec<PgConnection>>,
    permits: Arc<Semaphore>,
}

impl Connections {
    /// Connects to nothing yet.
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self { options, idle: Mutex::default(), permits: Arc::new(Semaphore::new(MOST)) }
    }

    /// Lends a connection.
    pub(super) async fn lend(self: &Arc<Self>) -> Result<Lent, Failure> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => tokio::time::timeout(PATIENCE, self.options.connect())
                .await
                .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))?,
        };
        Ok(Lent { connection: Some(connection), home: Arc::clone(self), _permit: permit })
    }

    /// Closes the connections that wait: once one of them is found dead, so are most of the others.
    pub(super) fn forget(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. Dropped, as where its user was cancelled, it is closed.
pub(super) struct Lent {
    connection: Option<PgConnection>,
    home: Arc<Connections>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    /// Gives the connection back after statements outside a transaction.
    pub(super) fn settle<T>(mut self, done: Result<T, Failure>) -> Result<T, Failure> {
        if done.as_ref().err().is_none_or(Failure::leaves_a_connection) {
            self.keep();
        }
        done
    }

    /// Begins a transaction.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        self.execute("BEGIN").await?;
        Ok(())
    }

    /// Ends the transaction that something was done in, and gives the connection back.
    pub(super) async fn end<T>(mut self, done: Result<T, Failure>) -> Result<T, Failure> {
        match done {
            Ok(value) => {
                self.execute("COMMIT").await?;
                self.keep();
                Ok(value)
            }
            Err(failure) => {
                if failure.leaves_a_connection() && self.execute("ROLLBACK").await.is_ok() {
                    self.keep();
                }
                Err(failure)
            }
        }
    }

    fn keep(&mut self) {
        let mut idle = self.home.idle();
        if idle.len() < IDLE {
            idle.extend(self.connection.take());
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect("a connection is given back by value")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("a connection is given back by value")
    }
}
