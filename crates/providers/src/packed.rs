//! Exchanges in few bytes: piece after piece as they are written down, and together for good.

use std::ops::Range;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use aichat_message::ErrorKind;

use crate::error::Error;
use crate::exchange::{Chunk, End, Exchange, Head, How, Piece, Sent};

/// What whole exchanges begin with.
const TAG: &[u8; 8] = b"aichat.w";
/// The version of the form of whole exchanges: their pieces as they were written. In version 1 each exchange was there
/// in columns, and every chunk whole.
const VERSION: u64 = 2;
/// Most bytes of bodies that are taken out of what was written: a few bytes can say that they stand for many.
const MOST: usize = 512 << 20;

/// What a piece begins with.
const REQUEST: u8 = 1;
const ANSWER: u8 = 2;
const CHUNK: u8 = 3;
const END: u8 = 4;
const LIKE: u8 = 5;

impl Piece {
    /// Writes pieces down, each with the number of its exchange. Of a chunk that follows another of its exchange only
    /// what is new is written: most differ from the one before in a word.
    pub fn write_all<'a>(pieces: impl IntoIterator<Item = &'a (u64, Self)>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut before: Option<(u64, &Chunk)> = None;
        let mut alike = Alike::default();
        for (number, piece) in pieces {
            match (piece, before) {
                (Self::Chunk(chunk), Some((known, like))) if known == *number => {
                    out.push(LIKE);
                    push_number(*number, &mut out);
                    // Clocks do not go back, and a recording that says so loses only when that was.
                    push_number(chunk.at_us.saturating_sub(like.at_us), &mut out);
                    alike.push(&like.bytes, &chunk.bytes, &mut out);
                }
                _ => piece.write(*number, &mut out),
            }
            before = match piece {
                Self::Chunk(chunk) => Some((*number, chunk)),
                _ => before,
            };
        }
        out
    }

    fn write(&self, exchange: u64, out: &mut Vec<u8>) {
        let mut begin = |tag| {
            out.push(tag);
            push_number(exchange, out);
        };
        match self {
            Self::Chunk(Chunk { at_us, bytes }) => {
                begin(CHUNK);
                push_number(*at_us, out);
                push_bytes(bytes, out);
            }
            Self::Request(sent) => {
                begin(REQUEST);
                push_json(sent, out);
            }
            Self::Answer(head) => {
                begin(ANSWER);
                push_json(head, out);
            }
            Self::End(end) => {
                begin(END);
                push_json(end, out);
            }
        }
    }
}

impl Exchange {
    /// Puts together the exchanges whose pieces were written one after another, many or few at a time, as far as they
    /// can be read.
    pub fn gather(written: impl IntoIterator<Item = impl Into<Bytes>>) -> Vec<Self> {
        let mut found = Found::default();
        written.into_iter().for_each(|written| found.read(&mut Reader::of(written.into())));
        found.exchanges()
    }

    /// Returns exchanges in few bytes, for good.
    pub fn pack(exchanges: &[Self]) -> Vec<u8> {
        let pieces: Vec<_> = (0..).zip(exchanges).flat_map(|(number, it)| it.pieces(number)).collect();
        Self::pack_written([Piece::write_all(&pieces)])
    }

    /// Packs exchanges whose pieces were written one after another, many or few at a time, all of which can be read.
    pub fn pack_written(written: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
        let mut out = TAG.to_vec();
        push_number(VERSION, &mut out);
        written.into_iter().for_each(|written| out.extend_from_slice(written.as_ref()));
        out
    }

    fn pieces(&self, number: u64) -> impl Iterator<Item = (u64, Piece)> {
        let Self { request, answer, chunks, end } = self.clone();
        let pieces = [Piece::Request(Box::new(request))].into_iter().chain(answer.map(Piece::Answer));
        let pieces = pieces.chain(chunks.into_iter().map(Piece::Chunk)).chain(end.map(Piece::End));
        pieces.map(move |piece| (number, piece))
    }

