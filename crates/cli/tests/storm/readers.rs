//! Reading while others write: whoever has been answered finds question and answer, from then on and for ever.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::common::{Done, Home};
use crate::ledger;

const WRITERS: usize = 4;
const TURNS: usize = 5;

#[test]
fn a_reader_finds_what_was_answered_before_it_looked() {
    let home = Home::new();
    let writing = AtomicUsize::new(WRITERS);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (home, writing) = (&home, &writing);
            scope.spawn(move || {
                let name = format!("writer{writer}");
                let mut asked = Vec::new();
                for turn in 0..TURNS {
                    let prompt = format!("turn {turn} of {name}");
                    let args = ["send", "-s", &name, "-m", "openai/echo-c4-d500", &prompt];
                    let done = Done::from(home.command(args).output().unwrap());
                    assert_eq!((done.code, done.out), (0, format!("{prompt}\n")), "{}", done.err);
                    asked.push(prompt);
                    let kept = ledger::exchanges_of(home, &name);
                    assert!(kept.iter().map(|(prompt, _)| prompt).eq(&asked), "{kept:?} of {asked:?}");
                    assert!(kept.iter().all(|(prompt, kept)| kept.answer == *prompt), "{kept:?}");
                }
                writing.fetch_sub(1, Ordering::Relaxed);
            });
        }
        // Others look as well, and what they have seen never goes.
        for _ in 0..2 {
            scope.spawn(|| {
                let mut seen = 0;
                while writing.load(Ordering::Relaxed) > 0 {
                    let turns =
                        ledger::items(&home).iter().map(|session| session["turns"].as_u64().unwrap()).sum();
                    assert!(turns >= seen, "{turns} turns after {seen}");
                    seen = turns;
                }
            });
        }
    });
    assert_eq!(ledger::exchanges(&home).len(), WRITERS * TURNS);
    ledger::verify(&home);
}
