//! Identifiers: text with a kind and random-first base32, so that a short prefix names one thing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Crockford's base32 in lower case: no `i`, `l`, `o`, `u`, so an id can be read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Longest text after the kind that is taken for an id, in bytes.
const MAX_BODY: usize = 64;

/// Text that is not an id of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdError {
    kind: &'static str,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an id of the form {}_…", self.kind)
    }
}

impl std::error::Error for IdError {}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// What every id of this kind begins with, before the underscore.
            pub const KIND: &'static str = $kind;

            /// Makes an id out of 80 bits, random or derived; the same bits give the same id.
            pub fn from_bits(bits: [u8; 10]) -> Self {
                Self(encode($kind, bits).into())
            }

            /// Returns the id as text, its kind included.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                match is_id($kind, text) {
                    true => Ok(Self(text.into())),
                    false => Err(IdError { kind: $kind }),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Names a session, and the event stream of that session.
    SessionId, "ses"
);
id!(
    /// Names a message within every session that shares it.
    MessageId, "msg"
);
id!(
    /// Names a turn: one user message and everything up to its answer.
    TurnId, "trn"
);
id!(
    /// Names an event; never used for order.
    EventId, "evt"
);
id!(
    /// Names a call: one provider request with its attempts.
    CallId, "cal"
);
id!(
    /// Names a process instance that writes events.
    WriterId, "wrt"
);

fn encode(kind: &str, bits: [u8; 10]) -> String {
    let mut text = String::with_capacity(kind.len() + 17);
    text.push_str(kind);
    text.push('_');
    for five in bits.chunks_exact(5) {
        let word = five.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        for shift in (0..8).rev() {
            text.push(char::from(ALPHABET[(word >> (shift * 5) & 31) as usize]));
        }
    }
    text
}

fn is_id(kind: &str, text: &str) -> bool {
    let Some(body) = text.strip_prefix(kind).and_then(|rest| rest.strip_prefix('_')) else { return false };
    !body.is_empty() && body.len() <= MAX_BODY && body.bytes().all(|b| ALPHABET.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_become_sixteen_letters_after_the_kind() {
        assert_eq!(SessionId::from_bits([0; 10]).as_str(), "ses_0000000000000000");
        assert_eq!(MessageId::from_bits([0xff; 10]).as_str(), "msg_zzzzzzzzzzzzzzzz");
        assert_eq!(TurnId::from_bits([0, 0, 0, 0, 1, 8, 0, 0, 0, 0]).as_str(), "trn_0000000110000000");
    }

    #[test]
    fn text_of_another_kind_or_alphabet_is_refused() {
        for text in ["", "ses_", "msg_0000", "ses_ABC", "ses_../../etc", "ses_0\n", "ses"] {
            assert!(text.parse::<SessionId>().is_err(), "{text:?}");
        }
        assert!(format!("ses_{}", "0".repeat(65)).parse::<SessionId>().is_err());
        let id: SessionId = "ses_0abc".parse().unwrap();
        assert_eq!(serde_json::from_str::<SessionId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }
}