    /// Reads packed exchanges.
    ///
    /// # Errors
    /// Fails with kind `decode` where these are none, or a later version packed them.
    pub fn unpack(packed: impl Into<Bytes>) -> Result<Vec<Self>, Error> {
        let mut rest = Reader::of(packed.into());
        let bad = || Error::new(ErrorKind::Decode, "these bytes are no packed exchanges");
        if rest.take(TAG.len()).as_deref() != Some(TAG) {
            return Err(bad());
        }
        match rest.number() {
            Some(1) => {
                let count = rest.number().ok_or_else(bad)?;
                (0..count).map(|_| rest.columns().ok_or_else(bad)).collect()
            }
            Some(VERSION) => {
                let mut found = Found::default();
                found.read(&mut rest);
                if rest.rest().is_empty() { Ok(found.exchanges()) } else { Err(bad()) }
            }
            Some(later) => {
                let what = format!("exchanges packed by a later version of this program ({later})");
                Err(Error::new(ErrorKind::Decode, what))
            }
            None => Err(bad()),
        }
    }
}

/// What is known of an exchange without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// What the caller called it.
    pub label: Option<String>,
    /// The status, once it had come.
    pub status: Option<u16>,
    /// How many pieces of the body came.
    pub chunks: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How it ended; absent where the recording did.
    pub end: Option<How>,
}

impl Outline {
    /// Returns what is known of the exchanges whose pieces were written so, as far as they can be read.
    pub fn gather(written: &[impl AsRef<[u8]>]) -> Vec<Self> {
        let mut found: Vec<(u64, Self)> = Vec::new();
        for written in written {
            let mut rest = Reader::of(Bytes::copy_from_slice(written.as_ref()));
            let mut before = 0;
            while let Some((number, glimpse)) = rest.glimpse(&mut before) {
                let known = found.iter_mut().rfind(|(known, _)| *known == number).map(|(_, it)| it);
                match (known, glimpse) {
                    (None, Glimpse::Request(sent)) => {
                        let label = sent.label;
                        found.push((number, Self { label, status: None, chunks: 0, bytes: 0, end: None }));
                    }
                    (Some(it), Glimpse::Answer(head)) => it.status = Some(head.status),
                    (Some(it), Glimpse::Chunk(length)) => {
                        it.chunks += 1;
                        it.bytes = it.bytes.saturating_add(length);
                    }
                    (Some(it), Glimpse::End(end)) => it.end = Some(end.how),
                    _ => {}
                }
            }
        }
        found.into_iter().map(|(_, outline)| outline).collect()
    }
}

/// The exchanges that pieces belong to.
#[derive(Default)]
struct Found(Vec<(u64, Exchange)>);

impl Found {
    /// Takes whole pieces, up to the first that is not.
    fn read(&mut self, rest: &mut Reader) {
        let mut before = None;
        loop {
            let at = rest.at;
            let Some((number, piece)) = rest.piece(&mut before) else {
                rest.at = at;
                return;
            };
            match (self.0.iter_mut().rfind(|(known, _)| *known == number), piece) {
                (Some((_, exchange)), piece) => exchange.push(piece),
                (None, Piece::Request(sent)) => self.0.push((number, Exchange::new(*sent))),
                (None, _) => {}
            }
        }
    }

    fn exchanges(self) -> Vec<Exchange> {
        self.0.into_iter().map(|(_, exchange)| exchange).collect()
    }
}

fn push_json<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    push_bytes(&serde_json::to_vec(value).expect("exchanges have string keys only"), out);
}

fn push_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    push_number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// How much chunks that follow one another have in common at both ends: what the last two had, the next two have most
/// of the time.
#[derive(Default)]
struct Alike {
    start: usize,
    end: usize,
}

impl Alike {
    /// Appends what is new in `bytes`: how many of them are the first of those before, how many the last, and the rest.
    fn push(&mut self, before: &[u8], bytes: &[u8], out: &mut Vec<u8>) {
        if !before.get(..self.start).is_some_and(|start| bytes.starts_with(start)) {
            self.start = 0;
        }
        let (old, new) = (&before[self.start..], &bytes[self.start..]);
        let more = same_start(old, new);
        let (old, new) = (&old[more..], &new[more..]);
        let end = match old.len().checked_sub(self.end).is_some_and(|at| new.ends_with(&old[at..])) {
            true => self.end,
            false => 0,
        };
        let end = end + same_end(&old[..old.len() - end], &new[..new.len() - end]);
        push_number((self.start + more) as u64, out);
        push_number(end as u64, out);
        push_bytes(&new[..new.len() - end], out);
        // What they had in common beyond that is chance.
        if self.start == 0 {
            self.start = more;
        }
        self.end = match self.end {
            0 => end,
            known => known.min(end),
        };
    }
}

