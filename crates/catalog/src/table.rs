//! A price table as it is read: checked once, so that no price of it can overflow or be rounded.

use std::collections::HashSet;

use serde::Deserialize;

use crate::catalog::Found;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind};

/// A checked table, and the hash of the bytes it was read from.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) source: String,
    pub(crate) date: String,
    pub(crate) hash: String,
    pub(crate) entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    source: String,
    date: String,
    entries: Vec<Entry>,
}

impl Table {
    pub(crate) fn parse(json: &str) -> Result<Self, Error> {
        let Document { source, date, entries } = serde_json::from_str(json).map_err(Error::json)?;
        let mut names = HashSet::new();
        for entry in &entries {
            let wrong = |what| {
                let (provider, id) = (&entry.provider, &entry.id);
                Error::new(ErrorKind::Table, format!("price table: {provider}/{id}: {what}"))
            };
            check(entry).map_err(wrong)?;
            for name in std::iter::once(&entry.id).chain(&entry.aliases) {
                if !names.insert((&entry.provider, name)) {
                    return Err(wrong("a name that is already taken"));
                }
            }
        }
        Ok(Self { source, date, hash: blake3::hash(json.as_bytes()).to_hex().to_string(), entries })
    }

    /// Finds a model by its own name, another name, a name and a date, or its longest prefix, in this order.
    pub(crate) fn find(&self, provider: &str, model: &str) -> Option<Found<'_>> {
        let name = model.to_ascii_lowercase();
        let matches = |entry| {
            let (matched_by, length) = Entry::matches(entry, &name)?;
            Some((matched_by, length, entry))
        };
        self.entries
            .iter()
            .filter(|entry| entry.provider == provider)
            .filter_map(matches)
            .min_by_key(|(matched_by, length, _)| (*matched_by, usize::MAX - length))
            .map(|(matched_by, _, entry)| Found { entry, matched_by })
    }
}

/// Says what is wrong with an entry.
fn check(entry: &Entry) -> Result<(), &'static str> {
    let rules = entry.aliases.iter().chain(&entry.dated).chain(&entry.prefixes);
    for name in rules.chain([&entry.id, &entry.provider]) {
        if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err("names are lower case and not empty");
        }
    }
    let mut prices = entry.tiers.iter().map(|tier| &tier.prices).chain([&entry.prices]);
    if !prices.all(|prices| prices.given().all(|price| price.is_price())) {
        return Err("a price is negative, above a million dollars, or has more than six decimals");
    }
    if !entry.tiers.is_sorted_by(|one, next| one.over_input_tokens < next.over_input_tokens) {
        return Err("tiers are not in ascending order");
    }
    Ok(())
}
