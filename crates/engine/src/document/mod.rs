//! Documents: small versioned records outside sessions, of every kind through one typed interface.
//!
//! Every version of a document is one record, a JSON object that is kept, shown, exported and imported as it is:
//! `{"schema":"aichat.agent/1","name":…,"version":…,"saved_us":…,"body":{…}}`. A version without a body says that
//! the document was deleted. In the table its key is the kind, a zero byte, the name, a zero byte and the version
//! in eight bytes, so that the last entry of a name is its latest version. Every version is told of by an event of
//! the system stream, whose head makes saving a compare-and-set.

mod shelf;

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use aichat_events::Hash;
use aichat_message::{ErrorKind, Extra, Json};

use crate::error::Error;

pub(crate) use shelf::{SYSTEM, is_system};

/// A kind of document, as what is in one.
///
/// Fields are only ever added to it. What an older program does not know it leaves as it is.
///
/// ```
/// use aichat_engine::{DocumentKind, Engine};
/// use aichat_store::Memory;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Glossary {
///     words: Vec<String>,
/// }
///
/// impl DocumentKind for Glossary {
///     const KIND: &'static str = "glossary";
///     const FORMAT: u32 = 1;
///
///     fn fault(&self) -> Option<String> {
///         self.words.is_empty().then(|| "it has no words".to_owned())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let engine = Engine::builder(Memory::new()).build();
/// let mut glossary = Glossary { words: vec!["delta".into()] };
/// let first = engine.save_document("ours", None, &glossary).await?;
/// glossary.words.push("turn".into());
/// engine.save_document("ours", Some(&first), &glossary).await?;
///
/// let latest = engine.document::<Glossary>("ours", None).await?;
/// assert_eq!((latest.version(), latest.read()?.words.len()), (2, 2));
/// assert_eq!(engine.document::<Glossary>("ours", Some(1)).await?.read()?.words, ["delta"]);
/// # Ok::<(), aichat_engine::Error>(())
/// # }).unwrap();
/// ```
pub trait DocumentKind: Serialize + DeserializeOwned + Send + Sync {
    /// The kind in a word.
    const KIND: &'static str;
    /// The version of the format; raised where a change is more than an added field.
    const FORMAT: u32;

    /// Returns why a document of this content would be of no use, in a phrase.
    fn fault(&self) -> Option<String>;
}

/// One version of a document.
#[derive(Clone, Debug)]
pub struct Versioned<T> {
    name: String,
    version: u64,
    saved_us: i64,
    format: u32,
    body: Option<Json>,
    record: Json,
    kind: PhantomData<fn() -> T>,
}

/// A record as it is written.
#[derive(Serialize)]
struct Written<'a> {
    schema: String,
    name: &'a str,
    version: u64,
    saved_us: i64,
    body: Option<&'a Json>,
}

/// A record as it is read, here or from elsewhere.
#[derive(Deserialize)]
struct Read<'a> {
    schema: String,
    name: String,
    #[serde(default)]
    version: u64,
    #[serde(default)]
    saved_us: i64,
    #[serde(default, borrow)]
    body: Option<&'a RawValue>,
}

impl<T> Versioned<T> {
    /// Returns the document's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns which version it is; the first is 1.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns when it was saved, in microseconds since 1970, UTC.
    pub fn saved_us(&self) -> i64 {
        self.saved_us
    }

    /// Tells whether this version says that the document was deleted.
    pub fn is_deleted(&self) -> bool {
        self.body.is_none()
    }

    /// Returns the record, byte for byte as it is kept.
    pub fn record(&self) -> &Json {
        &self.record
    }

    /// Returns the hash of the record.
    pub fn hash(&self) -> Hash {
        Hash::of(self.record.get().as_bytes())
    }
}

impl<T: DocumentKind> Versioned<T> {
    fn new(name: &str, version: u64, saved_us: i64, body: Option<Json>) -> Self {
        let schema = format!("aichat.{}/{}", T::KIND, T::FORMAT);
        let written = Written { schema, name, version, saved_us, body: body.as_ref() };
        let record = Json::from_value(&written).expect("a record has string keys only");
        Self { name: name.to_owned(), version, saved_us, format: T::FORMAT, body, record, kind: PhantomData }
    }

