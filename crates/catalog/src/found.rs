//! What was asked, what was found, and why: an answer of the catalogue explains itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::moment::{Day, Moment};
use crate::names::MatchedBy;

/// A call to be priced: to whom, for which model, when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call<'a> {
    /// The provider, as the caller names it.
    pub provider: &'a str,
    /// The model, as it is sent or as the provider says it served.
    pub model: &'a str,
    /// Base URL or host of the provider, if known; it decides whose prices these are.
    pub address: Option<&'a str>,
    /// When the call was made.
    pub at: Moment,
    /// How often the provider searched the web for it, if known.
    pub web_searches: Option<u64>,
}

impl<'a> Call<'a> {
    /// Returns a call to a provider, wherever that is.
    pub fn new(provider: &'a str, model: &'a str, at: Moment) -> Self {
        Self { provider, model, address: None, at, web_searches: None }
    }

    /// Returns the call as one to that base URL or host; an empty one is not known.
    pub fn to(mut self, address: &'a str) -> Self {
        self.address = Some(address).filter(|address| !address.is_empty());
        self
    }

    /// Returns the call with so many searches of the web.
    pub fn searching(mut self, times: u64) -> Self {
        self.web_searches = Some(times);
        self
    }
}

/// An entry, and how a name led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Match {
    /// What is known of the model.
    pub entry: Entry,
    /// How the name led to it.
    pub matched_by: MatchedBy,
    /// The name or pattern that held.
    pub rule: String,
    /// How the provider was recognised.
    pub provider_by: ProviderBy,
    /// In what way the prices are taken to be the right ones, without being known to be.
    pub assumed: Vec<Assumption>,
    /// The table that the prices are from.
    pub table: TableRef,
    /// Whether a table that was given says something of the model, be it no price.
    pub overridden: bool,
}

/// How a provider was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProviderBy {
    /// By its name.
    Name,
    /// By the address that is called, whatever name it is called by.
    Address,
}

/// Why a price may be another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Assumption {
    /// The provider of that name is reached elsewhere than at the address called.
    OtherHost,
    /// It is the price of another provider, whose model this one passes on.
    OtherProvider,
    /// It is the price of the model without the date in its name.
    OtherSnapshot,
}

/// Which table something is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TableRef {
    /// Whether it is the built-in one.
    pub builtin: bool,
    /// The name and version of what it was made from.
    pub source: String,
    /// The day it was made.
    pub date: Day,
    /// Its BLAKE3 hash, in hexadecimal.
    pub hash: String,
}

impl fmt::Display for Match {
    /// Writes one sentence, without a full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}, by ", self.entry.provider, self.entry.id)?;
        let rule = &self.rule;
        match self.matched_by {
            MatchedBy::Exact => f.write_str("its own name")?,
            MatchedBy::Alias => write!(f, "its other name {rule}")?,
            MatchedBy::Dated => write!(f, "its name {rule} and a date")?,
            MatchedBy::Prefix => write!(f, "names that begin with {rule}")?,
            MatchedBy::Suffix => write!(f, "names that end with {rule}")?,
            MatchedBy::Infix => write!(f, "names with {rule} in them")?,
        }
        if self.provider_by == ProviderBy::Address {
            f.write_str(", the provider by its address")?;
        }
        let table = if self.table.builtin { "the built-in table" } else { "a given table" };
        write!(f, ", in {table} of {} ({})", self.table.date, self.entry.source)?;
        for assumption in &self.assumed {
            f.write_str(match assumption {
                Assumption::OtherHost => "; assumed, for the address is not this provider's",
                Assumption::OtherProvider => "; assumed, for it is another provider's",
                Assumption::OtherSnapshot => "; assumed, for it is that of another snapshot",
            })?;
        }
        if self.overridden && self.table.builtin {
            f.write_str("; a given table says more of it")?;
        }
        Ok(())
    }
}
