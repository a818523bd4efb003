//! Recording into whatever keeps events: the same effects give the same log, and what fails leaves no gap.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aichat_events::{
    Chain, Clock, Effects, Entropy, Event, Fact, Lines, MessageAssistant, MessageUser, Recorder, Redactor,
    Scribe, SecretRedacted, SessionCreated, Transcript,
};
use aichat_message::{Message, Opaque, OpaqueKind, Part, SessionId, TurnId, WriterId};

use crate::log::{bits, message_id};

const KEY: &str = "sk-recorder-0123456789";

/// A clock and randomness that count up.
#[derive(Default)]
struct Counting(AtomicU64);

impl Clock for Counting {
    fn now_us(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed) as i64
    }
    fn mono_us(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed) as u8);
    }
}

fn scribe() -> Scribe {
    let effects = Effects { clock: Arc::new(Counting::default()), entropy: Arc::new(Counting::default()) };
    let redactor = Redactor::new([("key".to_owned(), KEY.to_owned())]);
    Scribe::new(effects, WriterId::from_bits(bits(1)), SessionId::from_bits(bits(1)), &redactor)
}

/// Records a question with a key in it, and an answer whose signature happens to look like the key.
fn record<S: aichat_events::Sink>(mut recorder: Recorder<S>) -> Result<(Chain, S), S::Error> {
    recorder.record(&SessionCreated { name: Some(format!("about {KEY}")), ..SessionCreated::default() })?;
    recorder.scribe().begin_turn(&TurnId::from_bits(bits(1)));
    let message = Message::user(format!("Is {KEY} good?"));
    recorder.record(&MessageUser { id: message_id(1), parent: None, message })?;
    let mut part = Part::text(format!("{KEY}? No."));
    part.opaque.push(Opaque { provider: "p".into(), kind: OpaqueKind::Signature, data: KEY.into() });
    let message = Message::new(aichat_message::Role::Assistant, vec![part]);
    let parent = Some(message_id(1));
    recorder.record(&MessageAssistant { id: message_id(2), parent, message, partial: false })?;
    recorder.finish()
}

#[test]
fn what_was_recorded_is_a_chain_that_is_read_back_from_its_lines() {
    let (chain, Lines(file)) = record(Recorder::new(scribe(), Lines(Vec::new()))).unwrap();
    let text = String::from_utf8(file).unwrap();
    let events: Vec<Event> = text.lines().map(|line| Event::parse(line).unwrap()).collect();
    let mut again = Chain::new();
    events.iter().for_each(|event| again.push(event).unwrap());
    assert_eq!((again, events.len()), (chain, 4));
    // Each was caused by the one before.
    assert!(events.windows(2).all(|pair| pair[1].cause() == Some(pair[0].id())));
    let (_, kept) = record(Recorder::new(scribe(), Vec::new())).unwrap();
    assert_eq!(kept, events, "the same effects give the same bytes");
}

#[test]
fn everything_is_masked_but_what_only_its_provider_understands() {
    let (_, events) = record(Recorder::new(scribe(), Vec::new())).unwrap();
    let transcript = Transcript::fold(&events);
    assert_eq!(transcript.name.as_deref(), Some("about ‹secret:key›"));
    assert_eq!(transcript.entries[0].message.text(), "Is ‹secret:key› good?");
    assert_eq!(transcript.entries[1].message.text(), "‹secret:key›? No.");
    assert_eq!(transcript.entries[1].message.parts[0].opaque[0].data, KEY);
    let counts = SecretRedacted::of(&events[3]).unwrap().counts;
    assert_eq!((counts[0].name.as_str(), counts[0].count), ("key", 3));
}

/// A file that has no room for some of the lines.
struct Full {
    kept: Vec<u8>,
    lines: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lines += 1;
        match self.lines % 2 {
            0 => Err(io::ErrorKind::StorageFull.into()),
            _ => self.kept.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_event_that_was_not_kept_leaves_its_place_to_the_next() {
    let full = Full { kept: Vec::new(), lines: 0 };
    let mut recorder = Recorder::new(scribe(), Lines(full));
    let kept: Vec<bool> = (0..5).map(|_| recorder.record(&SessionCreated::default()).is_ok()).collect();
    assert_eq!(kept, [true, false, true, false, true]);
    let (chain, Lines(full)) = recorder.finish().unwrap();
    let text = String::from_utf8(full.kept).unwrap();
    let mut again = Chain::new();
    text.lines().for_each(|line| again.push(&Event::parse(line).unwrap()).unwrap());
    assert_eq!((again.seq(), &again), (3, &chain));
    // Another recorder goes on where that one ended.
    let mut more = Recorder::after(chain, scribe(), Vec::new());
    again.push(&more.record(&SessionCreated::default()).unwrap()).unwrap();
}
