//! How much a model of each family is told to think.

use serde::Serialize;

use crate::history::Warnings;
use crate::request::Reasoning;

/// What is told about thinking, <https://ai.google.dev/gemini-api/docs/thinking>.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThinkingConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    include_thoughts: bool,
}

/// Families of models, by what they are told and what they demand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Family {
    /// Before 2.5: nothing can be told.
    Plain,
    /// 2.5: a number of tokens.
    Budget {
        /// The fewest that may be told.
        least: u64,
    },
    /// 3 and later: a level.
    Level {
        /// The lowest there is.
        least: &'static str,
        /// Whether calls in the history must be signed.
        signed: bool,
    },
}

impl Family {
    /// Returns the family of a model. A name without a version stands for the latest one.
    pub(super) fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        let least = if name.contains("pro") { "low" } else { "minimal" };
        let Some(rest) = name.strip_prefix("gemini-") else { return Self::Level { least, signed: false } };
        let number = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default();
        match number.parse::<f32>() {
            Ok(version) if version < 2.5 => Self::Plain,
            Ok(version) if version < 3.0 => {
                Self::Budget { least: if rest.contains("pro") { 128 } else { 0 } }
            }
            _ => Self::Level { least, signed: true },
        }
    }

    /// Tells whether calls in the history must be signed.
    pub(super) fn wants_signatures(self) -> bool {
        matches!(self, Self::Level { signed: true, .. })
    }

    /// Returns what to tell so that a model thinks this much.
    pub(super) fn config(self, reasoning: &Reasoning, warnings: &mut Warnings) -> Option<ThinkingConfig> {
        const ALWAYS: &str = "this model always reasons: it is asked for the least";
        let reasoning = if *reasoning == Reasoning::Tokens(0) { &Reasoning::None } else { reasoning };
        let budget = |tokens| ThinkingConfig {
            thinking_budget: Some(tokens),
            include_thoughts: *reasoning != Reasoning::None,
            ..ThinkingConfig::default()
        };
        let level = |level| ThinkingConfig {
            thinking_level: Some(level),
            include_thoughts: *reasoning != Reasoning::None,
            ..ThinkingConfig::default()
        };
        Some(match (self, reasoning) {
            (Self::Plain, Reasoning::None) => return None,
            (Self::Plain, _) => {
                warnings.add("the amount of reasoning cannot be told to this model");
                return None;
            }
            (Self::Budget { least }, Reasoning::None) => {
                if least > 0 {
                    warnings.add(ALWAYS);
                }
                budget(least)
            }
            (Self::Budget { .. }, Reasoning::Low) => budget(1024),
            (Self::Budget { .. }, Reasoning::Medium) => budget(8192),
            (Self::Budget { .. }, Reasoning::High) => budget(24576),
            (Self::Budget { least }, Reasoning::Tokens(tokens)) if *tokens < least => {
                warnings.add(format!("this model reasons with no fewer than {least} tokens"));
                budget(least)
            }
            (_, Reasoning::Tokens(tokens)) => budget(*tokens),
            (Self::Level { least, .. }, Reasoning::None) => {
                warnings.add(ALWAYS);
                level(least)
            }
            (Self::Level { .. }, Reasoning::Low) => level("low"),
            (Self::Level { .. }, Reasoning::Medium) => level("medium"),
            (Self::Level { .. }, Reasoning::High) => level("high"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_by_their_names() {
        for (model, family) in [
            ("gemini-2.0-flash-001", Family::Plain),
            ("models/gemini-1.5-pro", Family::Plain),
            ("gemini-2.5-flash-lite", Family::Budget { least: 0 }),
            ("models/gemini-2.5-pro", Family::Budget { least: 128 }),
            ("gemini-3-pro-preview", Family::Level { least: "low", signed: true }),
            ("gemini-3.6-flash", Family::Level { least: "minimal", signed: true }),
            ("gemini-12-flash", Family::Level { least: "minimal", signed: true }),
            ("gemini-pro-latest", Family::Level { least: "low", signed: true }),
            ("something-else", Family::Level { least: "minimal", signed: false }),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }
}
