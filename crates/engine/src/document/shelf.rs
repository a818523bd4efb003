//! The shelf: documents in the store, found by name, changed by compare-and-set, told of in the system stream.

use std::borrow::Cow;

use aichat_events::{DocumentDeleted, DocumentSaved, Draft, Fact};
use aichat_message::{ErrorKind, Json, SessionId};
use aichat_store::{ErrorKind as StoreErrorKind, Scan, Table, Write};

use super::{DocumentKind, Versioned};
use crate::engine::Engine;
use crate::error::Error;
use crate::name;
use crate::tail::Tail;
use aichat_events::Scribe;

/// The stream of what happened outside sessions.
pub(crate) const SYSTEM: [u8; 10] = [0; 10];

/// Largest body of a document, in bytes.
const MAX_BODY: usize = 1 << 20;
/// How often a change is tried again because another document was changed at the same time.
const CONFLICTS: usize = 8;

/// Tells whether a stream is the one of what happened outside sessions.
pub(crate) fn is_system(stream: &SessionId) -> bool {
    *stream == SessionId::from_bits(SYSTEM)
}

impl Engine {
    /// Returns a document: its latest version, or the one that is asked for, which may be of a document that was
    /// deleted since.
    ///
    /// # Errors
    /// Fails with kind `input` where there is no such document or no such version of it, and with kind `store`.
    pub async fn document<T: DocumentKind>(
        &self,
        name: &str,
        version: Option<u64>,
    ) -> Result<Versioned<T>, Error> {
        self.using_store(async {
            let found = match version {
                None => self.latest(name).await?.filter(|latest| !latest.is_deleted()),
                Some(version) => self.at(name, version).await?,
            };
            found.ok_or_else(|| match version {
                None => missing::<T>(name),
                Some(version) => {
                    Error::input(format!("there is no version {version} of {} {name:?}", T::KIND))
                }
            })
        })
        .await
    }

    /// Lists the documents of a kind in the order of their names, each in its latest version.
    ///
    /// # Errors
    /// Fails with kind `store`.
    pub async fn documents<T: DocumentKind>(&self, limit: Option<usize>) -> Result<Vec<Versioned<T>>, Error> {
        self.using_store(async {
            let mut list = Vec::new();
            let mut scan = Scan { prefix: shelf::<T>(), reverse: true, limit: Some(1), after: None };
            // From the last name to the first: the first entry that is met of each is its latest version.
            while let Some((key, record)) = self.store().scan(Table::Documents, scan.clone()).await?.pop() {
                let version: Versioned<T> = read(&record)?;
                let name = key.len().checked_sub(size_of::<u64>()).map(|end| key[..end].to_vec());
                scan.after = Some(name.ok_or_else(|| damaged::<T>("its key is too short"))?);
                if !version.is_deleted() {
                    list.push(version);
                }
            }
            list.reverse();
            list.truncate(limit.unwrap_or(usize::MAX));
            Ok(list)
        })
        .await
    }

    /// Returns every version of a document, the latest first, those included that say it was deleted.
    ///
    /// # Errors
    /// Fails with kind `input` where there never was such a document, and with kind `store`.
    pub async fn document_history<T: DocumentKind>(&self, name: &str) -> Result<Vec<Versioned<T>>, Error> {
        self.using_store(async {
            let scan = Scan { prefix: place::<T>(name), reverse: true, ..Scan::default() };
            let entries = self.store().scan(Table::Documents, scan).await?;
            match entries.is_empty() {
                true => Err(missing::<T>(name)),
                false => entries.iter().map(|(_, record)| read(record)).collect(),
            }
        })
        .await
    }

