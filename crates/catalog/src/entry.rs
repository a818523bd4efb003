//! One model: its names, its limits, its prices.

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// A model of one provider, with the names it goes by.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Entry {
    /// The provider's name, such as `anthropic`.
    pub provider: String,
    /// The model's own name.
    pub id: String,
    /// Other names, complete.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Beginnings of names that stand for this model when a date follows: `20260131` or `2026-01-31`.
    #[serde(default)]
    pub dated: Vec<String>,
    /// Beginnings of names that stand for this model whatever follows.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// The most tokens the model reads, if known.
    pub context_window: Option<u64>,
    /// The most tokens the model writes in one answer, if known.
    pub output_limit: Option<u64>,
    /// What it costs, unless a tier applies.
    pub prices: Prices,
    /// What it costs from certain input sizes on, ascending.
    #[serde(default)]
    pub tiers: Vec<Tier>,
}

/// Dollars per million tokens, by bucket; `None` where the price is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Prices {
    /// Input that no other price covers.
    pub input: Option<Money>,
    /// Input read from a cache.
    pub cache_read: Option<Money>,
    /// Input written to a cache with the short lifetime.
    pub cache_write: Option<Money>,
    /// Input written to a cache with a lifetime of an hour.
    pub cache_write_1h: Option<Money>,
    /// Audio input.
    pub audio_input: Option<Money>,
    /// Output that no other price covers.
    pub output: Option<Money>,
    /// Reasoning, where it does not cost what other output costs.
    pub reasoning: Option<Money>,
    /// Audio output.
    pub audio_output: Option<Money>,
}

/// Prices for the whole of a request whose input is larger than a bound.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tier {
    /// The bound: the tier applies to requests with more input tokens than this, cached ones counted.
    pub over_input_tokens: u64,
    /// The prices, which replace those of the entry altogether.
    pub prices: Prices,
}

/// How a name led to an entry; earlier ways win over later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MatchedBy {
    /// It is the model's own name.
    Exact,
    /// It is another name of the model.
    Alias,
    /// It is a name of the model followed by a date.
    Dated,
    /// It begins like names of the model do.
    Prefix,
}

impl Entry {
    /// Says how a lower-case `name` stands for this model, and how many bytes of it were compared.
    pub(crate) fn matches(&self, name: &str) -> Option<(MatchedBy, usize)> {
        if self.id == name {
            return Some((MatchedBy::Exact, name.len()));
        }
        if self.aliases.iter().any(|alias| alias == name) {
            return Some((MatchedBy::Alias, name.len()));
        }
        if let Some(stem) =
            self.dated.iter().find(|stem| name.strip_prefix(stem.as_str()).is_some_and(is_date))
        {
            return Some((MatchedBy::Dated, stem.len()));
        }
        let prefix =
            self.prefixes.iter().filter(|prefix| name.starts_with(prefix.as_str())).map(String::len).max();
        prefix.map(|length| (MatchedBy::Prefix, length))
    }

    /// Returns the tier that applies to a request with so much input, if one does.
    pub(crate) fn tier(&self, input_tokens: u64) -> Option<&Tier> {
        self.tiers.iter().rev().find(|tier| input_tokens > tier.over_input_tokens)
    }
}

impl Prices {
    /// Returns every price given.
    pub(crate) fn given(&self) -> impl Iterator<Item = Money> {
        let Self {
            input,
            cache_read,
            cache_write,
            cache_write_1h,
            audio_input,
            output,
            reasoning,
            audio_output,
        } = *self;
        [input, cache_read, cache_write, cache_write_1h, audio_input, output, reasoning, audio_output]
            .into_iter()
            .flatten()
    }
}

/// Says whether `text` has the shape of a date as providers append it.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes.len() {
        8 => bytes.iter().all(u8::is_ascii_digit),
        10 => bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_date;

    #[test]
    fn dates_have_one_of_two_shapes() {
        assert!(is_date("20260131") && is_date("2026-01-31"));
        for text in ["", "2026013", "2026-1-311", "preview1", "202601-31", "20260131a", "２０２６"] {
            assert!(!is_date(text), "{text}");
        }
    }
}
