//! Short byte strings that are written as lower-case hexadecimal text: spans, salts and hashes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text that is not lower-case hexadecimal of the right length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HexError {
    digits: usize,
}

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not {} lower-case hexadecimal digits", self.digits)
    }
}

impl std::error::Error for HexError {}

macro_rules! hex {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = HexError;
            /// Upper-case digits are refused, so that one value has one text.
            fn from_str(text: &str) -> Result<Self, HexError> {
                let mut bytes = [0; $len];
                match decode(text.as_bytes(), &mut bytes) {
                    Some(()) => Ok(Self(bytes)),
                    None => Err(HexError { digits: $len * 2 }),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
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

hex!(
    /// A span of work in OpenTelemetry's sense; its start and end events share it.
    Span, 8
);
hex!(
    /// The random bytes that keep a payload's hash from being guessed.
    Salt, 16
);
hex!(
    /// A BLAKE3 hash.
    Hash, 32
);

impl Hash {
    /// What the first event of a stream has before it.
    pub const ZERO: Self = Self([0; 32]);

    /// Returns the hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

fn decode(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    if text.len() != bytes.len() * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_one_text() {
        let span = Span([0, 1, 0xab, 0xff, 0, 0, 0, 9]);
        assert_eq!(span.to_string(), "0001abff00000009");
        assert_eq!("0001abff00000009".parse(), Ok(span));
        for text in ["0001ABff00000009", "0001abff0000000", "0001abff000000099", "0001abff0000000g", ""] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
