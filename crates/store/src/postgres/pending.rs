//! Turns in flight as others see them: counted, looked at, claimed, and forgotten once they are in the log.

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use aichat_message::{SessionId, TurnId};

use super::failure::Failure;
use super::log::marker;
use super::{Inner, chunk, log, parsed};
use crate::error::Error;
use crate::order;
use crate::store::Unit;
use crate::turn::{Claim, Pending, State, TurnHeader};

impl Inner {
    /// Counts turns in flight, and their bytes.
    pub(super) async fn backlog(&self) -> Result<(usize, u64), Error> {
        self.closing.settle().await;
        let counted = self.server.work("count turns in flight", || async {
            let mut lent = self.server.lend().await?;
            let count = "SELECT COUNT(*), COALESCE(SUM(bytes), 0)::BIGINT FROM aichat.flights";
            let done = sqlx::query(count).fetch_one(&mut *lent).await.map_err(Failure::from);
            let row = lent.settle(done)?;
            Ok((row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?))
        });
        let (turns, bytes) = counted.await?;
        Ok((usize::try_from(turns).unwrap_or(0), bytes.unsigned_abs()))
    }

    /// Returns turns in flight.
    pub(super) async fn pending(&self, claim: Claim) -> Result<Vec<Pending>, Error> {
        self.closing.settle().await;
        match claim {
            Claim::Look => {
                self.server
                    .work("read turns in flight", || async {
                        let mut lent = self.server.lend().await?;
                        let done = look(&mut lent).await;
                        lent.settle(done)
                    })
                    .await
            }
            Claim::Fold(limit) => {
                let claimed = self
                    .server
                    .work("claim turns in flight", || async {
                        let mut lent = self.server.begin().await?;
                        let done = claim_over(&mut lent, limit).await;
                        lent.end(done).await
                    })
                    .await?;
                let mut counts = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
                for pending in &claimed {
                    counts.insert(pending.header.turn.clone(), pending.records.len() as u64);
                }
                Ok(claimed)
            }
        }
    }
}

impl Inner {
    /// Returns how many records of its turns a commit folds: those that were handed out, or those there are.
    pub(super) async fn counts(&self, units: &[Unit]) -> Result<HashMap<TurnId, u64>, Error> {
        let turns: Vec<&TurnId> = units.iter().flat_map(|unit| &unit.folded).collect();
        let (mut counts, mut others) = (HashMap::new(), Vec::new());
        {
            let claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
            for turn in turns {
                if let Some(count) = claimed.get(turn) {
                    counts.insert(turn.clone(), *count);
                } else {
                    others.push(turn.as_str().as_bytes());
                }
            }
        }
        if !others.is_empty() {
            let read = "SELECT turn, records FROM aichat.flights WHERE turn = ANY($1)";
            let rows = self.server.work("count records", || async {
                let mut lent = self.server.lend().await?;
                let done = sqlx::query(read).bind(&others).fetch_all(&mut *lent).await;
                lent.settle(done.map_err(Failure::from))
            });
            for row in rows.await? {
                let (turn, records) = marker(&row)
                    .map_err(|failure| failure.into_error("count records", &self.server.place()))?;
                counts.insert(turn, records);
            }
        }
        Ok(counts)
    }
}

/// A row of a turn in flight.
struct Entry {
    header: TurnHeader,
    state: State,
}

impl Entry {
    fn read(row: &PgRow) -> Result<Self, Failure> {
        let base: Option<Vec<u8>> = row.try_get(2)?;
        let header = TurnHeader {
            session: parsed(&row.try_get::<Vec<u8>, _>(0)?)?,
            turn: parsed(&row.try_get::<Vec<u8>, _>(1)?)?,
            base: base.as_deref().map(parsed).transpose()?,
        };
        let state = if row.try_get(3)? { State::Over } else { State::Running };
        Ok(Self { header, state })
    }
}

/// Reads every turn with its records.
pub(super) async fn look(connection: &mut PgConnection) -> Result<Vec<Pending>, Failure> {
    let read = "SELECT f.session, f.turn, f.base, f.over OR f.expires <= now(), c.bytes
                FROM aichat.flights AS f
                JOIN aichat.chunks AS c ON c.session = f.session AND c.turn = f.turn
                ORDER BY f.began, f.turn, c.first";
    let mut turns: Vec<Pending> = Vec::new();
    for row in sqlx::query(read).fetch_all(connection).await? {
        let Entry { header, state } = Entry::read(&row)?;
        let records = chunk::split(row.try_get(4)?)?;
        match turns.last_mut().filter(|last| last.header == header) {
            Some(last) => last.records.extend(records),
            None => turns.push(Pending { header, records, state }),
        }
    }
    let order = order::by_base(&turns.iter().map(|turn| &turn.header).collect::<Vec<_>>());
    let mut turns: Vec<Option<Pending>> = turns.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|at| turns[at].take()).collect())
}

