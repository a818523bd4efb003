//! Conversations made up of words: real events, the same text every time.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aichat_engine::{Clock, Engine, ModelRef, Send};
use aichat_providers::{Scripted, Turn};
use aichat_store::{Expect, Memory, Row, Sled, Store, Unit};
use futures::StreamExt;

/// A word that one message in a thousand holds, in a spelling of its own half of the time.
pub(crate) const RARE: &str = "quetzalcoatlus";
/// How many sessions one commit takes in.
const BATCH: usize = 100;

/// Numbers that look random and are the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }
}

/// Makes messages.
pub(crate) struct Writer {
    dice: Dice,
    words: Vec<String>,
    written: usize,
}

impl Writer {
    pub(crate) fn new() -> Self {
        const BEGIN: [&str; 16] =
            ["b", "br", "c", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v"];
        const MIDDLE: [&str; 8] = ["a", "e", "i", "o", "u", "ai", "ea", "ou"];
        const END: [&str; 8] = ["", "n", "r", "s", "t", "l", "nd", "st"];
        let mut dice = Dice::new(7);
        let mut word = || -> String {
            (0..1 + dice.below(3))
                .map(|_| [BEGIN[dice.below(16)], MIDDLE[dice.below(8)], END[dice.below(8)]].concat())
                .collect()
        };
        let mut words: Vec<String> = (0..4_000).map(|_| word()).collect();
        // One word in forty is not written in ASCII alone.
        for (index, other) in ["größe", "café", "naïve", "привет", "東京", "Übung"].iter().enumerate()
        {
            words[20 + 5 * index] = (*other).to_owned();
        }
        Self { dice: Dice::new(11), words, written: 0 }
    }

    /// Returns a message of about `words` words.
    pub(crate) fn message(&mut self, words: usize) -> String {
        self.written += 1;
        let count = words / 2 + self.dice.below(words);
        let mut text = String::with_capacity(count * 6);
        for index in 0..count {
            // Some words are far more frequent than others, as in every language.
            let rank = self.dice.below(4_000) * self.dice.below(4_000) / 4_000;
            text.push_str(&self.words[rank]);
            text.push_str(if index % 12 == 11 { ".\n" } else { " " });
        }
        match self.written % 2_000 {
            500 => text.push_str(RARE),
            1_500 => text.push_str(&RARE.to_uppercase()),
            _ => {}
        }
        text
    }
}

/// A clock that goes on by a second with every look.
#[derive(Clone)]
struct Ticks(Arc<AtomicI64>);

impl Clock for Ticks {
    fn now_us(&self) -> i64 {
        self.0.fetch_add(1_000_000, Ordering::Relaxed)
    }

    fn mono_us(&self) -> u64 {
        self.now_us().unsigned_abs()
    }
}

/// Fills the store in `path` with `sessions` sessions of `turns` turns each, as the engine records them; returns
/// how many events there are.
///
/// # Errors
/// Where a turn fails or the store cannot be written.
pub(crate) async fn fill(path: &Path, sessions: usize, turns: usize) -> Result<u64, Box<dyn Error>> {
    let store = Sled::at(path);
    let mut writer = Writer::new();
    let clock = Ticks(Arc::new(AtomicI64::new(1_700_000_000_000_000)));
    let mut units = Vec::new();
    let mut events = 0;
    for _ in 0..sessions {
        let provider = Scripted::new([]);
        let engine = Engine::builder(Memory::new()).provider(provider.clone()).clock(clock.clone()).build();
        let mut session = None;
        for _ in 0..turns {
            provider.push(Turn::text(&writer.message(120)));
            let prompt = writer.message(40);
            let send = match &session {
                None => Send::new(ModelRef::new("scripted", "bench-1"), prompt),
                Some(session) => Send::to(Clone::clone(session), prompt),
            };
            let mut turn = engine.send(send).await?;
            while turn.next().await.is_some() {}
            session = Some(turn.outcome().await?.session);
        }
        let session = session.ok_or("a session has turns")?;
        let log = engine.events(&session).await?;
        events += log.len() as u64;
        let rows = log.iter().map(|event| Row {
            seq: event.seq(),
            id: event.id().clone(),
            hash: event.hash().0.to_vec(),
            bytes: event.line().as_bytes().to_vec(),
        });
        units.push(Unit { events: rows.collect(), ..Unit::new(session, Expect::New) });
        if units.len() == BATCH {
            store.commit(std::mem::take(&mut units)).await?;
        }
    }
    store.commit(units).await?;
    let engine = Engine::builder(store).build();
    engine.rebuild().await?;
    engine.shutdown().await?;
    Ok(events)
}