    /// Reads a record; its content may be of a later format.
    ///
    /// # Errors
    /// Fails with kind `input` where the text is no record of this kind.
    fn parse(text: &str) -> Result<Self, Error> {
        let record = Json::new(text).map_err(|error| Error::input(format!("{error}")).with_source(error))?;
        if !record.get().starts_with('{') {
            return Err(Error::input("it is no object"));
        }
        let read: Read<'_> = record.to().map_err(|error| Error::input(because(&error)).with_source(error))?;
        let (kind, format) = schema(&read.schema)
            .ok_or_else(|| Error::input(format!("{:?} is no schema of a document", read.schema)))?;
        if kind != T::KIND {
            let what = format!("it holds the document {:?}, of schema {:?}", read.name, read.schema);
            return Err(Error::input(format!("{what}, and no {}", T::KIND)));
        }
        let body = read.body.filter(|body| body.get() != "null");
        let body = body.map(|body| Json::from_raw(body.to_owned()));
        let (name, version, saved_us) = (read.name, read.version, read.saved_us);
        Ok(Self { name, version, saved_us, format, body, record, kind: PhantomData })
    }

    /// Returns what is in this version.
    ///
    /// # Errors
    /// Fails with kind `input` where the document was deleted by this version, and with kind `store` where a later
    /// program saved it in a format that this one does not know.
    pub fn read(&self) -> Result<T, Error> {
        let what = || format!("{} {:?}, version {}", T::KIND, self.name, self.version);
        let body =
            self.body.as_ref().ok_or_else(|| Error::input(format!("{} was deleted", self.called())))?;
        if self.format > T::FORMAT {
            let message = format!("{} was saved by a later version of this program", what());
            return Err(Error::new(ErrorKind::Store, message));
        }
        let unreadable =
            |why: String| Error::new(ErrorKind::Store, format!("{} cannot be read: {why}", what()));
        if !body.get().starts_with('{') {
            return Err(unreadable("it is no object".to_owned()));
        }
        body.to().map_err(|error| unreadable(because(&error)).with_source(error))
    }

    /// Returns `content` as the body that follows this version: what of this one is not known here stays.
    fn followed_by(&self, content: &T) -> Result<Json, Error> {
        let after = Json::from_value(content).expect("documents have string keys only");
        let Some(body) = &self.body else { return Ok(after) };
        let before = Json::from_value(&self.read()?).expect("documents have string keys only");
        Ok(merged(body, &before, &after))
    }

    fn called(&self) -> String {
        format!("{} {:?}", T::KIND, self.name)
    }
}

impl<T> Serialize for Versioned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.record.serialize(serializer)
    }
}

/// Splits `aichat.KIND/FORMAT`.
fn schema(text: &str) -> Option<(&str, u32)> {
    let (kind, format) = text.strip_prefix("aichat.")?.split_once('/')?;
    Some((kind, format.parse().ok()?))
}

/// Says why JSON does not have the shape it should, in a phrase.
fn because(error: &aichat_message::JsonError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Returns `raw` with what differs between `before` and `after`. Fields that neither of them has stay.
fn merged(raw: &Json, before: &Json, after: &Json) -> Json {
    if before == after {
        return raw.clone();
    }
    let fields = |json: &Json| json.to::<Extra>();
    let (Ok(raw), Ok(before), Ok(new)) = (fields(raw), fields(before), fields(after)) else {
        return after.clone();
    };
    let mut all: Extra = raw
        .iter()
        .filter(|(name, _)| before.get(name).is_none() || new.get(name).is_some())
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    for (name, value) in new.iter() {
        let value = match (raw.get(name), before.get(name)) {
            (Some(raw), Some(before)) => merged(raw, before, value),
            _ => value.clone(),
        };
        all.set(name, value);
    }
    Json::from_value(&all).expect("fields have string keys only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_alone_what_it_is_not_about() {
        let merge = |raw: &str, before: &str, after: &str| {
            let json = |text: &str| Json::new(text).unwrap();
            merged(&json(raw), &json(before), &json(after)).to_string()
        };
        let raw = r#"{"a":1.0, "later":[1,  2],"b":{"x":1,"later":0},"c":2}"#;
        let before = r#"{"a":1.0,"b":{"x":1},"c":2}"#;
        assert_eq!(merge(raw, before, before), raw, "no change, the same bytes");
        assert_eq!(
            merge(raw, before, r#"{"a":1.0,"b":{"x":2,"y":3},"d":4}"#),
            r#"{"a":1.0,"later":[1,  2],"b":{"x":2,"later":0,"y":3},"d":4}"#
        );
        assert_eq!(merge(r#"{"a":null}"#, "{}", r#"{"a":1}"#), r#"{"a":1}"#);
    }
}
