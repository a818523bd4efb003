//! Blobs, each in parts that no database finds too large.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::batches;
use super::failure::Failure;
use crate::error::{Error, ErrorKind};
use crate::store::Blob;

/// The size of a part, in bytes.
const PART: usize = 1 << 20;

/// Keeps bytes under their hash, unless they are kept already; damaged ones are written anew.
pub(super) async fn put(connection: &mut PgConnection, hash: &[u8], bytes: &[u8]) -> Result<(), Failure> {
    let known = sqlx::query("SELECT bytes FROM aichat.blobs WHERE hash = $1 ORDER BY part");
    let known = known.bind(hash).fetch_all(&mut *connection).await?;
    if !known.is_empty() {
        let parts = known.iter().map(|row| row.try_get::<&[u8], _>(0)).collect::<Result<Vec<_>, _>>()?;
        if parts.concat() == bytes {
            return Ok(());
        }
        sqlx::query("DELETE FROM aichat.blobs WHERE hash = $1").bind(hash).execute(&mut *connection).await?;
    }
    let insert = "INSERT INTO aichat.blobs (hash, part, size, bytes)
                  SELECT $1, part, $2, bytes FROM UNNEST($3::BIGINT[], $4::BYTEA[]) AS p (part, bytes)
                  ON CONFLICT DO NOTHING";
    let parts: Vec<(i64, &[u8])> = match bytes {
        [] => vec![(0, bytes)],
        _ => (0..).zip(bytes.chunks(PART)).collect(),
    };
    for batch in batches(&parts, |(_, part)| part.len()) {
        let (numbers, parts): (Vec<i64>, Vec<&[u8]>) = batch.iter().copied().unzip();
        let query = sqlx::query(insert).bind(hash).bind(bytes.len() as i64).bind(numbers).bind(parts);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Returns the bytes kept under a hash.
pub(super) async fn get(
    connection: &mut PgConnection,
    hash: &blake3::Hash,
) -> Result<Option<Vec<u8>>, Failure> {
    let read = sqlx::query("SELECT bytes FROM aichat.blobs WHERE hash = $1 ORDER BY part");
    let rows = read.bind(&hash.as_bytes()[..]).fetch_all(connection).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    for row in rows {
        bytes.extend_from_slice(row.try_get(0)?);
    }
    match blake3::hash(&bytes) == *hash {
        true => Ok(Some(bytes)),
        false => Err(Error::new(ErrorKind::Corrupt, format!("blob {hash} is damaged")).into()),
    }
}

/// Returns blobs in the order of their hashes.
pub(super) async fn list(
    connection: &mut PgConnection,
    after: Option<&blake3::Hash>,
    limit: usize,
) -> Result<Vec<Blob>, Failure> {
    let read = "SELECT hash, size FROM aichat.blobs WHERE part = 0 AND hash > $1 ORDER BY hash LIMIT $2";
    // Every hash is after the empty one.
    let query = sqlx::query(read).bind(after.map_or(&[][..], |hash| hash.as_bytes()));
    let rows = query.bind(i64::try_from(limit).unwrap_or(i64::MAX)).fetch_all(connection).await?;
    let blob = |row: &PgRow| {
        let hash = blake3::Hash::from_slice(row.try_get(0)?).map_err(|_| {
            Error::new(ErrorKind::Corrupt, "a row of the database holds no hash where one belongs")
        })?;
        Ok(Blob { hash: hash.to_hex().to_string(), size: row.try_get::<i64, _>(1)?.unsigned_abs() })
    };
    rows.iter().map(blob).collect()
}
