//! Journal records: what a turn in flight writes, event drafts and deltas, one JSON value each.

use serde::{Deserialize, Serialize};

use aichat_events::Draft;
use aichat_message::Delta;

/// Room for everything of a record but a payload, in bytes.
const HEAD: usize = 512;

/// One record of a turn in flight.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// An event, complete but for its place in the log.
    Event(Box<Draft>),
    /// An increment of the answer; counts only where the turn has no end.
    Delta(Delta),
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let payload = match self {
            Self::Event(draft) => draft.payload.get().len(),
            Self::Delta(_) => 0,
        };
        let mut bytes = Vec::with_capacity(payload + HEAD);
        serde_json::to_writer(&mut bytes, self).expect("records have string keys only");
        bytes
    }

    /// Tells, without reading it, whether a record is a delta, which a turn that has its end does not need.
    pub(crate) fn is_delta(bytes: &[u8]) -> bool {
        bytes.starts_with(b"{\"delta\":")
    }

    /// Returns the record, or `None` for one of a kind that this version does not know.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_is_known_by_its_first_bytes() {
        let record = Record::Delta(Delta::Text { index: 0, text: "{\"event\":".into() });
        assert!(Record::is_delta(&record.encode()));
        assert!(!Record::is_delta(b"{\"event\":{}}"));
    }
}
