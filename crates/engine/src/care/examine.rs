//! Examining a store: every chain, every blob, every document, and every row that the log gives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use aichat_events::{Fact, Hash, SessionForked};
use aichat_message::SessionId;
use aichat_store::{Claim, ErrorKind as StoreErrorKind, Scan, Table};

use super::{PAGE, name_of};
use crate::document::is_system;
use crate::engine::Engine;
use crate::error::Error;
use crate::project::Projection;
use crate::work::Step;

/// What helps where bytes are lost.
const RESTORE: &str = "`aichat store restore BACKUP` takes it from a backup";
/// What helps where nobody knows what was spent.
const LEAVE_OUT: &str = "until then nothing is asked under a budget of a day; `aichat store rebuild` leaves it out, so \
                         that it counts no more, and keeps the file as ledger.damaged";
/// What helps where the log is whole.
const REBUILD: &str = "run `aichat store rebuild`";

/// What an examination of a store looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// How many sessions there are, deleted ones included.
    pub sessions: u64,
    /// How many events of theirs, and of the stream of what happened outside sessions, hold.
    pub events: u64,
    /// How many blobs they refer to.
    pub blobs: u64,
    /// How many documents there are, each version counted.
    pub documents: u64,
    /// How many turns are in flight, or could not be folded.
    pub turns_in_flight: u64,
    /// What was set aside earlier because it was damaged or late, by name.
    pub set_aside: Vec<String>,
    /// What does not hold.
    pub findings: Vec<Finding>,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing it is.
    pub subject: Subject,
    /// Which one: a session, a blob, a table.
    pub place: String,
    /// What is wrong with it, in a phrase.
    pub fault: String,
    /// What to do about it.
    pub remedy: String,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subject {
    /// The log of a session.
    Log,
    /// Turns that are not in the log yet.
    Turns,
    /// A blob that something refers to.
    Blob,
    /// What is derived from the logs.
    Projection,
    /// Documents.
    Documents,
    /// What a fork goes on from.
    Fork,
    /// What was spent and is set aside.
    Ledger,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "log",
            Self::Turns => "turns",
            Self::Blob => "blob",
            Self::Projection => "projection",
            Self::Documents => "documents",
            Self::Fork => "fork",
            Self::Ledger => "ledger",
        })
    }
}

/// The rows that the logs give, by table and key; a hash stands for the value.
type Rows = BTreeMap<(Table, Vec<u8>), Hash>;

impl Examined {
    fn find(&mut self, subject: Subject, place: impl fmt::Display, fault: impl fmt::Display, remedy: &str) {
        let (place, fault) = (place.to_string(), fault.to_string());
        self.findings.push(Finding { subject, place, fault, remedy: remedy.to_owned() });
    }
}

impl Engine {
    /// Examines the whole store: that every chain holds, every blob that is referred to is there with the bytes of its
    /// hash, every document is what was saved, and every derived row is what a rebuild would write. What does not
    /// hold is among the findings, and the examination goes on. What waits is folded first; nothing else is written.
    ///
    /// # Errors
    /// Fails with kind `store` where the store cannot be opened or read at all.
    pub async fn examine(&self) -> Result<Examined, Error> {
        self.using_store(async {
            let mut found = Examined::default();
            let fresh = self.examine_turns(&mut found).await?;
            let mut rows = Rows::new();
            let mut whole = true;
            let sessions = self.streams().await?;
            let mut steps = self.steps(Step::Verify, Some(sessions.len()));
            for session in sessions {
                whole &= self.examine_log(&session, &mut found, &mut rows).await?;
                steps.done(1);
            }
            drop(steps);
            let blobs: BTreeSet<String> = rows
                .keys()
                .filter(|(table, _)| *table == Table::Blobs)
                .filter_map(|(_, key)| name_of(key))
                .collect();
            if fresh {
                for table in Table::ALL.iter().copied().filter(|table| table.is_projection()) {
                    self.examine_table(table, &mut rows, whole, &mut found).await?;
                }
            }
            let mut steps = self.steps(Step::Blobs, Some(blobs.len()));
            for name in blobs {
                self.examine_blob(&name, &mut found).await?;
                steps.done(1);
            }
            drop(steps);
            self.examine_documents(&mut found).await?;
            for fault in self.ledger_faults().await? {
                found.find(Subject::Ledger, "of days", fault, LEAVE_OUT);
            }
            let info = self.store().info().await?;
            (found.turns_in_flight, found.set_aside) = (info.turns_in_flight, info.set_aside);
            Ok(found)
        })
        .await
    }

    /// Returns what is damaged of the ledger, each in a phrase.
    ///
    /// # Errors
    /// Fails with kind `store` where it cannot be read.
    pub async fn ledger_faults(&self) -> Result<Vec<String>, Error> {
        Ok(self.0.ledger.faults().await?)
    }

