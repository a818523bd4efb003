//! How much is in the database, and giving back the space of what is gone.

use sqlx::{Executor, PgConnection, Row};

use super::failure::Failure;
use super::{Inner, layout, server};
use crate::error::Error;
use crate::store::Info;

/// Writes a table anew, one statement for each that can have lost rows.
const VACUUM: [&str; 9] = [
    "VACUUM (FULL) aichat.events",
    "VACUUM (FULL) aichat.entries",
    "VACUUM (FULL) aichat.blobs",
    "VACUUM (FULL) aichat.chunks",
    "VACUUM (FULL) aichat.flights",
    "VACUUM (FULL) aichat.streams",
    "VACUUM (FULL) aichat.ids",
    "VACUUM (FULL) aichat.turns",
    "VACUUM (FULL) aichat.leases",
];

impl Inner {
    /// Counts what there is.
    pub(super) async fn info(&self) -> Result<Info, Error> {
        self.closing.settle().await;
        self.server
            .work("count what there is", || async {
                let mut lent = self.server.lend().await?;
                let done = count(&mut lent).await;
                let info = lent.settle(done)?;
                Ok(Info { place: format!("postgres://{}", self.server.place()), ..info })
            })
            .await
    }

    /// Writes every table anew without what is gone, where the server can do that. One that cannot gives space back
    /// by itself.
    pub(super) async fn compact(&self) -> Result<(), Error> {
        self.closing.settle().await;
        self.server
            .work_within(server::LONG, "give space back", || async {
                let mut lent = self.server.lend().await?;
                let done = vacuum(&mut lent).await;
                lent.settle(done)
            })
            .await
    }
}

async fn count(connection: &mut PgConnection) -> Result<Info, Failure> {
    // No sequence number is missing in a stream.
    let count = "SELECT
            (SELECT COUNT(*) FROM aichat.streams),
            (SELECT COALESCE(SUM(seq), 0)::BIGINT FROM aichat.streams),
            (SELECT COUNT(*) FROM aichat.blobs WHERE part = 0),
            (SELECT COALESCE(SUM(size), 0)::BIGINT FROM aichat.blobs WHERE part = 0),
            (SELECT COUNT(*) FROM aichat.flights)";
    let row = sqlx::query(count).fetch_one(&mut *connection).await?;
    let number = |at: usize| Ok::<_, Failure>(row.try_get::<i64, _>(at)?.unsigned_abs());
    // Not every server that speaks like PostgreSQL knows.
    let size = "SELECT SUM(pg_total_relation_size(c.oid))::BIGINT FROM pg_class AS c
                JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'aichat' AND c.relkind = 'r'";
    let bytes = match sqlx::query(size).fetch_one(connection).await.map_err(Failure::from) {
        Ok(row) => row.try_get::<Option<i64>, _>(0)?.map(i64::unsigned_abs),
        Err(failure) if failure.leaves_a_connection() => None,
        Err(failure) => return Err(failure),
    };
    Ok(Info {
        backend: "postgres".to_owned(),
        schema: layout::known(),
        streams: number(0)?,
        events: number(1)?,
        blobs: number(2)?,
        blob_bytes: number(3)?,
        bytes,
        turns_in_flight: number(4)?,
        ..Info::default()
    })
}

async fn vacuum(connection: &mut PgConnection) -> Result<(), Failure> {
    for statement in VACUUM {
        match connection.execute(statement).await.map_err(Failure::from) {
            Ok(_) => {}
            // A syntax error or a feature that is not supported.
            Err(failure) if matches!(failure.code(), Some("42601" | "0A000")) => return Ok(()),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}
