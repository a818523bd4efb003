//! The log: what a commit reads before it is judged, and the few statements that apply it.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use aichat_message::{EventId, SessionId, TurnId};

use super::failure::Failure;
use super::{batches, parsed, pending, signed, tables};
use crate::admit::{self, Log, Verdict};
use crate::error::{Error, ErrorKind};
use crate::store::{Head, Row, Table, Unit};

/// Commits units within a transaction. `counts` says how many records of its turns this commit folds.
///
/// The streams' rows are locked before anything is read of them, so that whoever else appends to one waits and then
/// sees this commit. A row that does not exist cannot be locked; two that make it meet when they insert it, and the
/// later one is done anew.
pub(super) async fn commit(
    connection: &mut PgConnection,
    units: &[Unit],
    counts: &HashMap<TurnId, u64>,
) -> Result<(), Failure> {
    let mut staged = Staged::read(connection, units).await?;
    for unit in units {
        let verdict = match admit::judge(&staged, unit) {
            Ok(verdict) => verdict?,
            Err(never) => match never {},
        };
        staged.admit(unit, &verdict, counts)?;
    }
    let known: HashMap<TurnId, u64> = units
        .iter()
        .flat_map(|unit| &unit.folded)
        .filter_map(|turn| Some((turn.clone(), *staged.turns.get(turn)?)))
        .collect();
    staged.apply(connection).await?;
    pending::forget(connection, &known).await
}

/// The log as a commit sees it, with what its units have changed so far.
#[derive(Default)]
struct Staged<'a> {
    heads: HashMap<SessionId, Head>,
    places: HashMap<EventId, (SessionId, u64)>,
    turns: HashMap<TurnId, u64>,
    changes: Changes<'a>,
}

