//! Tables that are given: models and prices of one's own, in JSON, that go before the built-in ones.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::entry::{Entry, Modality, Reasoning};
use crate::error::{Error, ErrorKind};
use crate::found::TableRef;
use crate::moment::Day;
use crate::names::{Hit, Names};
use crate::rate::{Condition, Prices, Rate, Tier};

/// A checked table, and the hash of the bytes it was read from.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) source: String,
    pub(crate) date: Day,
    pub(crate) hash: String,
    pub(crate) entries: Vec<GivenEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    source: Option<String>,
    date: Day,
    #[serde(borrow)]
    entries: Vec<&'a RawValue>,
}

/// What is said of one model; what is absent is left as it is known from elsewhere.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenEntry {
    pub(crate) provider: String,
    pub(crate) id: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    dated: Vec<String>,
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default)]
    suffixes: Vec<String>,
    #[serde(default)]
    infixes: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
    context_window: Option<u64>,
    output_limit: Option<u64>,
    input: Option<Vec<Modality>>,
    output: Option<Vec<Modality>>,
    tools: Option<bool>,
    structured_output: Option<bool>,
    reasoning: Option<Reasoning>,
    retires: Option<Day>,
    deprecated: Option<bool>,
    prices: Option<Prices>,
    #[serde(default)]
    tiers: Vec<Tier>,
    #[serde(default)]
    rates: Vec<GivenRate>,
    #[serde(skip)]
    names: Names,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenRate {
    when: Option<Condition>,
    prices: Prices,
    #[serde(default)]
    tiers: Vec<Tier>,
    #[serde(default)]
    uncounted: bool,
}

impl Given {
    pub(crate) fn parse(json: &str) -> Result<Self, Error> {
        let malformed = |error| Error::json("malformed price table", error);
        let Document { source, date, entries: texts } = serde_json::from_str(json).map_err(malformed)?;
        let mut entries: Vec<GivenEntry> = Vec::with_capacity(texts.len());
        for (index, text) in texts.into_iter().enumerate() {
            let entry = GivenEntry::parse(text.get()).map_err(|wrong| {
                let place = match Named::of(text.get()) {
                    Some(Named { provider, id }) => format!("entries[{index}], {provider}/{id}"),
                    None => format!("entries[{index}]"),
                };
                let message = format!("price table: {place}");
                match wrong {
                    Wrong::Json(error) => Error::json(message, error),
                    Wrong::Said(what) => Error::new(ErrorKind::Table, format!("{message}: {what}")),
                }
            })?;
            let taken = |name: &String| {
                let same = |other: &&GivenEntry| other.provider == entry.provider;
                entries
                    .iter()
                    .filter(same)
                    .any(|other| other.id == *name || other.names.aliases.contains(name))
            };
            if let Some(name) =
                std::iter::once(&entry.id).chain(&entry.names.aliases).find(|name| taken(name))
            {
                let (provider, id) = (&entry.provider, &entry.id);
                let message = format!("price table: entries[{index}], {provider}/{id}: {name:?} is taken");
                return Err(Error::new(ErrorKind::Table, message));
            }
            entries.push(entry);
        }
        let hash = blake3::hash(json.as_bytes()).to_hex().to_string();
        Ok(Self { source: source.unwrap_or_else(|| "a table of one's own".to_owned()), date, hash, entries })
    }

    /// Returns which table this is.
    pub(crate) fn described(&self) -> TableRef {
        let (source, hash) = (self.source.clone(), self.hash.clone());
        TableRef { builtin: false, source, date: self.date, hash }
    }

    /// Finds one of certain models by a lower-case name: the best way wins, then the longest rule, then the first.
    pub(crate) fn find(
        &self,
        is_asked: impl Fn(&GivenEntry) -> bool,
        name: &str,
    ) -> Option<(&GivenEntry, Hit<'_>)> {
        let entries = self.entries.iter().filter(|entry| is_asked(entry));
        entries
            .filter_map(|entry| Some((entry, entry.names.hit(&entry.id, name)?)))
            .min_by_key(|(_, hit)| hit.rank())
    }
}

/// What an entry is called, where that much of it can be read.
#[derive(Deserialize)]
struct Named {
    provider: String,
    id: String,
}

impl Named {
    fn of(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }
}

enum Wrong {
    Json(serde_json::Error),
    Said(&'static str),
}

impl GivenEntry {
    fn parse(json: &str) -> Result<Self, Wrong> {
        let mut entry: Self = serde_json::from_str(json).map_err(Wrong::Json)?;
        let take = std::mem::take::<Vec<String>>;
        entry.names.aliases = take(&mut entry.aliases);
        entry.names.dated = take(&mut entry.dated);
        entry.names.prefixes = take(&mut entry.prefixes);
        entry.names.suffixes = take(&mut entry.suffixes);
        entry.names.infixes = take(&mut entry.infixes);
        entry.names.except = take(&mut entry.except);
        entry.check().map_err(Wrong::Said)?;
        Ok(entry)
    }

    /// Says what is wrong with it.
    fn check(&self) -> Result<(), &'static str> {
        if self.provider.is_empty() || self.id.is_empty() {
            return Err("provider and id are not empty");
        }
        if self.names.iter().any(|name| name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()))
        {
            return Err("other names are lower case and not empty");
        }
        if !self.rates.is_empty() && (self.prices.is_some() || !self.tiers.is_empty()) {
            return Err("there are either prices with tiers, or rates");
        }
        if self.prices.is_none() && !self.tiers.is_empty() {
            return Err("tiers stand beside prices");
        }
        let ascending =
            |tiers: &[Tier]| tiers.is_sorted_by(|one, next| one.over_input_tokens < next.over_input_tokens);
        if !ascending(&self.tiers) || !self.rates.iter().all(|rate| ascending(&rate.tiers)) {
            return Err("tiers are not in ascending order");
        }
        Ok(())
    }

    /// Tells whether it says what the model costs.
    pub(crate) fn has_prices(&self) -> bool {
        self.prices.is_some() || !self.rates.is_empty()
    }

    /// Returns `known` with everything replaced that is said here; names are added.
    pub(crate) fn over(&self, mut known: Entry) -> Entry {
        let add = |names: &mut Vec<String>, more: &[String]| names.extend_from_slice(more);
        add(&mut known.names.aliases, &self.names.aliases);
        add(&mut known.names.dated, &self.names.dated);
        add(&mut known.names.prefixes, &self.names.prefixes);
        add(&mut known.names.suffixes, &self.names.suffixes);
        add(&mut known.names.infixes, &self.names.infixes);
        add(&mut known.names.except, &self.names.except);
        known.context_window = self.context_window.or(known.context_window);
        known.output_limit = self.output_limit.or(known.output_limit);
        known.input = self.input.clone().unwrap_or(known.input);
        known.output = self.output.clone().unwrap_or(known.output);
        known.tools = self.tools.or(known.tools);
        known.structured_output = self.structured_output.or(known.structured_output);
        known.reasoning = self.reasoning.or(known.reasoning);
        known.retires = self.retires.or(known.retires);
        known.deprecated = self.deprecated.unwrap_or(known.deprecated);
        if let Some(prices) = &self.prices {
            let (prices, tiers) = (prices.clone(), self.tiers.clone());
            known.rates = vec![Rate { prices, tiers, ..Rate::default() }];
        } else if !self.rates.is_empty() {
            let rate = |rate: &GivenRate| Rate {
                when: rate.when,
                prices: rate.prices.clone(),
                tiers: rate.tiers.clone(),
                uncounted: rate.uncounted,
            };
            known.rates = self.rates.iter().map(rate).collect();
        }
        known
    }
}
