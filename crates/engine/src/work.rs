//! How far long work is, told to whoever watches.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use crate::engine::Engine;

/// How often work that cannot be counted says that it goes on.
const BEAT: Duration = Duration::from_millis(500);

/// How far a long piece of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// What is being done.
    pub step: Step,
    /// How many of them are done.
    pub done: u64,
    /// How many there are; `None` where that is not known before the end.
    pub of: Option<u64>,
    /// Whether it has ended, well or not.
    pub over: bool,
}

/// What long work consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Sessions are read.
    Read,
    /// Sessions are copied.
    Copy,
    /// Sessions are verified.
    Verify,
    /// Blobs are looked through.
    Blobs,
    /// Sessions are given out.
    Export,
    /// Sessions are taken in.
    TakeIn,
    /// Projections are replaced.
    Replace,
    /// Files are written anew without what was removed.
    Compact,
}

impl Step {
    /// Returns what is being done, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "reading sessions",
            Self::Copy => "copying sessions",
            Self::Verify => "verifying sessions",
            Self::Blobs => "looking through blobs",
            Self::Export => "exporting sessions",
            Self::TakeIn => "taking in sessions",
            Self::Replace => "replacing projections",
            Self::Compact => "compacting",
        }
    }
}

/// A step under way; it is over when it is dropped.
pub(crate) struct Steps {
    engine: Engine,
    work: Work,
}

impl Engine {
    /// Begins a step of long work.
    pub(crate) fn steps(&self, step: Step, of: Option<usize>) -> Steps {
        let of = of.map(|of| of as u64);
        let steps = Steps { engine: self.clone(), work: Work { step, done: 0, of, over: false } };
        steps.tell();
        steps
    }
}

impl Engine {
    /// Does what cannot be counted, and says now and then that it is being done.
    pub(crate) async fn during<T>(&self, step: Step, work: impl Future<Output = T>) -> T {
        let steps = self.steps(step, None);
        let mut work = pin!(work);
        loop {
            match timeout(BEAT, &mut work).await {
                Ok(done) => return done,
                Err(_) => steps.tell(),
            }
        }
    }
}

impl Steps {
    /// Says that so many more are done.
    pub(crate) fn done(&mut self, count: usize) {
        self.work.done += count as u64;
        self.tell();
    }

    fn tell(&self) {
        if let Some(watch) = &self.engine.0.watch {
            watch(self.work);
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.work.over = true;
        self.tell();
    }
}
