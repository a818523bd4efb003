//! Chance against the framings and against every adapter's decoder: whatever comes, however it is cut.

use std::ops::ControlFlow;
use std::sync::Arc;

use aichat_message::{Delta, ErrorKind, Fold};
use aichat_providers::{ArrayDecoder, Fault, Intake, NdjsonDecoder, Plan, SseDecoder, SseEvent};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use crate::canned::{Outcome, outcome};
use crate::recordings::{Recording, Spoken, chats, fixtures, in_folder, protocols};

/// What a framing made of a body: its frames, and whether it failed after them.
type Framed = (Vec<String>, bool);

/// At least so many cases; more where `PROPTEST_CASES` says so.
fn config(cases: u32) -> Config {
    let given = Config::default();
    Config { cases: cases.max(given.cases), failure_persistence: None, max_shrink_iters: 2000, ..given }
}

/// Returns a body in pieces of these lengths, over and over.
fn cut<'a>(mut body: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle() {
        if body.is_empty() {
            break;
        }
        let (piece, rest) = body.split_at((*length).clamp(1, body.len()));
        pieces.push(piece);
        body = rest;
    }
    pieces
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![4 => 1usize..4, 2 => 4usize..40, 1 => Just(1000)], 1..12)
}

fn sse(pieces: &[&[u8]]) -> Framed {
    let (mut decoder, mut frames) = (SseDecoder::new(), Vec::new());
    let mut each = |event: SseEvent<'_>| {
        frames.push(match event {
            SseEvent::Message { name, data } => format!("{name:?} {data:?}"),
            SseEvent::Comment => "comment".to_owned(),
        });
        ControlFlow::Continue(())
    };
    let mut pushed = pieces.iter().try_for_each(|piece| decoder.push(piece, &mut each));
    if pushed.is_ok() {
        pushed = decoder.finish(&mut each);
    }
    (frames, pushed.is_err())
}

/// The rules of the event stream format, one after another, on a body that is all there.
fn sse_by_the_book(body: &[u8]) -> Framed {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let (mut lines, mut line, mut bytes) = (Vec::new(), Vec::new(), body.iter().peekable());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' | b'\n' => {
                if *byte == b'\r' && bytes.peek() == Some(&&b'\n') {
                    bytes.next();
                }
                lines.push(std::mem::take(&mut line));
            }
            other => line.push(*other),
        }
    }
    lines.extend((!line.is_empty()).then_some(line));
    lines.push(Vec::new());
    let (mut frames, mut name, mut data) = (Vec::new(), Vec::new(), None::<Vec<u8>>);
    for line in lines {
        if line.is_empty() {
            let (name, data) = (std::mem::take(&mut name), data.take());
            let Some(data) = data else { continue };
            match (String::from_utf8(name), String::from_utf8(data)) {
                (Ok(name), Ok(data)) => frames.push(format!("{name:?} {data:?}")),
                _ => return (frames, true),
            }
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"" => frames.push("comment".to_owned()),
            b"event" => name = value.to_vec(),
            b"data" => {
                data = Some(match data {
                    Some(before) => [&before, &b"\n"[..], value].concat(),
                    None => value.to_vec(),
                });
            }
            _ => {}
        }
    }
    (frames, false)
}

fn ndjson(pieces: &[&[u8]]) -> Framed {
    let (mut decoder, mut frames) = (NdjsonDecoder::new(), Vec::new());
    let mut each = |line: &str| {
        frames.push(line.to_owned());
        ControlFlow::Continue(())
    };
    let mut pushed = pieces.iter().try_for_each(|piece| decoder.push(piece, &mut each));
    if pushed.is_ok() {
        pushed = decoder.finish(&mut each);
    }
    (frames, pushed.is_err())
}

fn ndjson_by_the_book(body: &[u8]) -> Framed {
    let mut frames = Vec::new();
    for line in body.split(|byte| *byte == b'\n') {
        match std::str::from_utf8(line).map(str::trim) {
            Ok("") => {}
            Ok(line) => frames.push(line.to_owned()),
            Err(_) => return (frames, true),
        }
    }
    (frames, false)
}

fn array(pieces: &[&[u8]]) -> Framed {
    let (mut decoder, mut frames) = (ArrayDecoder::new(), Vec::new());
    let pushed = pieces.iter().try_for_each(|piece| {
        decoder.push(piece, |element| {
            frames.push(element.to_owned());
            ControlFlow::Continue(())
        })
    });
    (frames, pushed.is_err())
}

/// Bytes that mean something to a framing, among some that mean nothing.
fn scraps(known: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let scrap = prop_oneof![8 => select(known).prop_map(<[u8]>::to_vec), 1 => vec(any::<u8>(), 1..3)];
    vec(scrap, 0..40).prop_map(|scraps| scraps.concat())
}