/// Returns how many bytes are the same from the beginning, eight at a time.
fn same_start(a: &[u8], b: &[u8]) -> usize {
    let mut same = 0;
    while let (Some(x), Some(y)) = (a[same..].first_chunk(), b[same..].first_chunk()) {
        match u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y) {
            0 => same += 8,
            differ => return same + differ.trailing_zeros() as usize / 8,
        }
    }
    same + a[same..].iter().zip(&b[same..]).take_while(|(a, b)| a == b).count()
}

/// Returns how many bytes are the same up to the end, eight at a time.
fn same_end(a: &[u8], b: &[u8]) -> usize {
    let mut same = 0;
    loop {
        let (a, b) = (&a[..a.len() - same], &b[..b.len() - same]);
        let (Some(x), Some(y)) = (a.last_chunk(), b.last_chunk()) else {
            return same + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        };
        match u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y) {
            0 => same += 8,
            differ => return same + differ.leading_zeros() as usize / 8,
        }
    }
}

/// Seven bits a byte, the lowest first; the last byte is below 128.
fn push_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// What is read and how far; what it gives out shares the memory, where it can.
struct Reader {
    whole: Bytes,
    at: usize,
    /// How many bytes may still be made of few.
    room: usize,
}

impl Reader {
    fn of(whole: Bytes) -> Self {
        Self { whole, at: 0, room: MOST }
    }

    fn rest(&self) -> &[u8] {
        &self.whole[self.at..]
    }

    fn skip(&mut self, length: usize) -> Option<Range<usize>> {
        let from = self.at;
        (length <= self.whole.len() - from).then(|| {
            self.at += length;
            from..self.at
        })
    }

    fn take(&mut self, length: usize) -> Option<Bytes> {
        self.skip(length).map(|range| self.whole.slice(range))
    }

    fn tag(&mut self) -> Option<u8> {
        let tag = *self.rest().first()?;
        self.at += 1;
        Some(tag)
    }

