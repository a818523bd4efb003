//! Witnesses: heads of chains written down elsewhere, against which a log is held.

use std::fmt;
use std::str::FromStr;

use aichat_message::SessionId;
use serde::{Deserialize, Serialize};

use crate::hex::Hash;

/// What the last event of a log was at some time: one line of text, `SESSION HASH@SEQ`.
///
/// A chain alone cannot tell that its end was cut off, or that all of it was written anew. Whoever kept a witness where
/// the log's writer could not reach it can: the event at that place must still be there, with that hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// The session.
    pub session: SessionId,
    /// The place of the event.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

/// Text that is not a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WitnessError;

impl fmt::Display for WitnessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not of the form SESSION HASH@SEQ")
    }
}

impl std::error::Error for WitnessError {}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}@{}", self.session, self.hash, self.seq)
    }
}

impl FromStr for Witness {
    type Err = WitnessError;
    fn from_str(text: &str) -> Result<Self, WitnessError> {
        let read = || {
            let (session, head) = text.trim().split_once(char::is_whitespace)?;
            let (hash, seq) = head.trim_start().split_once('@')?;
            let seq = seq.parse().ok().filter(|seq| *seq > 0)?;
            Some(Self { session: session.parse().ok()?, seq, hash: hash.parse().ok()? })
        };
        read().ok_or(WitnessError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_is_a_line_of_text() {
        let session = SessionId::from_bits([1; 10]);
        let witness = Witness { session: session.clone(), seq: 7, hash: Hash::of(b"it") };
        assert_eq!(witness.to_string().parse(), Ok(witness.clone()));
        assert_eq!(witness.to_string().replace(' ', " \t ").parse(), Ok(witness.clone()));
        let hash = witness.hash;
        for text in
            ["", "ses_1", &format!("{session} {hash}"), &format!("{session} {hash}@0"), &format!("{hash}@7")]
        {
            assert_eq!(text.parse::<Witness>(), Err(WitnessError), "{text}");
        }
    }
}