const SSE: &[&[u8]] = &[
    b"data:",
    b"data: x",
    b"data",
    b"event: e",
    b"event:",
    b"id: 1",
    b":",
    b" ",
    b"\n",
    b"\n",
    b"\n\n",
    b"\r",
    b"\r\n",
    b"\xc3\xa9",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x91\xa9",
    b"d",
    b"\0",
];
const LINES: &[&[u8]] =
    &[b"{\"a\":1}", b"\n", b"\n", b"\r\n", b" ", b"\xc3\xa9", b"\xff", b"\xe2\x80\xa8", b"x"];
const ARRAY: &[&[u8]] = &[
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b"\"",
    b"\\",
    b"\\\"",
    b"1",
    b" ",
    b"\n",
    b"\xc3\xa9",
    b"\xff",
    b"\"a\":",
];

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn events_are_what_the_format_says(body in scraps(SSE), lengths in cuts()) {
        let expected = sse_by_the_book(&body);
        prop_assert_eq!(&sse(&[&body]), &expected);
        prop_assert_eq!(&sse(&cut(&body, &lengths)), &expected);
        prop_assert_eq!(&sse(&cut(&body, &[1])), &expected);
    }

    #[test]
    fn lines_are_what_the_format_says(body in scraps(LINES), lengths in cuts()) {
        let expected = ndjson_by_the_book(&body);
        prop_assert_eq!(&ndjson(&[&body]), &expected);
        prop_assert_eq!(&ndjson(&cut(&body, &lengths)), &expected);
        prop_assert_eq!(&ndjson(&cut(&body, &[1])), &expected);
    }

    #[test]
    fn elements_do_not_depend_on_cuts(body in scraps(ARRAY), lengths in cuts()) {
        let body = [b"[", body.as_slice()].concat();
        let expected = array(&[&body]);
        prop_assert_eq!(&array(&cut(&body, &lengths)), &expected);
        prop_assert_eq!(&array(&cut(&body, &[1])), &expected);
        // Where it is an array of objects, they are its elements.
        if let Ok(objects) = serde_json::from_slice::<Vec<&serde_json::value::RawValue>>(&body)
            && objects.iter().all(|object| object.get().starts_with('{'))
        {
            let objects: Vec<_> = objects.iter().map(|object| object.get().to_owned()).collect();
            prop_assert_eq!(expected, (objects, false));
        }
    }

    #[test]
    fn objects_of_an_array_are_its_elements(
        objects in vec("\\{(\"[a-z\\[\\]{},é]{0,4}\":(\"[a-z\\[\\]{},]{0,4}\"|[0-9]|\\[[0-9]?\\]|\\{\\})){0,1}\\}", 0..6),
        blank in select(vec!["", " ", "\r\n", "\n "]),
        lengths in cuts(),
    ) {
        let body = format!("[{blank}{}{blank}]", objects.join(&format!("{blank},{blank}")));
        prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok());
        prop_assert_eq!(array(&cut(body.as_bytes(), &lengths)), (objects, false));
    }
}

/// One thing that happens to a body.
#[derive(Clone, Debug)]
enum Harm {
    Flip(Index, u8),
    Delete(Index, usize),
    Repeat(Index, usize),
    Truncate(Index),
    Insert(Index, &'static str),
    /// The value after the next colon becomes another one.
    Value(Index, &'static str),
    /// Brackets are opened and never closed.
    Nest(Index, bool),
}

const WORDS: &[&str] = &[
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "\"x\"",
    "0",
    "-1",
    "1e999",
    "123456789012345678901234567890",
    "1.5",
    "\"",
    "\\",
    "\\ud800",
    "\n",
    "\n\n",
    "\r",
    "\r\n\r\n",
    ",",
    "}",
    "]",
    "data: ",
    "data: [DONE]\n\n",
    "event: error\n",
    ": x\n\n",
    "\u{feff}",
    "\0",
    "👩‍🚀",
    "<html>",
    "{\"error\":{\"message\":\"x\"}}",
];

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        3 => (any::<Index>(), 1u8..).prop_map(|(at, mask)| Harm::Flip(at, mask)),
        2 => (any::<Index>(), 1usize..80).prop_map(|(at, len)| Harm::Delete(at, len)),
        2 => (any::<Index>(), 1usize..400).prop_map(|(at, len)| Harm::Repeat(at, len)),
        1 => any::<Index>().prop_map(Harm::Truncate),
        3 => (any::<Index>(), select(WORDS)).prop_map(|(at, word)| Harm::Insert(at, word)),
        6 => (any::<Index>(), select(&WORDS[..11])).prop_map(|(at, word)| Harm::Value(at, word)),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(at, square)| Harm::Nest(at, square)),
    ]
}