/// What a commit writes, each row once and in the order of its key, so that two commits lock in one order.
#[derive(Default)]
struct Changes<'a> {
    /// Streams that are new, or grow; whether they are new.
    heads: BTreeMap<&'a SessionId, bool>,
    events: BTreeMap<(&'a SessionId, u64), &'a Row>,
    /// Other bytes for events, those of this commit among them.
    replaced: BTreeMap<(&'a SessionId, u64), &'a [u8]>,
    /// Turns whose marker is new, or counts more records; whether it is new.
    turns: BTreeMap<&'a TurnId, bool>,
    entries: BTreeMap<(Table, &'a [u8]), Option<&'a [u8]>>,
}

impl<'a> Staged<'a> {
    async fn read(connection: &mut PgConnection, units: &[Unit]) -> Result<Self, Failure> {
        let streams: Vec<_> = units.iter().map(|unit| unit.stream.as_str().as_bytes()).collect();
        let lock = "SELECT session, seq, hash FROM aichat.streams WHERE session = ANY($1)
                    ORDER BY session FOR UPDATE";
        let mut heads = HashMap::new();
        for row in sqlx::query(lock).bind(streams).fetch_all(&mut *connection).await? {
            let head = Head { seq: row.try_get::<i64, _>(1)?.unsigned_abs(), hash: row.try_get(2)? };
            heads.insert(parsed(&row.try_get::<Vec<u8>, _>(0)?)?, head);
        }
        let turns: Vec<_> = units.iter().flat_map(|unit| unit.folded.iter().cloned()).collect();
        let turns = markers(connection, &turns).await?;
        let appended = units.iter().flat_map(|unit| &unit.events).map(|event| &event.id);
        let replaced = units.iter().flat_map(|unit| &unit.replaced).map(|replaced| &replaced.id);
        let ids: Vec<_> = appended.chain(replaced).collect();
        let places = places(connection, &ids).await?;
        Ok(Self { heads, places, turns, changes: Changes::default() })
    }

    fn admit(
        &mut self,
        unit: &'a Unit,
        verdict: &Verdict,
        counts: &HashMap<TurnId, u64>,
    ) -> Result<(), Error> {
        if let Verdict::Append(from) = verdict {
            for row in &unit.events[*from..] {
                signed(row.seq)?;
                let is_new = !self.heads.contains_key(&unit.stream);
                self.changes.heads.entry(&unit.stream).or_insert(is_new);
                self.changes.events.insert((&unit.stream, row.seq), row);
                self.places.insert(row.id.clone(), (unit.stream.clone(), row.seq));
                self.heads.insert(unit.stream.clone(), Head { seq: row.seq, hash: row.hash.clone() });
            }
            for replaced in &unit.replaced {
                let place = self.places.get(&replaced.id);
                let (_, seq) = place.expect("a unit that replaces an event elsewhere is refused");
                self.changes.replaced.insert((&unit.stream, *seq), &replaced.bytes);
            }
            for write in &unit.writes {
                self.changes.entries.insert((write.table, &write.key), write.value.as_deref());
            }
        }
        for turn in &unit.folded {
            let count = counts.get(turn).copied().unwrap_or(0);
            let marked = self.turns.get(turn).copied();
            let writes = match (verdict, marked) {
                // Whoever forgets a turn without events has dealt with what came after it was folded.
                (Verdict::Folded, Some(marked)) => unit.events.is_empty() && count > marked,
                (Verdict::Folded, None) => false,
                (Verdict::Known | Verdict::Append(_), _) => true,
            };
            if writes {
                self.changes.turns.entry(turn).or_insert(marked.is_none());
                self.turns.insert(turn.clone(), count);
            }
        }
        Ok(())
    }

    async fn apply(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        self.apply_heads(connection).await?;
        self.apply_events(connection).await?;
        self.apply_turns(connection).await?;
        tables::write(connection, &self.changes.entries).await
    }

    async fn apply_heads(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        let insert = "INSERT INTO aichat.streams (session, seq, hash)
                      SELECT * FROM UNNEST($1::BYTEA[], $2::BIGINT[], $3::BYTEA[]) ON CONFLICT DO NOTHING";
        let update = "UPDATE aichat.streams AS s SET seq = n.seq, hash = n.hash
                      FROM UNNEST($1::BYTEA[], $2::BIGINT[], $3::BYTEA[]) AS n (session, seq, hash)
                      WHERE s.session = n.session";
        for (is_new, statement) in [(true, insert), (false, update)] {
            let (mut ids, mut seqs, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
            for (id, _) in self.changes.heads.iter().filter(|(_, new)| **new == is_new) {
                let head = &self.heads[*id];
                ids.push(id.as_str().as_bytes());
                seqs.push(signed(head.seq)?);
                hashes.push(&head.hash[..]);
            }
            let count = ids.len();
            if count > 0 {
                let query = sqlx::query(statement).bind(ids).bind(seqs).bind(hashes);
                all(query.execute(&mut *connection).await?.rows_affected(), count)?;
            }
        }
        Ok(())
    }

    async fn apply_events(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        let ids = "INSERT INTO aichat.ids (id, session, seq)
                   SELECT * FROM UNNEST($1::BYTEA[], $2::BYTEA[], $3::BIGINT[]) ON CONFLICT DO NOTHING";
        let events = "INSERT INTO aichat.events (id, session, seq, hash, bytes)
                      SELECT * FROM UNNEST($1::BYTEA[], $2::BYTEA[], $3::BIGINT[], $4::BYTEA[], $5::BYTEA[])";
        let rows: Vec<_> = self.changes.events.iter().collect();
        for batch in batches(&rows, |(_, row)| row.bytes.len() + 200) {
            let id: Vec<_> = batch.iter().map(|(_, row)| row.id.as_str().as_bytes()).collect();
            let session: Vec<_> = batch.iter().map(|((id, _), _)| id.as_str().as_bytes()).collect();
            let seq = batch.iter().map(|((_, seq), _)| signed(*seq)).collect::<Result<Vec<_>, _>>()?;
            let hash: Vec<_> = batch.iter().map(|(_, row)| &row.hash[..]).collect();
            let bytes: Vec<_> = batch.iter().map(|(_, row)| &row.bytes[..]).collect();
            let query = sqlx::query(ids).bind(id.clone()).bind(session.clone()).bind(seq.clone());
            all(query.execute(&mut *connection).await?.rows_affected(), batch.len())?;
            let query = sqlx::query(events).bind(id).bind(session).bind(seq).bind(hash).bind(bytes);
            query.execute(&mut *connection).await?;
        }
        let update = "UPDATE aichat.events AS e SET bytes = n.bytes
                      FROM UNNEST($1::BYTEA[], $2::BIGINT[], $3::BYTEA[]) AS n (session, seq, bytes)
                      WHERE e.session = n.session AND e.seq = n.seq";
        let replaced: Vec<_> = self.changes.replaced.iter().collect();
        for batch in batches(&replaced, |(_, bytes)| bytes.len() + 100) {
            let session: Vec<_> = batch.iter().map(|((id, _), _)| id.as_str().as_bytes()).collect();
            let seq = batch.iter().map(|((_, seq), _)| signed(*seq)).collect::<Result<Vec<_>, _>>()?;
            let bytes: Vec<_> = batch.iter().map(|(_, bytes)| **bytes).collect();
            let query = sqlx::query(update).bind(session).bind(seq).bind(bytes);
            all(query.execute(&mut *connection).await?.rows_affected(), batch.len())?;
        }
        Ok(())
    }

    async fn apply_turns(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        let insert = "INSERT INTO aichat.turns (turn, records)
                      SELECT * FROM UNNEST($1::BYTEA[], $2::BIGINT[]) ON CONFLICT DO NOTHING";
        let update = "UPDATE aichat.turns AS t SET records = n.records
                      FROM UNNEST($1::BYTEA[], $2::BIGINT[]) AS n (turn, records) WHERE t.turn = n.turn";
        for (is_new, statement) in [(true, insert), (false, update)] {
            let (mut ids, mut counts) = (Vec::new(), Vec::new());
            for (turn, _) in self.changes.turns.iter().filter(|(_, new)| **new == is_new) {
                ids.push(turn.as_str().as_bytes());
                counts.push(signed(self.turns[*turn])?);
            }
            let count = ids.len();
            if count > 0 {
                let query = sqlx::query(statement).bind(ids).bind(counts);
                all(query.execute(&mut *connection).await?.rows_affected(), count)?;
            }
        }
        Ok(())
    }
}

/// Starts the unit anew where another commit made one of the rows in the meantime.
fn all(written: u64, wanted: usize) -> Result<(), Failure> {
    if written == wanted as u64 { Ok(()) } else { Err(Failure::Again) }
}

impl Log for Staged<'_> {
    type Error = Infallible;

    fn head(&self, stream: &SessionId) -> Result<Option<Head>, Infallible> {
        Ok(self.heads.get(stream).cloned())
    }

    fn find(&self, event: &EventId) -> Result<Option<(SessionId, u64)>, Infallible> {
        Ok(self.places.get(event).cloned())
    }

    fn folded(&self, turn: &TurnId) -> Result<bool, Infallible> {
        Ok(self.turns.contains_key(turn))
    }
}

/// Returns how many records of turns are in the log, of those that were folded.
pub(super) async fn markers(
    connection: &mut PgConnection,
    turns: &[TurnId],
) -> Result<HashMap<TurnId, u64>, Failure> {
    if turns.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<_> = turns.iter().map(|turn| turn.as_str().as_bytes()).collect();
    let read = "SELECT turn, records FROM aichat.turns WHERE turn = ANY($1)";
    sqlx::query(read).bind(ids).fetch_all(connection).await?.iter().map(marker).collect()
}

/// Reads a turn and a number of records.
pub(super) fn marker(row: &PgRow) -> Result<(TurnId, u64), Failure> {
    Ok((parsed(&row.try_get::<Vec<u8>, _>(0)?)?, row.try_get::<i64, _>(1)?.unsigned_abs()))
}

/// Returns where events are, of those that are in the log.
pub(super) async fn places(
    connection: &mut PgConnection,
    events: &[&EventId],
) -> Result<HashMap<EventId, (SessionId, u64)>, Failure> {
    let mut found = HashMap::new();
    let read = "SELECT id, session, seq FROM aichat.ids WHERE id = ANY($1)";
    for batch in events.chunks(10_000) {
        let ids: Vec<_> = batch.iter().map(|id| id.as_str().as_bytes()).collect();
        for row in sqlx::query(read).bind(ids).fetch_all(&mut *connection).await? {
            let seq = row.try_get::<i64, _>(2)?.unsigned_abs();
            let place = (parsed(&row.try_get::<Vec<u8>, _>(1)?)?, seq);
            found.insert(parsed(&row.try_get::<Vec<u8>, _>(0)?)?, place);
        }
    }
    Ok(found)
}

/// Returns where a stream ends.
pub(super) async fn head(connection: &mut PgConnection, stream: &SessionId) -> Result<Option<Head>, Failure> {
    let read = sqlx::query("SELECT seq, hash FROM aichat.streams WHERE session = $1");
    let row = read.bind(stream.as_str().as_bytes()).fetch_optional(connection).await?;
    let head = |row: PgRow| Ok(Head { seq: row.try_get::<i64, _>(0)?.unsigned_abs(), hash: row.try_get(1)? });
    row.map(head).transpose()
}

/// Returns events, and makes sure that none is missing among them.
pub(super) async fn events(
    connection: &mut PgConnection,
    stream: &SessionId,
    from: u64,
    limit: usize,
) -> Result<Vec<Row>, Failure> {
    // The head is read first: what is appended afterwards is more than it promises.
    let Some(head) = head(connection, stream).await? else { return Ok(Vec::new()) };
    let mut next = from.max(1);
    if next > head.seq || limit == 0 {
        return Ok(Vec::new());
    }
    let read = "SELECT seq, id, hash, bytes FROM aichat.events WHERE session = $1 AND seq >= $2
                ORDER BY seq LIMIT $3";
    let query = sqlx::query(read).bind(stream.as_str().as_bytes()).bind(signed(next)?);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let missing = |seq| {
        Failure::Refused(Error::new(ErrorKind::Corrupt, format!("event {seq} of stream {stream} is missing")))
    };
    let mut rows = Vec::new();
    for row in query.bind(limit).fetch_all(connection).await? {
        let seq = row.try_get::<i64, _>(0)?.unsigned_abs();
        if seq != next {
            return Err(missing(next));
        }
        next += 1;
        let id = parsed(&row.try_get::<Vec<u8>, _>(1)?)?;
        rows.push(Row { seq, id, hash: row.try_get(2)?, bytes: row.try_get(3)? });
    }
    match (rows.len() as i64) < limit && next <= head.seq {
        true => Err(missing(next)),
        false => Ok(rows),
    }
}

/// Returns streams in the order of their ids.
pub(super) async fn streams(
    connection: &mut PgConnection,
    after: Option<&SessionId>,
    limit: usize,
) -> Result<Vec<SessionId>, Failure> {
    let read = "SELECT session FROM aichat.streams WHERE session > $1 ORDER BY session LIMIT $2";
    // Every id is after the empty one.
    let query = sqlx::query(read).bind(after.map_or("", SessionId::as_str).as_bytes());
    let rows = query.bind(i64::try_from(limit).unwrap_or(i64::MAX)).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(parsed(&row.try_get::<Vec<u8>, _>(0)?)?)).collect()
}