    fn number(&mut self) -> Option<u64> {
        // Most are small.
        if let Some(byte @ ..0x80) = self.whole.get(self.at) {
            self.at += 1;
            return Some(u64::from(*byte));
        }
        let mut number = 0;
        for (at, byte) in self.rest().iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f).checked_shl(7 * at as u32)?;
            if *byte < 0x80 {
                self.at += at + 1;
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn like(&mut self, before: &[u8]) -> Option<Bytes> {
        let start = before.get(..usize::try_from(self.number()?).ok()?)?;
        let end = before.len().checked_sub(usize::try_from(self.number()?).ok()?)?;
        let (new, end) = (self.bytes()?, &before[end..]);
        if start.is_empty() && end.is_empty() {
            return Some(new);
        }
        let whole = [start, &new, end].concat();
        self.room = self.room.checked_sub(whole.len())?;
        Some(whole.into())
    }

    fn json<T: DeserializeOwned>(&mut self) -> Option<T> {
        serde_json::from_slice(&self.bytes()?).ok()
    }

    /// Reads a piece; `before` is the chunk before it, which it becomes if it is one.
    fn piece(&mut self, before: &mut Option<Chunk>) -> Option<(u64, Piece)> {
        let tag = self.tag()?;
        let number = self.number()?;
        let piece = match tag {
            REQUEST => Piece::Request(self.json()?),
            ANSWER => Piece::Answer(self.json()?),
            CHUNK | LIKE => {
                let at_us = self.number()?;
                let chunk = match tag {
                    CHUNK => Chunk { at_us, bytes: self.bytes()?.into() },
                    _ => {
                        let before = before.as_ref()?;
                        let at_us = before.at_us.checked_add(at_us)?;
                        Chunk { at_us, bytes: self.like(&before.bytes)?.into() }
                    }
                };
                *before = Some(chunk.clone());
                Piece::Chunk(chunk)
            }
            END => Piece::End(self.json()?),
            _ => return None,
        };
        Some((number, piece))
    }

    /// Reads a piece and makes nothing of its bytes; `before` is the length of the chunk before it.
    fn glimpse(&mut self, before: &mut u64) -> Option<(u64, Glimpse)> {
        let tag = self.tag()?;
        let number = self.number()?;
        let glimpse = match tag {
            REQUEST => Glimpse::Request(Box::new(self.json()?)),
            ANSWER => Glimpse::Answer(self.json()?),
            CHUNK | LIKE => {
                self.number()?;
                let kept = match tag {
                    CHUNK => 0,
                    _ => self
                        .number()?
                        .checked_add(self.number()?)
                        .filter(|kept| *kept <= before.saturating_mul(2))?,
                };
                let length = self.number()?;
                self.skip(usize::try_from(length).ok()?)?;
                *before = kept.saturating_add(length);
                Glimpse::Chunk(*before)
            }
            END => Glimpse::End(self.json()?),
            _ => return None,
        };
        Some((number, glimpse))
    }

    /// Reads an exchange as version 1 packed it.
    fn columns(&mut self) -> Option<Exchange> {
        #[derive(Deserialize)]
        struct Framed {
            request: Sent,
            answer: Option<Head>,
            end: Option<End>,
        }
        let Framed { request, answer, end } = self.json()?;
        let count = usize::try_from(self.number()?).ok()?;
        // Each takes a byte at least: a count that cannot be costs nothing.
        if count > self.rest().len() {
            return None;
        }
        let lengths = (0..count).map(|_| self.number()).collect::<Option<Vec<_>>>()?;
        let times = (0..count).map(|_| self.number()).collect::<Option<Vec<_>>>()?;
        let mut at_us = 0u64;
        let mut chunks = Vec::with_capacity(count);
        for (length, later) in lengths.into_iter().zip(times) {
            at_us = at_us.checked_add(later)?;
            let bytes = self.take(usize::try_from(length).ok()?)?;
            chunks.push(Chunk { at_us, bytes: bytes.into() });
        }
        Some(Exchange { request, answer, chunks, end })
    }
}

/// What a piece says, of a chunk its length.
enum Glimpse {
    Request(Box<Sent>),
    Answer(Head),
    Chunk(u64),
    End(End),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Octets;
    use proptest::prelude::*;

    fn sent(label: u64) -> Sent {
        Sent {
            v: 1,
            label: Some(label.to_string()),
            method: "POST".to_owned(),
            path: "/v1/chat".to_owned(),
            headers: vec![("accept".to_owned(), Octets::from("text/event-stream".to_owned()))],
            body: None,
            body_hash: Some("00".repeat(32)),
        }
    }

    fn exchange() -> impl Strategy<Value = Exchange> {
        let words = prop::collection::vec(
            prop::sample::select(vec!["data: ", "{\"token\": ", "}\n\n", "a", "b"]),
            0..40,
        );
        let like = words.prop_map(|words| words.concat().into_bytes());
        let chunk = (0u64..5_000, prop_oneof![prop::collection::vec(any::<u8>(), 0..300), like]);
        let ends = prop::option::of(prop::sample::select(vec![How::Complete, How::Dropped]));
        (any::<u16>(), prop::collection::vec(chunk, 0..20), any::<bool>(), ends).prop_map(
            |(label, chunks, answered, end)| {
                let mut exchange = Exchange::new(sent(label.into()));
                exchange.answer = answered.then(|| Head { at_us: 7, status: 200, headers: Vec::new() });
                let mut at_us = 0;
                for (later, bytes) in chunks {
                    at_us += later;
                    exchange.push(Piece::Chunk(Chunk { at_us, bytes: bytes.into() }));
                }
                exchange.end = end.map(|how| End { at_us: u64::MAX, how });
                exchange
            },
        )
    }

    fn outline(exchange: &Exchange) -> Outline {
        Outline {
            label: exchange.request.label.clone(),
            status: exchange.answer.as_ref().map(|answer| answer.status),
            chunks: exchange.chunks.len() as u64,
            bytes: exchange.body().len() as u64,
            end: exchange.end.as_ref().map(|end| end.how.clone()),
        }
    }

