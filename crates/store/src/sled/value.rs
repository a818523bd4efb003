//! The layout of keys and values in the database.

use std::borrow::Cow;

use aichat_message::SessionId;

use super::blobs::Blobs;
use crate::error::{Error, ErrorKind};
use crate::store::{Head, Row};

/// The version of the layout of values.
const VERSION: u8 = 1;
/// The body ends with the bytes themselves.
const INLINE: u8 = b'i';
/// The body ends with the hash of a blob that holds the bytes.
const BLOB: u8 = b'b';
/// Bytes of a value up to this many lie in the database. The engine writes a page of more than 128 KiB to a file
/// that it does not sync, and a page holds up to 20 values for a moment when it is merged with its neighbour.
const MAX_INLINE: usize = 5 * 1024;

/// Returns the key of an event. A zero byte ends the stream's id, so that no stream is a prefix of another.
pub(super) fn event_key(stream: &SessionId, seq: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(stream.as_str().len() + 9);
    key.extend_from_slice(stream.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// Returns a value whose bytes are kept in the database, or beside it where they are large.
pub(super) fn bytes(blobs: &Blobs, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    body(blobs, &[], bytes)
}

/// Reads the bytes of a value.
pub(super) fn read_bytes(blobs: &Blobs, value: &[u8]) -> Result<Vec<u8>, Error> {
    let (tag, rest) = split(value)?;
    resolve(blobs, tag, rest)
}

/// Returns the hash of the blob that holds the bytes of a value, where one does.
pub(super) fn large(value: &[u8]) -> Result<Option<blake3::Hash>, Error> {
    let (tag, rest) = split(value)?;
    if tag == INLINE {
        return Ok(None);
    }
    let hash = rest.last_chunk::<32>().ok_or_else(damaged)?;
    Ok(Some(blake3::Hash::from_bytes(*hash)))
}

/// Lends the bytes of a value, and reads them first where they are kept beside the database.
pub(super) fn lend_bytes<'a>(blobs: &Blobs, value: &'a [u8]) -> Result<Cow<'a, [u8]>, Error> {
    match split(value)? {
        (INLINE, rest) => Ok(Cow::Borrowed(rest)),
        (tag, rest) => Ok(Cow::Owned(resolve(blobs, tag, rest)?)),
    }
}

/// Returns the value of an event.
pub(super) fn event(blobs: &Blobs, row: &Row) -> Result<Vec<u8>, Error> {
    let id = row.id.as_str().as_bytes();
    let too_long = |_| Error::new(ErrorKind::Invalid, format!("event {} has too long an id or hash", row.id));
    let mut start = Vec::with_capacity(2 + id.len() + row.hash.len());
    start.push(u8::try_from(id.len()).map_err(too_long)?);
    start.extend_from_slice(id);
    start.push(u8::try_from(row.hash.len()).map_err(too_long)?);
    start.extend_from_slice(&row.hash);
    body(blobs, &start, &row.bytes)
}

/// Returns the value of an event with other bytes; `event` made both.
pub(super) fn with_bytes(old: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let (_, rest) = split(old)?;
    let (_, after) = short(rest)?;
    let (_, after) = short(after)?;
    let (tag, tail) = split(bytes)?;
    let start = &rest[..rest.len() - after.len()];
    Ok([&[tag, VERSION], start, tail].concat())
}

/// Reads an event.
pub(super) fn read_event(blobs: &Blobs, key: &[u8], value: &[u8]) -> Result<Row, Error> {
    let (tag, rest) = split(value)?;
    let (id, rest) = short(rest)?;
    let (hash, rest) = short(rest)?;
    let (_, seq) = key.split_last_chunk::<8>().ok_or_else(damaged)?;
    Ok(Row {
        seq: u64::from_be_bytes(*seq),
        id: parse(id)?,
        hash: hash.to_vec(),
        bytes: resolve(blobs, tag, rest)?,
    })
}

/// Returns the value of a head.
pub(super) fn head(head: &Head) -> Vec<u8> {
    numbered(head.seq, &head.hash)
}

/// Reads a head.
pub(super) fn read_head(value: &[u8]) -> Result<Head, Error> {
    let (seq, hash) = read_numbered(value)?;
    Ok(Head { seq, hash: hash.to_vec() })
}

/// Returns the value of an event's place.
pub(super) fn place(stream: &SessionId, seq: u64) -> Vec<u8> {
    numbered(seq, stream.as_str().as_bytes())
}

/// Reads an event's place.
pub(super) fn read_place(value: &[u8]) -> Result<(SessionId, u64), Error> {
    let (seq, stream) = read_numbered(value)?;
    Ok((parse(stream)?, seq))
}

/// Returns a value that is a number.
pub(super) fn number(number: u64) -> Vec<u8> {
    numbered(number, &[])
}

/// Reads a value that is a number.
pub(super) fn read_number(value: &[u8]) -> Result<u64, Error> {
    Ok(read_numbered(value)?.0)
}

/// Reads an id out of a key or a value.
pub(super) fn parse<T: std::str::FromStr>(text: &[u8]) -> Result<T, Error> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(damaged)
}

fn body(blobs: &Blobs, start: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut value = Vec::with_capacity(2 + start.len() + bytes.len().min(MAX_INLINE));
    let large = bytes.len() > MAX_INLINE;
    value.extend_from_slice(&[if large { BLOB } else { INLINE }, VERSION]);
    value.extend_from_slice(start);
    match large {
        true => value.extend_from_slice(blobs.put(bytes)?.as_bytes()),
        false => value.extend_from_slice(bytes),
    }
    Ok(value)
}

fn resolve(blobs: &Blobs, tag: u8, rest: &[u8]) -> Result<Vec<u8>, Error> {
    if tag == INLINE {
        return Ok(rest.to_vec());
    }
    let hash = blake3::Hash::from_bytes(rest.try_into().map_err(|_| damaged())?);
    blobs.get(&hash)?.ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, format!("blob {hash} is missing, and the log refers to it"))
    })
}

fn numbered(number: u64, rest: &[u8]) -> Vec<u8> {
    let mut value = vec![INLINE, VERSION];
    value.extend_from_slice(&number.to_be_bytes());
    value.extend_from_slice(rest);
    value
}

fn read_numbered(value: &[u8]) -> Result<(u64, &[u8]), Error> {
    let (_, rest) = split(value)?;
    let (number, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
    Ok((u64::from_be_bytes(*number), rest))
}

/// Takes the header off a value.
fn split(value: &[u8]) -> Result<(u8, &[u8]), Error> {
    match value {
        [tag @ (INLINE | BLOB), VERSION, rest @ ..] => Ok((*tag, rest)),
        [_, version, ..] if *version > VERSION => {
            Err(Error::new(ErrorKind::Newer, "a value was written by a later version of this program"))
        }
        _ => Err(damaged()),
    }
}

/// Takes a short run of bytes behind its length.
fn short(bytes: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let (length, rest) = bytes.split_first().ok_or_else(damaged)?;
    rest.split_at_checked(usize::from(*length)).ok_or_else(damaged)
}

fn damaged() -> Error {
    Error::new(ErrorKind::Corrupt, "a value of the log is damaged")
}
