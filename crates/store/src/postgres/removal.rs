//! Removing blobs that nothing refers to, and holding that off.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgConnection, Row};
use tokio::time::Instant;

use super::failure::Failure;
use super::lease::{self, Held};
use super::{Inner, pending};
use crate::error::{Error, ErrorKind};
use crate::store::Table;

/// How long a removal waits for those who hold it off.
const WAIT: Duration = Duration::from_secs(30);
/// What the names of their leases begin with; no session's id does.
const PIN: &[u8] = b"pin_";
/// The first name after all of those.
const PIN_END: &[u8] = b"pin`";

impl Inner {
    /// Holds off removals until the lease is dropped.
    pub(super) async fn pin(self: &Arc<Self>) -> Result<Held, Error> {
        let holder = lease::token();
        let name = [PIN, &holder].concat();
        let asked = Instant::now();
        self.server
            .work("pin blobs", || async {
                let mut lent = self.server.begin().await?;
                let done = async {
                    alone(&mut lent).await?;
                    lease::take(&mut lent, &name, &holder, self.lease).await
                };
                let done = done.await;
                lent.end(done).await
            })
            .await?;
        Ok(Held::new(self, name, holder, asked))
    }

    /// Removes blobs once nobody holds that off, and returns how many.
    pub(super) async fn forget_blobs(&self, hashes: &[blake3::Hash]) -> Result<u64, Error> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(5);
        loop {
            self.closing.settle().await;
            let removed = self.server.work("remove blobs", || async {
                let mut lent = self.server.begin().await?;
                let done = remove(&mut lent, hashes).await;
                lent.end(done).await
            });
            if let Some(count) = removed.await? {
                return Ok(count);
            }
            if began.elapsed() >= WAIT {
                let message = "blobs cannot be removed: another process has been adding some for long";
                return Err(Error::new(ErrorKind::Busy, message));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }
}

/// Waits for the removal or the pin that is being made in another transaction.
async fn alone(connection: &mut PgConnection) -> Result<(), Failure> {
    let lock = sqlx::query("SELECT value FROM aichat.meta WHERE key = 'schema' FOR UPDATE");
    lock.execute(connection).await?;
    Ok(())
}

/// Removes those blobs that nothing refers to; `None` where somebody holds that off.
async fn remove(connection: &mut PgConnection, hashes: &[blake3::Hash]) -> Result<Option<u64>, Failure> {
    alone(connection).await?;
    let expired = "DELETE FROM aichat.leases WHERE expires <= now()";
    sqlx::query(expired).execute(&mut *connection).await?;
    let pins = sqlx::query("SELECT COUNT(*) FROM aichat.leases WHERE name >= $1 AND name < $2");
    let pins = pins.bind(PIN).bind(PIN_END).fetch_one(&mut *connection).await?;
    if pins.try_get::<i64, _>(0)? > 0 {
        return Ok(None);
    }
    let names: Vec<String> = hashes.iter().map(|hash| hash.to_hex().to_string()).collect();
    let mut used = HashSet::new();
    let flights = pending::look(connection).await?;
    used.extend(names.iter().filter(|name| flights.iter().any(|flight| flight.mentions(name))));
    // `g` comes after every digit.
    let ends: Vec<_> = names.iter().map(|name| format!("{name}g").into_bytes()).collect();
    let referred =
        "SELECT n.place FROM UNNEST($1::BIGINT[], $2::BYTEA[], $3::BYTEA[]) AS n (place, first, after)
                    WHERE EXISTS (SELECT 1 FROM aichat.entries AS e
                                  WHERE e.kind = $4 AND e.key >= n.first AND e.key < n.after)";
    let query = sqlx::query(referred)
        .bind((0..names.len() as i64).collect::<Vec<_>>())
        .bind(names.iter().map(String::as_bytes).collect::<Vec<_>>())
        .bind(ends)
        .bind(Table::Blobs.name());
    for row in query.fetch_all(&mut *connection).await? {
        used.extend(names.get(row.try_get::<i64, _>(0)?.unsigned_abs() as usize));
    }
    let unused: Vec<_> = hashes
        .iter()
        .zip(&names)
        .filter(|(_, name)| !used.contains(name))
        .map(|(hash, _)| &hash.as_bytes()[..])
        .collect();
    let delete = sqlx::query("DELETE FROM aichat.blobs WHERE hash = ANY($1) RETURNING part");
    let parts = delete.bind(unused).fetch_all(connection).await?;
    let mut count = 0;
    for part in parts {
        count += u64::from(part.try_get::<i64, _>(0)? == 0);
    }
    Ok(Some(count))
}