    /// Folds what waits. Tells whether the projections are those of the log.
    async fn examine_turns(&self, found: &mut Examined) -> Result<bool, Error> {
        if let Err(error) = self.store().pending(Claim::Look).await {
            found.find(
                Subject::Turns,
                "journal",
                Error::from(error),
                "a later version of this program reads them",
            );
        }
        let folded = match self.fold_waiting().await {
            Err(error) if error.is_unwritable() => Ok(()),
            folded => folded.map(|_| ()),
        };
        if let Err(error) = folded {
            found.find(Subject::Turns, "journal", format!("what waits cannot be folded: {error}"), REBUILD);
        }
        match self.freshen().await {
            Ok(()) => Ok(true),
            Err(error) => {
                let fault = format!("they are not those of the log and cannot be made anew: {error}");
                found.find(Subject::Projection, "all", fault, RESTORE);
                Ok(false)
            }
        }
    }

    /// Checks a chain and gathers the rows it gives. Tells whether those are all there are.
    async fn examine_log(
        &self,
        session: &SessionId,
        found: &mut Examined,
        rows: &mut Rows,
    ) -> Result<bool, Error> {
        found.sessions += u64::from(!is_system(session));
        let verified = self.verify_log(session, &[]).await?;
        found.events += verified.events;
        let holds = verified.fault.is_none();
        if let Some(fault) = verified.fault {
            found.find(Subject::Log, session, fault, RESTORE);
        }
        let Ok(events) = self.log(session).await else { return Ok(false) };
        if let Some(fork) = events.first().and_then(SessionForked::of) {
            self.examine_fork(session, &fork, found).await?;
        }
        let mut projection = Projection::after(None);
        events.iter().for_each(|event| projection.apply(event));
        // What a log that does not hold gives says nothing of the rows that are there.
        for write in projection.finish().1.into_iter().filter(|write| holds || write.table == Table::Blobs) {
            let key = (write.table, write.key);
            match write.value {
                Some(value) => drop(rows.insert(key, Hash::of(&value))),
                None => drop(rows.remove(&key)),
            }
        }
        Ok(holds)
    }

    /// Checks that a fork's parent is the one it names, where that is here at all.
    async fn examine_fork(
        &self,
        session: &SessionId,
        fork: &SessionForked,
        found: &mut Examined,
    ) -> Result<(), Error> {
        let parent = &fork.parent;
        if self.store().head(parent).await?.is_none() {
            return Ok(());
        }
        let fault = match self.store().events(parent, fork.seq, 1).await {
            Ok(rows) => match rows.first() {
                Some(row) if row.hash == fork.hash.0 => return Ok(()),
                Some(_) => "is another one here".to_owned(),
                None => "is not here".to_owned(),
            },
            Err(error) => format!("cannot be read: {error}"),
        };
        let fault = format!("event {} of session {parent}, which it goes on from, {fault}", fork.seq);
        found.find(Subject::Fork, session, fault, RESTORE);
        Ok(())
    }

    /// Compares a table with the rows that the logs give, which are taken out of `rows`. Where those are not all,
    /// what is beside them may be right.
    async fn examine_table(
        &self,
        table: Table,
        rows: &mut Rows,
        whole: bool,
        found: &mut Examined,
    ) -> Result<(), Error> {
        let (mut changed, mut surplus) = (0u64, 0u64);
        let mut after = None;
        loop {
            let scan = Scan { after: after.take(), limit: Some(PAGE), ..Scan::default() };
            let page = match self.store().scan(table, scan).await {
                Ok(page) => page,
                Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                    found.find(Subject::Projection, table.name(), Error::from(error), REBUILD);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            let done = page.len() < PAGE;
            after = page.last().map(|(key, _)| key.clone());
            for (key, value) in page {
                match rows.remove(&(table, key)) {
                    Some(hash) => changed += u64::from(hash != Hash::of(&value)),
                    None => surplus += u64::from(whole),
                }
            }
            if done {
                break;
            }
        }
        let end = (table, Vec::new());
        let missing = rows.range(end..).take_while(|((of, _), _)| *of == table).count() as u64;
        if changed + surplus + missing > 0 {
            let fault = format!("{missing} rows are missing, {changed} differ and {surplus} are too many");
            found.find(Subject::Projection, table.name(), fault, REBUILD);
        }
        Ok(())
    }

    async fn examine_blob(&self, name: &str, found: &mut Examined) -> Result<(), Error> {
        found.blobs += 1;
        match self.store().blob(name).await {
            Ok(Some(_)) => {}
            Ok(None) => found.find(Subject::Blob, name, "it is not in the store", RESTORE),
            Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                found.find(Subject::Blob, name, Error::from(error), RESTORE);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Reads every document; that each is what was saved is part of the chain of what happened outside sessions.
    async fn examine_documents(&self, found: &mut Examined) -> Result<(), Error> {
        let mut after = None;
        loop {
            let scan = Scan { after: after.take(), limit: Some(PAGE), ..Scan::default() };
            match self.store().scan(Table::Documents, scan).await {
                Ok(page) => {
                    found.documents += page.len() as u64;
                    if page.len() < PAGE {
                        return Ok(());
                    }
                    after = page.into_iter().next_back().map(|(key, _)| key);
                }
                Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                    found.find(Subject::Documents, Table::Documents.name(), Error::from(error), RESTORE);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
