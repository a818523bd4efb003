//! The ledger in a database: a row for every account, and one for every account that something is set aside on.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::{PgConnection, Row};

use super::failure::Failure;
use super::{Inner, server};
use crate::error::Error;
use crate::ledger::{Balance, Hold, Ledger, Verdict};

/// The ledger of the store.
pub(super) struct Rows(pub(super) std::sync::Arc<Inner>);

/// Does one piece of work in a transaction.
macro_rules! write {
    ($self:ident, $what:literal, |$connection:ident| $write:expr) => {
        $self
            .0
            .server
            .work_within(server::LONG, $what, || async {
                let mut lent = $self.0.server.begin().await?;
                let $connection = &mut *lent;
                let done = $write.await;
                lent.end(done).await
            })
            .await
    };
}

#[async_trait]
impl Ledger for Rows {
    async fn reserve(&self, hold: Hold) -> Result<Verdict, Error> {
        write!(self, "reserve", |connection| reserve(connection, &hold))
    }

    async fn settle(&self, id: &str, spent: Option<u64>) -> Result<(), Error> {
        write!(self, "settle", |connection| settle(connection, id, spent))
    }

    async fn spend(&self, accounts: &[String], amount: u64) -> Result<(), Error> {
        write!(self, "note what was spent", |connection| spend(connection, accounts, amount))
    }

    async fn balances(&self) -> Result<Vec<(String, Balance)>, Error> {
        write!(self, "read the ledger", |connection| balances(connection))
    }
}

async fn reserve(connection: &mut PgConnection, hold: &Hold) -> Result<Verdict, Failure> {
    let mut keys: Vec<&[u8]> = hold.accounts.iter().map(|account| account.key.as_bytes()).collect();
    keys.sort_unstable();
    keys.dedup();
    let ensure = "INSERT INTO aichat.accounts (key, spent, held)
                  SELECT key, 0, 0 FROM UNNEST($1::BYTEA[]) AS key ON CONFLICT (key) DO NOTHING";
    sqlx::query(ensure).bind(&keys).execute(&mut *connection).await?;
    // Whoever reserves next waits here, and everybody takes the rows in the same order.
    let lock = "SELECT key, spent, held FROM aichat.accounts WHERE key = ANY($1) ORDER BY key FOR UPDATE";
    let rows = sqlx::query(lock).bind(&keys).fetch_all(&mut *connection).await?;
    let balances: BTreeMap<Vec<u8>, Balance> =
        rows.iter().map(|row| Ok((row.try_get(0)?, balance(row)?))).collect::<Result<_, Failure>>()?;
    let known = "SELECT id FROM aichat.holds WHERE id = $1 LIMIT 1";
    if sqlx::query(known).bind(hold.id.as_bytes()).fetch_optional(&mut *connection).await?.is_some() {
        return Ok(Verdict::Held);
    }
    for account in &hold.accounts {
        let balance = balances.get(account.key.as_bytes()).copied().unwrap_or_default();
        let after = balance.used().checked_add(hold.amount);
        if account.limit.is_some_and(|limit| after.is_none_or(|after| after > limit)) {
            return Ok(Verdict::Refused { account: account.key.clone(), balance });
        }
    }
    let raise = "UPDATE aichat.accounts SET held = held + $2 WHERE key = ANY($1)";
    sqlx::query(raise).bind(&keys).bind(amount(hold.amount)).execute(&mut *connection).await?;
    let note = "INSERT INTO aichat.holds (id, account, amount)
                SELECT $1, account, $3 FROM UNNEST($2::BYTEA[]) AS account";
    let note = sqlx::query(note).bind(hold.id.as_bytes()).bind(&keys).bind(amount(hold.amount));
    note.execute(connection).await?;
    Ok(Verdict::Held)
}

async fn settle(connection: &mut PgConnection, id: &str, spent: Option<u64>) -> Result<(), Failure> {
    let lift = "DELETE FROM aichat.holds WHERE id = $1 RETURNING account, amount";
    let rows = sqlx::query(lift).bind(id.as_bytes()).fetch_all(&mut *connection).await?;
    let mut held: Vec<(Vec<u8>, i64)> =
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, Failure>>()?;
    held.sort_unstable();
    for (account, held) in held {
        let move_over = "UPDATE aichat.accounts SET held = held - $2, spent = spent + $3 WHERE key = $1";
        let spent = spent.map_or(held, amount);
        sqlx::query(move_over).bind(account).bind(held).bind(spent).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn spend(connection: &mut PgConnection, accounts: &[String], spent: u64) -> Result<(), Failure> {
    let mut keys: Vec<&[u8]> = accounts.iter().map(String::as_bytes).collect();
    keys.sort_unstable();
    keys.dedup();
    let add = "INSERT INTO aichat.accounts AS known (key, spent, held)
               SELECT key, $2, 0 FROM UNNEST($1::BYTEA[]) AS key
               ON CONFLICT (key) DO UPDATE SET spent = known.spent + excluded.spent";
    sqlx::query(add).bind(&keys).bind(amount(spent)).execute(connection).await?;
    Ok(())
}

async fn balances(connection: &mut PgConnection) -> Result<Vec<(String, Balance)>, Failure> {
    let read = "SELECT key, spent, held FROM aichat.accounts WHERE spent <> 0 OR held <> 0 ORDER BY key";
    let rows = sqlx::query(read).fetch_all(connection).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        let key: Vec<u8> = row.try_get(0)?;
        Ok((String::from_utf8_lossy(&key).into_owned(), balance(row)?))
    };
    rows.iter().map(read).collect()
}

fn balance(row: &sqlx::postgres::PgRow) -> Result<Balance, Failure> {
    let nano = |amount: i64| u64::try_from(amount).unwrap_or(0);
    Ok(Balance { spent: nano(row.try_get(1)?), held: nano(row.try_get(2)?) })
}

/// Returns an amount as the database can hold it; nobody has more than nine thousand million dollars.
fn amount(nano: u64) -> i64 {
    i64::try_from(nano).unwrap_or(i64::MAX)
}