    /// Saves a document: a new one, or one that follows `before`, of which everything stays that this program does
    /// not know. Saving what is there already changes nothing.
    ///
    /// # Errors
    /// Fails with kind `input` where the name is taken or cannot be one, or the content is of no use; with kind
    /// `busy` where somebody else changed the document after `before`; and with kind `store`.
    pub async fn save_document<T: DocumentKind>(
        &self,
        name: &str,
        before: Option<&Versioned<T>>,
        content: &T,
    ) -> Result<Versioned<T>, Error> {
        check::<T>(name, content)?;
        let body = match before {
            Some(before) => before.followed_by(content)?,
            None => Json::from_value(content).expect("documents have string keys only"),
        };
        let before = before.filter(|before| !before.is_deleted()).map(Versioned::version);
        self.using_store(self.put(name, before, Some(body))).await
    }

    /// Deletes a document: its name is free again, its versions stay.
    ///
    /// # Errors
    /// Fails as [`save_document`](Self::save_document) does.
    pub async fn delete_document<T: DocumentKind>(
        &self,
        before: &Versioned<T>,
    ) -> Result<Versioned<T>, Error> {
        self.using_store(self.put(&before.name, Some(before.version), None)).await
    }

    /// Takes a document in from its record, as a new version unless the latest has the same content. Version and
    /// time of the record do not count.
    ///
    /// # Errors
    /// Fails with kind `input` where the text is no record of this kind that this program can read, and as
    /// [`save_document`](Self::save_document) does.
    pub async fn import_document<T: DocumentKind>(&self, text: &str) -> Result<Versioned<T>, Error> {
        let text = text.trim_start_matches('\u{feff}');
        let given = Versioned::<T>::parse(text).map_err(|error| {
            Error::input(format!("the file is no {}: {error}", T::KIND)).with_source(error)
        })?;
        let content = given.read().map_err(|error| Error::input(error.to_string()).with_source(error))?;
        check::<T>(&given.name, &content)?;
        self.using_store(async {
            let latest = self.latest::<T>(&given.name).await?.filter(|latest| !latest.is_deleted());
            self.put(&given.name, latest.map(|latest| latest.version), given.body).await
        })
        .await
    }

    /// Appends a version, if the latest one is still `before`.
    async fn put<T: DocumentKind>(
        &self,
        name: &str,
        before: Option<u64>,
        body: Option<Json>,
    ) -> Result<Versioned<T>, Error> {
        let mut conflicts = 0;
        loop {
            let mut tail = Tail::read(self, &SessionId::from_bits(SYSTEM)).await?;
            let latest = self.latest::<T>(name).await?;
            let current = latest.as_ref().filter(|latest| !latest.is_deleted());
            if let (Some(_), None) = (current, before) {
                return Err(Error::input(format!("there is {} {name:?} already", T::KIND)));
            }
            if current.map(Versioned::version) != before {
                let what = format!("{} {name:?} was changed by somebody else meanwhile", T::KIND);
                return Err(Error::new(ErrorKind::Busy, what));
            }
            let mut scribe = self.scribe(&SessionId::from_bits(SYSTEM));
            if matches!(scribe.redactor().redact_str(name), Cow::Owned(_)) {
                return Err(Error::input(format!(
                    "the name of a document, {}, cannot hold a secret",
                    T::KIND
                )));
            }
            let body = body.as_ref().map(|body| scribe.redactor().redact_json(body));
            if body.as_ref().is_some_and(|body| body.get().len() > MAX_BODY) {
                return Err(Error::input(format!("{} {name:?} is larger than 1 MiB", T::KIND)));
            }
            let number = match latest {
                Some(same) if body.is_some() && same.body == body => return Ok(same),
                latest => latest.map_or(0, |latest| latest.version) + 1,
            };
            let version = Versioned::<T>::new(name, number, self.0.effects.clock.now_us(), body);
            tail.append(&told(&mut scribe, &version));
            scribe.masked_counts().iter().for_each(|counts| tail.append(counts));
            let mut unit = tail.into_unit();
            unit.writes.push(Write {
                table: Table::Documents,
                key: key::<T>(name, number),
                value: Some(version.record.get().as_bytes().to_vec()),
            });
            match self.store().commit(vec![unit]).await {
                Ok(()) => return Ok(version),
                Err(error) if error.kind() != StoreErrorKind::Conflict => return Err(error.into()),
                Err(_) if conflicts < CONFLICTS => conflicts += 1,
                Err(error) => {
                    let what = "other processes keep changing documents";
                    return Err(Error::new(ErrorKind::Busy, what).with_source(error));
                }
            }
        }
    }

