//! What makes two runs differ: the clock and randomness, injectable so that replays and tests are exact.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Returns the wall clock in microseconds since 1970, UTC.
    fn now_us(&self) -> i64;
    /// Returns microseconds since some fixed instant of this process; never goes back.
    fn mono_us(&self) -> u64;
}

/// Gives random bytes for ids, salts and jitter.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// A clock and a source of randomness; by default those of the operating system.
#[derive(Clone)]
pub struct Effects {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub entropy: Arc<dyn Entropy>,
}

impl Effects {
    /// Returns random bytes, for an id or a salt.
    pub fn bits<const N: usize>(&self) -> [u8; N] {
        let mut bits = [0; N];
        self.entropy.fill(&mut bits);
        bits
    }

    /// Returns a number from 0 up to but not including 1.
    pub fn fraction(&self) -> f64 {
        f64::from(u32::from_le_bytes(self.bits())) / (f64::from(u32::MAX) + 1.0)
    }
}

impl Default for Effects {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock { begun: Instant::now() }), entropy: Arc::new(SystemEntropy) }
    }
}

struct SystemClock {
    begun: Instant,
}

impl Clock for SystemClock {
    fn now_us(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    fn mono_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}
