//! Exchanges in few bytes: piece after piece as they are written down, and whole for good.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use aichat_message::ErrorKind;

use crate::error::Error;
use crate::exchange::{Chunk, End, Exchange, Head, Octets, Piece, Sent};

/// What whole exchanges begin with.
const TAG: &[u8; 8] = b"aichat.w";
/// The version of the form of whole exchanges.
const VERSION: u64 = 1;

/// What a piece begins with.
const REQUEST: u8 = 1;
const ANSWER: u8 = 2;
const CHUNK: u8 = 3;
const END: u8 = 4;

impl Piece {
    /// Appends the piece to `out`, of the exchange of this number.
    pub fn write(&self, exchange: u64, out: &mut Vec<u8>) {
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
        let mut found: Vec<(u64, Self)> = Vec::new();
        let pieces = written.into_iter().flat_map(|written| {
            let mut rest = Reader(written.into());
            std::iter::from_fn(move || rest.piece())
        });
        for (number, piece) in pieces {
            match (found.iter_mut().rfind(|(known, _)| *known == number), piece) {
                (Some((_, exchange)), piece) => exchange.push(piece),
                (None, Piece::Request(sent)) => found.push((number, Self::new(sent))),
                (None, _) => {}
            }
        }
        found.into_iter().map(|(_, exchange)| exchange).collect()
    }

    /// Returns exchanges in few bytes, made to be compressed: what is alike stands together.
    pub fn pack(exchanges: &[Self]) -> Vec<u8> {
        let body: usize =
            exchanges.iter().flat_map(|one| &one.chunks).map(|chunk| chunk.bytes.len() + 6).sum();
        let mut out = Vec::with_capacity(body + exchanges.len() * 1024);
        out.extend_from_slice(TAG);
        push_number(VERSION, &mut out);
        push_number(exchanges.len() as u64, &mut out);
        for exchange in exchanges {
            let Self { request, answer, chunks, end } = exchange;
            push_json(&Frame { request, answer, end }, &mut out);
            push_number(chunks.len() as u64, &mut out);
            chunks.iter().for_each(|chunk| push_number(chunk.bytes.len() as u64, &mut out));
            let mut before = 0;
            for chunk in chunks {
                // Clocks do not go back, and a recording that says so loses only when that was.
                push_number(chunk.at_us.saturating_sub(before), &mut out);
                before = before.max(chunk.at_us);
            }
            chunks.iter().for_each(|chunk| out.extend_from_slice(&chunk.bytes));
        }
        out
    }

    /// Reads packed exchanges.
    ///
    /// # Errors
    /// Fails with kind `decode` where these are none, or a later version packed them.
    pub fn unpack(packed: impl Into<Bytes>) -> Result<Vec<Self>, Error> {
        let mut rest = Reader(packed.into());
        let bad = || Error::new(ErrorKind::Decode, "these bytes are no packed exchanges");
        if rest.take(TAG.len()).as_deref() != Some(TAG) {
            return Err(bad());
        }
        match rest.number() {
            Some(VERSION) => {}
            Some(later) => {
                let what = format!("exchanges packed by a later version of this program ({later})");
                return Err(Error::new(ErrorKind::Decode, what));
            }
            None => return Err(bad()),
        }
        let count = rest.number().ok_or_else(bad)?;
        (0..count).map(|_| rest.exchange().ok_or_else(bad)).collect()
    }
}

/// What of a whole exchange is JSON.
#[derive(Serialize)]
struct Frame<'a> {
    request: &'a Sent,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: &'a Option<Head>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: &'a Option<End>,
}

fn push_json<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    push_bytes(&serde_json::to_vec(value).expect("exchanges have string keys only"), out);
}

fn push_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    push_number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Seven bits a byte, the lowest first; the last byte is below 128.
fn push_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// What is left to read; what it gives out shares the memory.
struct Reader(Bytes);

impl Reader {
    fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f).checked_shl(7 * at as u32)?;
            if *byte < 0x80 {
                self.0 = self.0.slice(at + 1..);
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn json<T: DeserializeOwned>(&mut self) -> Option<T> {
        serde_json::from_slice(&self.bytes()?).ok()
    }

    fn piece(&mut self) -> Option<(u64, Piece)> {
        let tag = self.take(1)?[0];
        let number = self.number()?;
        let piece = match tag {
            REQUEST => Piece::Request(self.json()?),
            ANSWER => Piece::Answer(self.json()?),
            CHUNK => Piece::Chunk(Chunk { at_us: self.number()?, bytes: Octets::from(self.bytes()?) }),
            END => Piece::End(self.json()?),
            _ => return None,
        };
        Some((number, piece))
    }

    fn exchange(&mut self) -> Option<Exchange> {
        #[derive(Deserialize)]
        struct Framed {
            request: Sent,
            answer: Option<Head>,
            end: Option<End>,
        }
        let Framed { request, answer, end } = self.json()?;
        let count = usize::try_from(self.number()?).ok()?;
        // Each takes a byte at least: a count that cannot be costs nothing.
        if count > self.0.len() {
            return None;
        }
        let lengths = (0..count).map(|_| self.number()).collect::<Option<Vec<_>>>()?;
        let times = (0..count).map(|_| self.number()).collect::<Option<Vec<_>>>()?;
        let mut at_us = 0u64;
        let mut chunks = Vec::with_capacity(count);
        for (length, later) in lengths.into_iter().zip(times) {
            at_us = at_us.checked_add(later)?;
            let bytes = Octets::from(self.take(usize::try_from(length).ok()?)?);
            chunks.push(Chunk { at_us, bytes });
        }
        Some(Exchange { request, answer, chunks, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::How;
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
        let chunk = (0u64..5_000, prop::collection::vec(any::<u8>(), 0..300));
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

    /// Returns the pieces of exchanges, one of each in turn.
    fn written(exchanges: &[Exchange]) -> Vec<u8> {
        let mut lines: Vec<Vec<Piece>> = Vec::new();
        for exchange in exchanges {
            let mut pieces = vec![Piece::Request(exchange.request.clone())];
            pieces.extend(exchange.answer.clone().map(Piece::Answer));
            pieces.extend(exchange.chunks.iter().cloned().map(Piece::Chunk));
            pieces.extend(exchange.end.clone().map(Piece::End));
            lines.push(pieces);
        }
        let mut out = Vec::new();
        for at in 0..lines.iter().map(Vec::len).max().unwrap_or(0) {
            for (number, pieces) in lines.iter().enumerate() {
                if let Some(piece) = pieces.get(at) {
                    piece.write(number as u64, &mut out);
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(exchanges in prop::collection::vec(exchange(), 0..4)) {
            prop_assert_eq!(&Exchange::unpack(Exchange::pack(&exchanges)).unwrap(), &exchanges);
            prop_assert_eq!(&Exchange::gather([written(&exchanges)]), &exchanges);
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
            let _ = Exchange::unpack([&TAG[..], &[1], &bytes].concat());
            prop_assert!(Exchange::unpack(bytes).is_err());
        }
    }

    #[test]
    fn a_later_version_is_refused() {
        let error = Exchange::unpack([&TAG[..], &[2, 0]].concat()).unwrap_err();
        assert!(error.message().contains("later version"), "{error}");
    }
}
