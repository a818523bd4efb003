//! SQLite doing the same work: WAL, every commit synced.

use std::path::Path;

use aichat_message::SessionId;
use aichat_store::{Expect, Table, Unit};
use rusqlite::{Connection, Result, params};

/// A database with the tables that a store has.
pub(super) struct Sqlite(Connection);

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let base = Connection::open(path)?;
        base.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS events(stream TEXT, seq INTEGER, id TEXT, hash BLOB, bytes BLOB,
                 PRIMARY KEY (stream, seq)) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS ids(id TEXT PRIMARY KEY, stream TEXT, seq INTEGER) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS heads(stream TEXT PRIMARY KEY, seq INTEGER, hash BLOB) WITHOUT ROWID;",
        )?;
        for table in Table::ALL {
            let name = table.name();
            base.execute_batch(&format!(
                "CREATE TABLE IF NOT EXISTS {name}(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;"
            ))?;
        }
        base.set_prepared_statement_cache_capacity(64);
        Ok(Self(base))
    }

    /// Appends and writes, all of it or nothing, after comparing the heads.
    pub(super) fn commit(&mut self, units: &[Unit]) -> Result<()> {
        let work = self.0.transaction()?;
        for unit in units {
            let stream = unit.stream.as_str();
            let head = work
                .prepare_cached("SELECT seq, hash FROM heads WHERE stream = ?")?
                .query_row([stream], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))
                .map(Some)
                .or_else(|error| match error {
                    rusqlite::Error::QueryReturnedNoRows => Ok(None),
                    other => Err(other),
                })?;
            let expected = match &unit.expect {
                Expect::New => None,
                Expect::At(head) => Some((head.seq as i64, head.hash.clone())),
            };
            assert_eq!(head, expected, "nobody else writes");
            for row in &unit.events {
                work.prepare_cached("INSERT INTO events VALUES (?, ?, ?, ?, ?)")?.execute(params![
                    stream,
                    row.seq as i64,
                    row.id.as_str(),
                    row.hash,
                    row.bytes
                ])?;
                // An id that is there already fails here, which is what looking for it would be for.
                work.prepare_cached("INSERT INTO ids VALUES (?, ?, ?)")?.execute(params![
                    row.id.as_str(),
                    stream,
                    row.seq as i64
                ])?;
            }
            if let Some(last) = unit.events.last() {
                work.prepare_cached("INSERT OR REPLACE INTO heads VALUES (?, ?, ?)")?.execute(params![
                    stream,
                    last.seq as i64,
                    last.hash
                ])?;
            }
            for write in &unit.writes {
                let name = write.table.name();
                match &write.value {
                    Some(value) => work
                        .prepare_cached(&format!("INSERT OR REPLACE INTO {name} VALUES (?, ?)"))?
                        .execute(params![write.key, value])?,
                    None => work
                        .prepare_cached(&format!("DELETE FROM {name} WHERE key = ?"))?
                        .execute([&write.key])?,
                };
            }
        }
        work.commit()
    }

    /// Reads a stream; returns how many bytes its events have.
    pub(super) fn read(&self, stream: &SessionId) -> Result<usize> {
        let mut query =
            self.0.prepare_cached("SELECT seq, id, hash, bytes FROM events WHERE stream = ? ORDER BY seq")?;
        let mut rows = query.query([stream.as_str()])?;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let _: (i64, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            bytes += row.get::<_, Vec<u8>>(3)?.len();
        }
        Ok(bytes)
    }

    /// Reads the rows of the latest sessions; returns how many bytes they have.
    pub(super) fn list(&self, count: usize) -> Result<usize> {
        let mut query = self.0.prepare_cached(
            "SELECT sessions.value FROM (SELECT key FROM recent ORDER BY key LIMIT ?) AS latest
             JOIN sessions ON sessions.key = substr(latest.key, 9) ORDER BY latest.key",
        )?;
        let mut rows = query.query([count as i64])?;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            bytes += row.get::<_, Vec<u8>>(0)?.len();
        }
        Ok(bytes)
    }
}
