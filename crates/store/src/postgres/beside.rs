//! What is kept beside a turn in flight: rows of their own, as good as it goes.

use sqlx::{PgConnection, Row};

use super::failure::Failure;
use super::{Inner, chunk};
use crate::error::Error;
use crate::turn::TurnHeader;

/// How many bytes wait to make one row, where the turn goes on.
const ROW: usize = 64 << 10;

/// What is to be kept beside one turn, seen from its task.
#[derive(Default)]
pub(super) struct Beside {
    waiting: Vec<Vec<u8>>,
    /// How many rows there are.
    rows: i64,
    /// Whether what is there is to go first.
    stale: bool,
    /// Whether something failed, after which nothing more is kept.
    is_lost: bool,
}

impl Beside {
    pub(super) fn push(&mut self, piece: Vec<u8>) {
        if !self.is_lost {
            self.waiting.push(piece);
        }
    }

    /// Tells whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.stale
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.stale = true;
    }

    /// Writes what waits, where `all` of it is to be written or it makes a row. A failure is nobody's but its own.
    pub(super) async fn write(&mut self, store: &Inner, header: &TurnHeader, writer: &[u8], all: bool) {
        if self.stale {
            self.stale = false;
            if self.remove(store, header).await.is_err() {
                self.is_lost = true;
            }
        }
        let bytes: usize = self.waiting.iter().map(Vec::len).sum();
        if self.waiting.is_empty() || !all && bytes < ROW {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        match self.insert(store, header, writer, &waiting).await {
            Ok(()) => self.rows += 1,
            Err(_) => self.is_lost = true,
        }
    }

    async fn remove(&self, store: &Inner, header: &TurnHeader) -> Result<(), Error> {
        let delete = "DELETE FROM aichat.beside WHERE session = $1 AND turn = $2";
        let done = store.server.work("remove what is beside a turn", || async {
            let mut lent = store.server.lend().await?;
            let query = sqlx::query(delete).bind(header.session.as_str().as_bytes());
            let done = query.bind(header.turn.as_str().as_bytes()).execute(&mut *lent).await;
            lent.settle(done.map_err(Failure::from))
        });
        done.await.map(drop)
    }

    async fn insert(
        &self,
        store: &Inner,
        header: &TurnHeader,
        writer: &[u8],
        pieces: &[Vec<u8>],
    ) -> Result<(), Error> {
        let row = chunk::join(pieces)?;
        // Only beside a turn that is there: nothing else would ever remove it.
        let insert = "WITH flight AS (
                UPDATE aichat.flights SET bytes = bytes + $4 WHERE session = $1 AND turn = $2 AND writer = $3
                RETURNING session, turn)
            INSERT INTO aichat.beside (session, turn, part, bytes) SELECT session, turn, $5, $6 FROM flight
            ON CONFLICT (session, turn, part) DO NOTHING";
        let done = store.server.work("write beside a turn", || async {
            let mut lent = store.server.lend().await?;
            let query = sqlx::query(insert)
                .bind(header.session.as_str().as_bytes())
                .bind(header.turn.as_str().as_bytes())
                .bind(writer)
                .bind(row.len() as i64)
                .bind(self.rows)
                .bind(&row);
            let done = query.execute(&mut *lent).await;
            lent.settle(done.map_err(Failure::from))
        });
        done.await.map(drop)
    }
}

/// Reads what is beside a turn.
pub(super) async fn read(
    connection: &mut PgConnection,
    header: &TurnHeader,
) -> Result<Vec<Vec<u8>>, Failure> {
    let read = "SELECT bytes FROM aichat.beside WHERE session = $1 AND turn = $2 ORDER BY part";
    let query = sqlx::query(read).bind(header.session.as_str().as_bytes());
    let mut pieces = Vec::new();
    for row in query.bind(header.turn.as_str().as_bytes()).fetch_all(connection).await? {
        pieces.extend(chunk::split(row.try_get(0)?)?);
    }
    Ok(pieces)
}
