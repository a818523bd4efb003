//! A turn in flight: one row that expires, its records in chunks, and the task that writes them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{PgConnection, Row};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::beside::Beside;
use super::failure::Failure;
use super::lease::{self, Belief, Holding};
use super::{Inner, chunk};
use crate::error::{Error, ErrorKind};
use crate::turn::{Turn, TurnHeader};

/// How long to wait before a failed write is tried again by itself.
const PAUSE: Duration = Duration::from_millis(250);

/// What the writing task is asked to do.
enum Order {
    Append(Vec<u8>),
    Beside(Vec<u8>),
    ClearBeside,
    Sync(Reply),
    Finish(Reply),
}

type Reply = oneshot::Sender<Result<(), Error>>;

/// A turn in flight in a database.
pub(super) struct Flight {
    store: Arc<Inner>,
    orders: Option<mpsc::UnboundedSender<Order>>,
    task: Option<JoinHandle<()>>,
}

impl Flight {
    /// Begins a turn; durable when it returns.
    pub(super) async fn begin(
        store: &Arc<Inner>,
        header: TurnHeader,
        records: Vec<Vec<u8>>,
    ) -> Result<Self, Error> {
        let asked = Instant::now();
        let mut writer = Writer {
            session: store.leased(&header.session),
            store: Arc::clone(store),
            header,
            token: lease::token(),
            written: records.len(),
            records,
            belief: Belief::since(asked, store.lease),
            renewed: asked,
            is_over: false,
            is_lost: false,
            beside: Beside::default(),
        };
        if !writer.create().await? {
            let message = format!("turn {} has begun already", writer.header.turn);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let (orders, inbox) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move { writer.run(inbox).await });
        Ok(Self { store: Arc::clone(store), orders: Some(orders), task: Some(task) })
    }

    /// Gives an order that is not answered: a task that is gone answers the next sync with an error.
    fn tell(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
    }

    async fn ask(&self, order: fn(Reply) -> Order) -> Result<(), Error> {
        let (reply, done) = oneshot::channel();
        match &self.orders {
            Some(orders) if orders.send(order(reply)).is_ok() => done.await.unwrap_or_else(|_| Err(gone())),
            _ => Err(gone()),
        }
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Io, "the writer of a turn ended before the turn")
}

#[async_trait]
impl Turn for Flight {
    fn append(&mut self, record: Vec<u8>) {
        self.tell(Order::Append(record));
    }

    fn append_beside(&mut self, piece: Vec<u8>) {
        self.tell(Order::Beside(piece));
    }

    fn clear_beside(&mut self) {
        self.tell(Order::ClearBeside);
    }

    async fn sync(&mut self) -> Result<(), Error> {
        self.ask(Order::Sync).await
    }

    async fn finish(self: Box<Self>) -> Result<(), Error> {
        self.ask(Order::Finish).await
    }
}

impl Drop for Flight {
    /// Lets the task write what it has been given and say that the turn is over. Whoever looks for turns in this
    /// process waits for that; to others the turn is over at the latest when its row expires.
    fn drop(&mut self) {
        self.orders = None;
        self.store.closing.extend(self.task.take());
    }
}

/// The rows of a turn, seen from its task.
struct Writer {
    store: Arc<Inner>,
    header: TurnHeader,
    /// Tells our row from one that another writer made for the same turn.
    token: Vec<u8>,
    /// All records, so that they can be written anew where the turn was folded under us.
    records: Vec<Vec<u8>>,
    /// How many of them are in the database.
    written: usize,
    belief: Belief,
    renewed: Instant,
    /// Whether the row says that the turn is over.
    is_over: bool,
    /// Whether another process may have taken the turn for dead since the last sync.
    is_lost: bool,
    /// The session's lease, where this process holds it.
    session: Option<Arc<Holding>>,
    beside: Beside,
}