    async fn latest<T: DocumentKind>(&self, name: &str) -> Result<Option<Versioned<T>>, Error> {
        let scan = Scan { prefix: place::<T>(name), reverse: true, limit: Some(1), ..Scan::default() };
        let found = self.store().scan(Table::Documents, scan).await?;
        found.first().map(|(_, record)| read(record)).transpose()
    }

    /// Returns a version of a document, of one that was deleted too.
    pub(crate) async fn at<T: DocumentKind>(
        &self,
        name: &str,
        version: u64,
    ) -> Result<Option<Versioned<T>>, Error> {
        let record = self.store().get(Table::Documents, &key::<T>(name, version)).await?;
        record.as_deref().map(read).transpose()
    }

    /// Returns in what way documents are not what the events of the system stream say they are.
    pub(crate) async fn document_fault(&self) -> Result<Option<String>, Error> {
        for event in self.log(&SessionId::from_bits(SYSTEM)).await? {
            let saved = DocumentSaved::of(&event);
            let deleted = || DocumentDeleted::of(&event);
            let told = saved.map(|fact| (fact.kind, fact.name, fact.version, fact.hash));
            let told = told.or_else(|| deleted().map(|fact| (fact.kind, fact.name, fact.version, fact.hash)));
            let Some((kind, name, version, hash)) = told else { continue };
            let record = self.store().get(Table::Documents, &key_of(&kind, &name, version)).await?;
            if record.is_none_or(|record| aichat_events::Hash::of(&record) != hash) {
                let what = format!("at {}: version {version} of {kind} {name:?}", event.seq());
                return Ok(Some(format!("{what} is not what was saved")));
            }
        }
        Ok(None)
    }
}

/// Drafts what is told of a new version.
fn told<T: DocumentKind>(scribe: &mut Scribe, version: &Versioned<T>) -> Draft {
    let (kind, name, hash) = (T::KIND.to_owned(), version.name.clone(), version.hash());
    let version_number = version.version;
    match version.is_deleted() {
        true => scribe.fact(&DocumentDeleted { kind, name, version: version_number, hash }),
        false => scribe.fact(&DocumentSaved { kind, name, version: version_number, hash }),
    }
}

/// Returns what the keys of a kind begin with.
fn shelf<T: DocumentKind>() -> Vec<u8> {
    format!("{}\0", T::KIND).into_bytes()
}

/// Returns what the keys of a document begin with.
fn place<T: DocumentKind>(name: &str) -> Vec<u8> {
    format!("{}\0{name}\0", T::KIND).into_bytes()
}

fn key<T: DocumentKind>(name: &str, version: u64) -> Vec<u8> {
    key_of(T::KIND, name, version)
}

fn key_of(kind: &str, name: &str, version: u64) -> Vec<u8> {
    [format!("{kind}\0{name}\0").as_bytes(), &version.to_be_bytes()].concat()
}

fn read<T: DocumentKind>(record: &[u8]) -> Result<Versioned<T>, Error> {
    let text =
        std::str::from_utf8(record).map_err(|error| damaged::<T>("it is no text").with_source(error))?;
    Versioned::parse(text).map_err(|error| damaged::<T>(&error.to_string()).with_source(error))
}

fn damaged<T: DocumentKind>(why: &str) -> Error {
    Error::new(ErrorKind::Store, format!("the record of a document of kind {} is damaged: {why}", T::KIND))
}

fn missing<T: DocumentKind>(name: &str) -> Error {
    Error::input(format!("there is no {} named {name:?}", T::KIND))
}

fn check<T: DocumentKind>(name: &str, content: &T) -> Result<(), Error> {
    name::check(T::KIND, name, &[])?;
    match content.fault() {
        Some(fault) => Err(Error::input(format!("{} {name:?}: {fault}", T::KIND))),
        None => Ok(()),
    }
}