fn suffer(body: &mut Vec<u8>, harm: &Harm) {
    let len = body.len();
    if len == 0 {
        return;
    }
    match harm {
        Harm::Flip(at, mask) => body[at.index(len)] ^= mask,
        Harm::Delete(at, count) => drop(body.drain(at.index(len)..(at.index(len) + count).min(len))),
        Harm::Repeat(at, count) => {
            let span = body[at.index(len)..(at.index(len) + count).min(len)].to_vec();
            body.splice(at.index(len)..at.index(len), span);
        }
        Harm::Truncate(at) => body.truncate(at.index(len)),
        Harm::Insert(at, word) => drop(body.splice(at.index(len)..at.index(len), word.bytes())),
        Harm::Value(at, word) => {
            let from = at.index(len);
            let Some(colon) = body[from..].iter().position(|byte| *byte == b':') else { return };
            let value = from + colon + 1;
            let end = body[value..].iter().position(|byte| b",}]\n".contains(byte)).unwrap_or(len - value);
            body.splice(value..value + end, word.bytes());
        }
        Harm::Nest(at, square) => {
            let brackets = if *square { "[".repeat(20_000) } else { "{\"a\":".repeat(20_000) };
            body.splice(at.index(len)..at.index(len), brackets.bytes());
        }
    }
}

/// Reads a body in these pieces and asserts what holds of every body.
fn digest(spoken: &Spoken, content_type: Option<&str>, pieces: &[&[u8]]) -> Outcome {
    let mut intake = Intake::new(content_type, (spoken.decoder)());
    let mut deltas = Vec::new();
    let mut read = pieces.iter().try_for_each(|piece| intake.push(piece, &mut deltas));
    if read.is_ok() {
        read = intake.finish(&mut deltas);
    }
    let finishes = deltas.iter().filter(|delta| matches!(delta, Delta::Finish(_))).count();
    assert_eq!(finishes, usize::from(read.is_ok()), "one end");
    assert!(read.is_err() || matches!(deltas.last(), Some(Delta::Finish(_))), "nothing after it");
    let came: usize = pieces.iter().map(|piece| piece.len()).sum();
    let said = serde_json::to_string(&deltas).unwrap().len();
    assert!(said <= 100 * came + 4096, "{said} bytes are made of {came}");
    let mut fold = Fold::new();
    deltas.iter().for_each(|delta| fold.apply(delta));
    if let Err(error) = &read {
        let partial = error.partial().cloned().unwrap_or_else(|| Fold::new().message());
        assert_eq!(partial, fold.message(), "the error carries what had arrived");
    }
    outcome(&fold, read.as_ref().err())
}

/// Harms the recordings of a protocol by chance: no panic, one end, bounded, and the same however it is cut.
fn survives(spoken: &'static Spoken, recordings: &[Recording], cases: u32) {
    let mine =
        |recording: &&Recording| std::ptr::eq(recording.spoken, spoken) && recording.body.len() < 32 << 10;
    let bodies: Vec<_> = recordings.iter().filter(mine).collect();
    assert!(!bodies.is_empty(), "{} has recordings", spoken.name);
    let strategy = (any::<Index>(), vec(harm(), 1..5), cuts());
    let done = TestRunner::new(config(cases)).run(&strategy, |(which, harms, lengths)| {
        let recording = bodies[which.index(bodies.len())];
        let content_type = recording.data["response"]["headers"]["content-type"].as_str();
        let mut body = recording.body.clone();
        harms.iter().for_each(|harm| suffer(&mut body, harm));
        let whole = digest(spoken, content_type, &[&body]);
        let pieces = digest(spoken, content_type, &cut(&body, &lengths));
        prop_assert_eq!(pieces, whole, "{}", &recording.name);
        Ok(())
    });
    if let Err(error) = done {
        panic!("{}: {error}", spoken.name);
    }
}

#[test]
fn every_list_of_models_survives_harm() {
    let Some(root) = fixtures() else { return eprintln!("skipped: no folder of recordings") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for spoken in protocols() {
        let folders = spoken.models.iter().flat_map(|folder| in_folder(spoken, &root.join(folder)));
        let lists: Vec<_> = folders.collect();
        if lists.is_empty() {
            continue;
        }
        let strategy = (any::<Index>(), vec(harm(), 1..5));
        let done = TestRunner::new(config(300)).run(&strategy, |(which, harms)| {
            let mut body = lists[which.index(lists.len())].body.clone();
            harms.iter().for_each(|harm| suffer(&mut body, harm));
            // A provider that asks for page after page is stopped by the empty one.
            let plans = [Plan::body("application/json", body), Plan::body("application/json", "{}")];
            let provider = (spoken.provider)(Arc::new(Fault::new(plans)));
            if let Err(error) = runtime.block_on(provider.models()) {
                prop_assert!(error.kind() != ErrorKind::Timeout, "{:?}", error);
            }
            Ok(())
        });
        if let Err(error) = done {
            panic!("{}: {error}", spoken.name);
        }
    }
}

#[test]
fn every_adapter_survives_harm() {
    let recordings = chats();
    for spoken in protocols() {
        survives(spoken, &recordings, 500);
    }
}
