//! Ordered tables of bytes, all of them in one table of the database.

use std::collections::BTreeMap;
use std::ops::Bound;

use sqlx::{PgConnection, Row};

use super::batches;
use super::failure::Failure;
use crate::range::range;
use crate::store::{Scan, Table, Write};

/// What is written to tables: each key once, in order.
pub(super) type Entries<'a> = BTreeMap<(Table, &'a [u8]), Option<&'a [u8]>>;

/// Writes and removes entries.
pub(super) async fn write(connection: &mut PgConnection, entries: &Entries<'_>) -> Result<(), Failure> {
    let upsert = "INSERT INTO aichat.entries (kind, key, value)
                  SELECT * FROM UNNEST($1::TEXT[], $2::BYTEA[], $3::BYTEA[])
                  ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value";
    let put: Vec<_> = entries.iter().filter_map(|(key, value)| Some((*key, (*value)?))).collect();
    for batch in batches(&put, |((_, key), value)| key.len() + value.len() + 50) {
        let kinds: Vec<_> = batch.iter().map(|((table, _), _)| table.name()).collect();
        let keys: Vec<_> = batch.iter().map(|((_, key), _)| *key).collect();
        let values: Vec<_> = batch.iter().map(|(_, value)| *value).collect();
        sqlx::query(upsert).bind(kinds).bind(keys).bind(values).execute(&mut *connection).await?;
    }
    let delete = "DELETE FROM aichat.entries
                  WHERE (kind, key) IN (SELECT * FROM UNNEST($1::TEXT[], $2::BYTEA[]))";
    let gone: Vec<_> = entries.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| *key).collect();
    for batch in batches(&gone, |(_, key)| key.len() + 50) {
        let kinds: Vec<_> = batch.iter().map(|(table, _)| table.name()).collect();
        let keys: Vec<_> = batch.iter().map(|(_, key)| *key).collect();
        sqlx::query(delete).bind(kinds).bind(keys).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Replaces the contents of every projection table.
pub(super) async fn replace(connection: &mut PgConnection, writes: &[Write]) -> Result<(), Failure> {
    let projections: Vec<_> =
        Table::ALL.iter().filter(|table| table.is_projection()).map(|table| table.name()).collect();
    let delete = "DELETE FROM aichat.entries WHERE kind = ANY($1)";
    sqlx::query(delete).bind(projections).execute(&mut *connection).await?;
    let mut entries = Entries::new();
    for entry in writes {
        entries.insert((entry.table, &entry.key), entry.value.as_deref());
    }
    entries.retain(|_, value| value.is_some());
    write(connection, &entries).await?;
    sqlx::query("DELETE FROM aichat.meta WHERE key = 'stale'").execute(connection).await?;
    Ok(())
}

/// Tells whether a new layout wants the projections made anew.
pub(super) async fn stale(connection: &mut PgConnection) -> Result<bool, Failure> {
    let read = sqlx::query("SELECT value FROM aichat.meta WHERE key = 'stale'");
    Ok(read.fetch_optional(connection).await?.is_some())
}

/// Returns the value at a key.
pub(super) async fn get(
    connection: &mut PgConnection,
    table: Table,
    key: &[u8],
) -> Result<Option<Vec<u8>>, Failure> {
    let read = sqlx::query("SELECT value FROM aichat.entries WHERE kind = $1 AND key = $2");
    let row = read.bind(table.name()).bind(key).fetch_optional(connection).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Returns entries in the order of their keys.
pub(super) async fn scan(
    connection: &mut PgConnection,
    table: Table,
    scan: &Scan,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Failure> {
    let Some((low, high)) = range(scan) else { return Ok(Vec::new()) };
    let low = match low {
        Bound::Included(key) => key,
        // The first key after it.
        Bound::Excluded(key) => [key, vec![0]].concat(),
        Bound::Unbounded => Vec::new(),
    };
    let high = match high {
        Bound::Excluded(key) => Some(key),
        Bound::Included(key) => Some([key, vec![0]].concat()),
        Bound::Unbounded => None,
    };
    let read = match (&high, scan.reverse) {
        (None, false) => {
            "SELECT key, value FROM aichat.entries WHERE kind = $1 AND key >= $3 ORDER BY key LIMIT $2"
        }
        (None, true) => {
            "SELECT key, value FROM aichat.entries WHERE kind = $1 AND key >= $3 ORDER BY key DESC LIMIT $2"
        }
        (Some(_), false) => {
            "SELECT key, value FROM aichat.entries WHERE kind = $1 AND key >= $3 AND key < $4
             ORDER BY key LIMIT $2"
        }
        (Some(_), true) => {
            "SELECT key, value FROM aichat.entries WHERE kind = $1 AND key >= $3 AND key < $4
             ORDER BY key DESC LIMIT $2"
        }
    };
    let limit = scan.limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(i64::MAX);
    let mut query = sqlx::query(read).bind(table.name()).bind(limit).bind(low);
    if let Some(high) = high {
        query = query.bind(high);
    }
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