    /// Returns the pieces of exchanges, one of each in turn.
    fn written(exchanges: &[Exchange]) -> Vec<u8> {
        let mut lines: Vec<Vec<Piece>> = Vec::new();
        for exchange in exchanges {
            let mut pieces = vec![Piece::Request(Box::new(exchange.request.clone()))];
            pieces.extend(exchange.answer.clone().map(Piece::Answer));
            pieces.extend(exchange.chunks.iter().cloned().map(Piece::Chunk));
            pieces.extend(exchange.end.clone().map(Piece::End));
            lines.push(pieces);
        }
        let mut out = Vec::new();
        for at in 0..lines.iter().map(Vec::len).max().unwrap_or(0) {
            for (number, pieces) in (0..).zip(&lines) {
                out.extend(pieces.get(at).map(|piece| (number, piece.clone())));
            }
        }
        Piece::write_all(&out)
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(exchanges in prop::collection::vec(exchange(), 0..4)) {
            prop_assert_eq!(&Exchange::unpack(Exchange::pack(&exchanges)).unwrap(), &exchanges);
            let written = written(&exchanges);
            let outlines: Vec<Outline> = exchanges.iter().map(outline).collect();
            prop_assert_eq!(Outline::gather(std::slice::from_ref(&written)), outlines);
            prop_assert_eq!(&Exchange::unpack(Exchange::pack_written([&written])).unwrap(), &exchanges);
            prop_assert_eq!(&Exchange::gather([written]), &exchanges);
        }

        #[test]
        fn what_broke_off_is_a_beginning(exchange in exchange(), cut in any::<prop::sample::Index>()) {
            let whole = written(std::slice::from_ref(&exchange));
            let found = Exchange::gather([whole[..cut.index(whole.len())].to_vec()]);
            let Some(found) = found.first() else { return Ok(()) };
            prop_assert!(exchange.chunks.starts_with(&found.chunks));
            prop_assert!(found.end.is_none() && found.answer.as_ref().is_none_or(|it| Some(it) == exchange.answer.as_ref()));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Exchange::gather([bytes.clone()]);
            let _ = Outline::gather(std::slice::from_ref(&bytes));
            let _ = Exchange::unpack([&TAG[..], &[1], &bytes].concat());
            let _ = Exchange::unpack([&TAG[..], &[2], &bytes].concat());
            prop_assert!(Exchange::unpack(bytes).is_err());
        }
    }

    #[test]
    fn what_the_first_version_packed_is_read() {
        let mut packed = [&TAG[..], &[1, 1]].concat();
        push_json(&serde_json::json!({ "request": sent(1) }), &mut packed);
        packed.extend([2, 3, 2, 5, 7]);
        packed.extend(b"abcde");
        let read = Exchange::unpack(packed).unwrap();
        let chunks: Vec<_> = read[0].chunks.iter().map(|it| (it.at_us, &it.bytes[..])).collect();
        assert_eq!(chunks, [(5, &b"abc"[..]), (12, b"de")]);
    }

    #[test]
    fn few_bytes_do_not_become_more_than_fit() {
        let mut bomb = Vec::new();
        Piece::Chunk(Chunk { at_us: 0, bytes: vec![b'x'; 1 << 10].into() }).write(0, &mut bomb);
        for _ in 0..10 {
            bomb.extend([LIKE, 0, 0, 0x80, 0x08, 0, 0]);
        }
        let mut reader = Reader { whole: bomb.into(), at: 0, room: 5 << 10 };
        let mut before = None;
        assert_eq!(std::iter::from_fn(|| reader.piece(&mut before)).count(), 1 + 5);
    }

    #[test]
    fn chunks_that_are_alike_take_little() {
        let like =
            |word: u64| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\" {word}\"}}}}]}}\n\n");
        let chunk = |word| (0, Piece::Chunk(Chunk { at_us: word, bytes: like(word).into_bytes().into() }));
        let pieces: Vec<_> = (0..1_000).map(chunk).collect();
        assert!(Piece::write_all(&pieces).len() < 12 * pieces.len());
    }

    #[test]
    fn a_later_version_is_refused() {
        let error = Exchange::unpack([&TAG[..], &[3, 0]].concat()).unwrap_err();
        assert!(error.message().contains("later version"), "{error}");
    }
}