/// Reads at most `limit` turns that are over. One whose base is still being written waits for it; one that is in
/// the log with all its records is forgotten on the way.
async fn claim_over(connection: &mut PgConnection, limit: usize) -> Result<Vec<Pending>, Failure> {
    let read = "SELECT session, turn, base, over OR expires <= now(), records FROM aichat.flights
                ORDER BY began, turn";
    let mut entries = Vec::new();
    for row in sqlx::query(read).fetch_all(&mut *connection).await? {
        entries.push((Entry::read(&row)?, row.try_get::<i64, _>(4)?.unsigned_abs()));
    }
    let turns: Vec<_> = entries.iter().map(|(entry, _)| entry.header.turn.clone()).collect();
    let marked = log::markers(connection, &turns).await?;
    let mut held = HashSet::new();
    let mut ready = Vec::new();
    let mut stale = HashMap::new();
    for at in order::by_base(&entries.iter().map(|(entry, _)| &entry.header).collect::<Vec<_>>()) {
        let (Entry { header, state }, records) = &entries[at];
        let waits = header.base.as_ref().is_some_and(|base| held.contains(base));
        match marked.get(&header.turn) {
            _ if *state == State::Running || waits => {
                held.insert(&header.turn);
            }
            Some(marked) if records <= marked => {
                stale.insert(header.turn.clone(), *marked);
            }
            _ if ready.len() < limit => ready.push(header),
            _ => break,
        }
    }
    forget(connection, &stale).await?;
    let mut records = chunks(connection, &ready).await?;
    let pending = |header: &TurnHeader| {
        // One that was folded and forgotten since it was listed has none.
        let records = records.remove(&header.turn)?;
        Some(Pending { header: header.clone(), records, state: State::Over })
    };
    Ok(ready.into_iter().filter_map(pending).collect())
}

/// Reads the records of turns.
async fn chunks(
    connection: &mut PgConnection,
    turns: &[&TurnHeader],
) -> Result<HashMap<TurnId, Vec<Vec<u8>>>, Failure> {
    let mut found: HashMap<TurnId, Vec<Vec<u8>>> = HashMap::new();
    if turns.is_empty() {
        return Ok(found);
    }
    let read = "SELECT turn, bytes FROM aichat.chunks
                WHERE (session, turn) IN (SELECT * FROM UNNEST($1::BYTEA[], $2::BYTEA[]))
                ORDER BY session, turn, first";
    let sessions: Vec<_> = turns.iter().map(|header| header.session.as_str().as_bytes()).collect();
    let ids: Vec<_> = turns.iter().map(|header| header.turn.as_str().as_bytes()).collect();
    for row in sqlx::query(read).bind(sessions).bind(ids).fetch_all(connection).await? {
        let turn = parsed(&row.try_get::<Vec<u8>, _>(0)?)?;
        found.entry(turn).or_default().extend(chunk::split(row.try_get(1)?)?);
    }
    Ok(found)
}

/// Forgets turns of which so many records are in the log. One with more, or with a living writer, stays: it is
/// folded again.
pub(super) async fn forget(
    connection: &mut PgConnection,
    folded: &HashMap<TurnId, u64>,
) -> Result<(), Failure> {
    if folded.is_empty() {
        return Ok(());
    }
    let lock = "SELECT session, turn, base, over OR expires <= now(), records FROM aichat.flights
                WHERE turn = ANY($1) ORDER BY session, turn FOR UPDATE";
    let ids: Vec<_> = folded.keys().map(|turn| turn.as_str().as_bytes()).collect();
    let (mut sessions, mut turns): (Vec<SessionId>, Vec<TurnId>) = Default::default();
    for row in sqlx::query(lock).bind(ids).fetch_all(&mut *connection).await? {
        let Entry { header, state } = Entry::read(&row)?;
        let records = row.try_get::<i64, _>(4)?.unsigned_abs();
        if state == State::Over && folded.get(&header.turn).is_some_and(|folded| records <= *folded) {
            sessions.push(header.session);
            turns.push(header.turn);
        }
    }
    if turns.is_empty() {
        return Ok(());
    }
    // The row goes first: a writer that adds a chunk needs it.
    for delete in [
        "DELETE FROM aichat.flights WHERE (session, turn) IN (SELECT * FROM UNNEST($1::BYTEA[], $2::BYTEA[]))",
        "DELETE FROM aichat.chunks WHERE (session, turn) IN (SELECT * FROM UNNEST($1::BYTEA[], $2::BYTEA[]))",
        "DELETE FROM aichat.beside WHERE (session, turn) IN (SELECT * FROM UNNEST($1::BYTEA[], $2::BYTEA[]))",
    ] {
        let sessions: Vec<_> = sessions.iter().map(|id| id.as_str().as_bytes()).collect();
        let turns: Vec<_> = turns.iter().map(|id| id.as_str().as_bytes()).collect();
        sqlx::query(delete).bind(sessions).bind(turns).execute(&mut *connection).await?;
    }
    Ok(())
}
