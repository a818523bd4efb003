//! The tables, and how a database comes to have those of this version.
//!
//! Everything is in the schema `aichat`. The row `schema` of `meta` says which version laid the tables out; a change
//! of the layout is one more entry of [`STEPS`]. Ids are bytes, because a text's order is the database's choice.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Executor, PgConnection, Row};

use super::connection::Connections;
use super::failure::Failure;
use super::lease;
use crate::error::{Error, ErrorKind};

/// What each version of the layout adds to the one before it. Every statement may be repeated.
const STEPS: &[&[&str]] = &[FIRST, BESIDE, LEDGER, GRAMS];

/// What is kept beside turns in flight.
const BESIDE: &[&str] = &["CREATE TABLE IF NOT EXISTS aichat.beside (
        session BYTEA NOT NULL, turn BYTEA NOT NULL, part BIGINT NOT NULL, bytes BYTEA NOT NULL,
        PRIMARY KEY (session, turn, part))"];

/// The ledger; and there are more projections now.
const LEDGER: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS aichat.accounts (
        key BYTEA NOT NULL PRIMARY KEY, spent BIGINT NOT NULL, held BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS aichat.holds (
        id BYTEA NOT NULL, account BYTEA NOT NULL, amount BIGINT NOT NULL, PRIMARY KEY (id, account))",
    STALE,
];

/// The words of a long message are no longer kept whole.
const GRAMS: &[&str] = &[STALE];

/// Has projections made anew, which are others now.
const STALE: &str =
    "INSERT INTO aichat.meta (key, value) SELECT 'stale', 1 WHERE EXISTS (SELECT 1 FROM aichat.streams)
        ON CONFLICT (key) DO NOTHING";

const FIRST: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS aichat.streams (
        session BYTEA NOT NULL PRIMARY KEY, seq BIGINT NOT NULL, hash BYTEA NOT NULL)",
    "CREATE TABLE IF NOT EXISTS aichat.events (
        session BYTEA NOT NULL, seq BIGINT NOT NULL, id BYTEA NOT NULL, hash BYTEA NOT NULL, bytes BYTEA NOT NULL,
        PRIMARY KEY (session, seq))",
    "CREATE TABLE IF NOT EXISTS aichat.ids (
        id BYTEA NOT NULL PRIMARY KEY, session BYTEA NOT NULL, seq BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS aichat.turns (turn BYTEA NOT NULL PRIMARY KEY, records BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS aichat.entries (
        kind TEXT NOT NULL, key BYTEA NOT NULL, value BYTEA NOT NULL, PRIMARY KEY (kind, key))",
    "CREATE TABLE IF NOT EXISTS aichat.blobs (
        hash BYTEA NOT NULL, part BIGINT NOT NULL, size BIGINT NOT NULL, bytes BYTEA NOT NULL,
        PRIMARY KEY (hash, part))",
    "CREATE TABLE IF NOT EXISTS aichat.flights (
        session BYTEA NOT NULL, turn BYTEA NOT NULL, base BYTEA, writer BYTEA NOT NULL, records BIGINT NOT NULL,
        bytes BIGINT NOT NULL, over BOOLEAN NOT NULL, began TIMESTAMPTZ NOT NULL, expires TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (session, turn))",
    "CREATE INDEX IF NOT EXISTS flights_turn ON aichat.flights (turn)",
    "CREATE TABLE IF NOT EXISTS aichat.chunks (
        session BYTEA NOT NULL, turn BYTEA NOT NULL, first BIGINT NOT NULL, bytes BYTEA NOT NULL,
        PRIMARY KEY (session, turn, first))",
];

/// What must be there before a lease can be taken.
const GROUND: &[&str] = &[
    "CREATE SCHEMA IF NOT EXISTS aichat",
    "CREATE TABLE IF NOT EXISTS aichat.meta (key TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS aichat.leases (
        name BYTEA NOT NULL PRIMARY KEY, holder BYTEA NOT NULL, expires TIMESTAMPTZ NOT NULL)",
];

/// The row of `leases` that whoever lays tables out holds.
const LEASE: &[u8] = b"layout";
/// How long one process may take to lay tables out before another tries.
const LEASE_LENGTH: Duration = Duration::from_secs(20);
/// How long to wait before looking again whether another process is done.
const PAUSE: Duration = Duration::from_millis(20);

/// Returns the version of the layout that this program knows.
pub(super) fn known() -> u64 {
    STEPS.len() as u64
}

/// Makes sure that the tables are those of this version.
///
/// # Errors
/// Fails with `newer`, and has written nothing, where a later version laid them out.
pub(super) async fn prepare(connections: &Arc<Connections>) -> Result<(), Failure> {
    loop {
        let mut lent = connections.lend().await?;
        let done = step(&mut lent).await;
        match lent.settle(done) {
            Ok(true) => return Ok(()),
            Ok(false) => tokio::time::sleep(PAUSE).await,
            Err(failure) => return Err(failure),
        }
    }
}

/// Goes on with the layout as far as this process may, and tells whether it is done.
async fn step(connection: &mut PgConnection) -> Result<bool, Failure> {
    let version = version(connection).await?;
    match version {
        Some(version) if version == known() => return Ok(true),
        Some(version) if version > known() => {
            let message =
                format!("the store was written by a later version of this program (schema {version})");
            return Err(Error::new(ErrorKind::Newer, message).into());
        }
        Some(_) => {}
        None => {
            for statement in GROUND {
                run(connection, statement).await?;
            }
        }
    }
    let holder = lease::token();
    if !lease::take(connection, LEASE, &holder, LEASE_LENGTH).await? {
        return Ok(false);
    }
    let done = lay_out(connection).await;
    lease::give_back(connection, LEASE, &holder).await?;
    done.map(|()| true)
}

async fn lay_out(connection: &mut PgConnection) -> Result<(), Failure> {
    // Somebody else may have been done between our look and our lease.
    let before = version(connection).await?.unwrap_or(0);
    for (number, statements) in (1i64..).zip(STEPS).skip(usize::try_from(before).unwrap_or(usize::MAX)) {
        for statement in *statements {
            run(connection, statement).await?;
        }
        let bump = "INSERT INTO aichat.meta (key, value) VALUES ('schema', $1)
                    ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        sqlx::query(bump).bind(number).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Returns the version of the layout that is there.
async fn version(connection: &mut PgConnection) -> Result<Option<u64>, Failure> {
    let read = sqlx::query("SELECT value FROM aichat.meta WHERE key = 'schema'");
    match read.fetch_optional(connection).await.map_err(Failure::from) {
        Ok(row) => Ok(row.map(|row| row.try_get::<i64, _>(0)).transpose()?.map(i64::unsigned_abs)),
        // Neither table nor schema.
        Err(failure) if matches!(failure.code(), Some("42P01" | "3F000")) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Runs a statement that makes something unless it is there. Two that do so at once can still collide.
async fn run(connection: &mut PgConnection, statement: &'static str) -> Result<(), Failure> {
    match connection.execute(statement).await.map_err(Failure::from) {
        Ok(_) => Ok(()),
        Err(failure) => match failure.code() {
            Some("23505" | "42P06" | "42P07" | "42710" | "XX000") => Err(Failure::Again),
            _ => Err(failure),
        },
    }
}
