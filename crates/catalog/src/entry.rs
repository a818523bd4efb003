//! One model: its names, its limits, what it can do, its prices.

use serde::{Deserialize, Serialize};

use crate::moment::{Day, Moment};
use crate::names::Names;
use crate::rate::Rate;

/// A model of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The provider's name, such as `anthropic`.
    pub provider: String,
    /// The model's own name, as it is sent.
    pub id: String,
    /// The other names that stand for it.
    pub names: Names,
    /// The most tokens the model reads, or reads and writes, in one call, if known.
    pub context_window: Option<u64>,
    /// The most tokens the model writes in one answer, if known.
    pub output_limit: Option<u64>,
    /// What it reads, at least; empty if nothing is known.
    pub input: Vec<Modality>,
    /// What it writes, at least; empty if nothing is known.
    pub output: Vec<Modality>,
    /// Whether it calls tools, if known.
    pub tools: Option<bool>,
    /// Whether it keeps to a JSON schema, if known.
    pub structured_output: Option<bool>,
    /// Whether and how it reasons, if known.
    pub reasoning: Option<Reasoning>,
    /// The day on which the provider ends it, if announced.
    pub retires: Option<Day>,
    /// Whether the provider advises against it.
    pub deprecated: bool,
    /// What it costs; of several rates that hold, the last one applies. Empty if no price is known.
    pub rates: Vec<Rate>,
    /// The name and version of the set that lists the model.
    pub source: String,
}

impl Entry {
    /// Returns an entry of which nothing is known but its name.
    pub(crate) fn new(provider: impl Into<String>, id: impl Into<String>, source: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            id: id.into(),
            names: Names::default(),
            context_window: None,
            output_limit: None,
            input: Vec::new(),
            output: Vec::new(),
            tools: None,
            structured_output: None,
            reasoning: None,
            retires: None,
            deprecated: false,
            rates: Vec::new(),
            source: source.into(),
        }
    }

    /// Returns what a call made at that instant is billed by: the last of the rates that hold then, or the first
    /// of all where none does.
    pub fn rate(&self, at: Moment) -> Option<&Rate> {
        let holds = |rate: &&Rate| rate.when.is_none_or(|when| when.holds(at));
        self.rates.iter().rev().find(holds).or(self.rates.first())
    }
}

/// A kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Modality {
    /// Text.
    Text,
    /// Images.
    Image,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// PDF documents.
    Pdf,
}

/// How a model reasons, and how it is told how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reasoning {
    /// It does not.
    None,
    /// It does; how it is told is not known.
    Some,
    /// It is told an effort, such as `low` or `high`.
    Effort,
    /// It is told how many tokens to spend.
    Budget,
    /// It decides by itself how much to reason.
    Adaptive,
}