impl Writer {
    /// Writes what it is given until there is nobody left to give it anything.
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        let mut failed = false;
        loop {
            let pause = if failed { PAUSE } else { self.store.lease / 3 };
            let due = match failed {
                true => Instant::now() + pause,
                false => self.renewed + pause,
            };
            let mut reply = None;
            match tokio::time::timeout_at(due, inbox.recv()).await {
                // What has come meanwhile goes along.
                Ok(Some(first)) => {
                    reply = self.accept(first);
                    while reply.is_none()
                        && let Ok(order) = inbox.try_recv()
                    {
                        reply = self.accept(order);
                    }
                }
                Ok(None) => break,
                Err(_) => {}
            }
            let is_last = reply.as_ref().is_some_and(|(_, is_last)| *is_last);
            // What is beside goes after the records that came before it, and before the turn is over.
            let is_alone = self.beside.is_empty();
            let mut done = self.write(is_last && is_alone).await;
            if !is_alone && done.is_ok() && (is_last || reply.is_none()) {
                let all = is_last || Instant::now() >= due;
                self.beside.write(&self.store, &self.header, &self.token, all).await;
                if is_last {
                    done = self.write(true).await;
                }
            }
            failed = done.is_err();
            if let Some((reply, _)) = reply {
                if done.is_ok() {
                    done = self.confirm().await;
                }
                // A caller that was cancelled does not want to know.
                let _ = reply.send(done);
            }
            if is_last && !failed {
                return;
            }
        }
        let _ = self.write(self.beside.is_empty()).await;
        self.beside.write(&self.store, &self.header, &self.token, true).await;
        // Where this fails the turn is over once its row has expired.
        let _ = self.write(true).await;
    }

    /// Takes an order; one that is to be answered comes back, with whether it is the last.
    fn accept(&mut self, order: Order) -> Option<(Reply, bool)> {
        match order {
            Order::Append(record) => {
                self.records.push(record);
                None
            }
            Order::Beside(piece) => {
                self.beside.push(piece);
                None
            }
            Order::ClearBeside => {
                self.beside.clear();
                None
            }
            Order::Sync(reply) => Some((reply, false)),
            Order::Finish(reply) => Some((reply, true)),
        }
    }

    /// Makes sure that nobody else has the turn or its session.
    async fn confirm(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.is_lost) {
            return Err(Error::new(
                ErrorKind::Busy,
                format!(
                    "turn {} was not heard of for too long, and may have been taken for dead; its records are kept",
                    self.header.turn
                ),
            ));
        }
        match &self.session {
            Some(session) => session.confirm(&self.store).await,
            None => Ok(()),
        }
    }

    /// Writes the records that are not written yet, and renews the row. Does nothing where there is nothing to do.
    async fn write(&mut self, is_last: bool) -> Result<(), Error> {
        let is_due = self.renewed.elapsed() >= self.store.lease / 3;
        if self.is_over || (self.written == self.records.len() && !is_last && !is_due) {
            return Ok(());
        }
        let mut asked = Instant::now();
        let added = chunk::join(&self.records[self.written..])?;
        let (before, after) = (self.written as i64, self.records.len() as i64);
        let bytes = added.len() as i64 - 4 * (after - before);
        let step = Step { before, after, bytes, chunk: added, is_last };
        let this = &*self;
        let found = this.store.server.work("write a turn in flight", || {
            asked = Instant::now();
            async {
                let mut lent = this.store.server.lend().await?;
                let done = this.step(&mut lent, &step).await;
                lent.settle(done)
            }
        });
        match found.await? {
            true => {
                self.renewed_at(asked);
                (self.written, self.is_over) = (self.records.len(), is_last);
            }
            false => {
                // It was taken for dead, folded and forgotten: all of it is written anew, and folded once more.
                self.is_lost = true;
                self.create().await?;
                if is_last {
                    Box::pin(self.write(true)).await?;
                }
            }
        }
        Ok(())
    }

    fn renewed_at(&mut self, asked: Instant) {
        self.belief.renewed(asked, self.store.lease);
        if self.belief.is_lost() {
            self.is_lost = true;
            self.belief = Belief::since(asked, self.store.lease);
        }
        self.renewed = asked;
    }

    /// Writes one chunk and renews the row, unless that is done already; `false` where the row is gone.
    async fn step(&self, connection: &mut PgConnection, step: &Step) -> Result<bool, Failure> {
        let TurnHeader { session, turn, .. } = &self.header;
        let row = "UPDATE aichat.flights SET records = $5, bytes = bytes + $6, over = $7,
                       expires = now() + $8::BIGINT * INTERVAL '1 millisecond'
                   WHERE session = $1 AND turn = $2 AND writer = $3 AND records = $4";
        let row_and_chunk = "WITH flight AS (
                       UPDATE aichat.flights SET records = $5, bytes = bytes + $6, over = $7,
                           expires = now() + $8::BIGINT * INTERVAL '1 millisecond'
                       WHERE session = $1 AND turn = $2 AND writer = $3 AND records = $4
                       RETURNING session, turn)
                   INSERT INTO aichat.chunks (session, turn, first, bytes)
                   SELECT session, turn, $4, $9 FROM flight";
        let has_chunk = step.after > step.before;
        let mut query = sqlx::query(if has_chunk { row_and_chunk } else { row })
            .bind(session.as_str().as_bytes())
            .bind(turn.as_str().as_bytes())
            .bind(&self.token)
            .bind(step.before)
            .bind(step.after)
            .bind(step.bytes)
            .bind(step.is_last)
            .bind(lease::millis(self.store.lease));
        if has_chunk {
            query = query.bind(&step.chunk);
        }
        if query.execute(&mut *connection).await?.rows_affected() > 0 {
            return Ok(true);
        }
        let read = "SELECT records FROM aichat.flights WHERE session = $1 AND turn = $2 AND writer = $3";
        let read = sqlx::query(read)
            .bind(session.as_str().as_bytes())
            .bind(turn.as_str().as_bytes())
            .bind(&self.token)
            .fetch_optional(connection)
            .await?;
        match read.map(|row| row.try_get::<i64, _>(0)).transpose()? {
            None => Ok(false),
            // The connection ended between this very write and its acknowledgement.
            Some(records) if records == step.after => Ok(true),
            Some(records) => {
                let message =
                    format!("turn {turn} has {records} records in the database, and not those written");
                Err(Error::new(ErrorKind::Corrupt, message).into())
            }
        }
    }

    /// Makes the row of the turn, with every record; `false` where another writer has one.
    async fn create(&mut self) -> Result<bool, Error> {
        let mut asked = Instant::now();
        let first = chunk::join(&self.records)?;
        let this = &*self;
        let created = this.store.server.work("begin a turn", || {
            asked = Instant::now();
            async {
                let mut lent = this.store.server.lend().await?;
                let done = this.insert(&mut lent, &first).await;
                lent.settle(done)
            }
        });
        if !created.await? {
            return Ok(false);
        }
        self.belief = Belief::since(asked, self.store.lease);
        (self.renewed, self.written) = (asked, self.records.len());
        Ok(true)
    }

    /// Inserts row and first chunk, which is there even where no record is, and stands before every other.
    async fn insert(&self, connection: &mut PgConnection, first: &[u8]) -> Result<bool, Failure> {
        let TurnHeader { session, turn, base } = &self.header;
        let insert = "WITH flight AS (
                INSERT INTO aichat.flights
                    (session, turn, base, writer, records, bytes, over, began, expires)
                VALUES ($1, $2, $3, $4, $5, $6, FALSE, now(), now() + $7::BIGINT * INTERVAL '1 millisecond')
                ON CONFLICT (session, turn) DO NOTHING RETURNING session, turn)
            INSERT INTO aichat.chunks (session, turn, first, bytes) SELECT session, turn, -1, $8 FROM flight";
        let records = self.records.len() as i64;
        let inserted = sqlx::query(insert)
            .bind(session.as_str().as_bytes())
            .bind(turn.as_str().as_bytes())
            .bind(base.as_ref().map(|base| base.as_str().as_bytes()))
            .bind(&self.token)
            .bind(records)
            .bind(first.len() as i64 - 4 * records)
            .bind(lease::millis(self.store.lease))
            .bind(first)
            .execute(&mut *connection)
            .await?;
        if inserted.rows_affected() > 0 {
            return Ok(true);
        }
        let read = sqlx::query("SELECT writer FROM aichat.flights WHERE session = $1 AND turn = $2")
            .bind(session.as_str().as_bytes())
            .bind(turn.as_str().as_bytes())
            .fetch_optional(connection)
            .await?;
        match read.map(|row| row.try_get::<Vec<u8>, _>(0)).transpose()? {
            // Forgotten just now: the next attempt makes it.
            None => Err(Failure::Again),
            Some(writer) => Ok(writer == self.token),
        }
    }
}

/// One write of a turn.
struct Step {
    /// How many records the row says there are.
    before: i64,
    /// How many there are afterwards.
    after: i64,
    /// How many bytes the new ones have.
    bytes: i64,
    /// The new ones.
    chunk: Vec<u8>,
    /// Whether the turn is over with them.
    is_last: bool,
}
