//! A request in the one vocabulary that every adapter translates from.

use serde::{Deserialize, Serialize};

use aichat_message::{Extra, Json, Message, ToolSpec};

/// What is asked of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The model, as the provider names it.
    pub model: String,
    /// The conversation, system messages included, oldest first.
    pub messages: Vec<Message>,
    /// The tools the model may call.
    #[serde(default)]
    pub tools: Vec<ToolSpec>,
    /// Which of them it may or must call; the provider's default where absent.
    #[serde(default)]
    pub tool_choice: Option<ToolChoice>,
    /// What form the answer must have; free text where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// Sampling and limits.
    #[serde(default)]
    pub options: Options,
    /// Whether the answer is streamed. Either way it arrives as the same deltas.
    pub stream: bool,
}

impl Request {
    /// Returns a streamed request of these messages with nothing else set.
    pub fn new(model: impl Into<String>, messages: Vec<Message>) -> Self {
        Self {
            model: model.into(),
            messages,
            tools: Vec::new(),
            tool_choice: None,
            output: None,
            options: Options::default(),
            stream: true,
        }
    }
}

/// Which tools a model may or must call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Tool(String),
}

/// What form an answer must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Output {
    /// Any JSON object.
    Json,
    /// JSON that a schema describes.
    Schema {
        /// A name for it: letters, digits, `_` and `-`, at most 64.
        name: String,
        /// The JSON Schema.
        schema: Json,
        /// Whether the provider shall enforce every word of it; its own default where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

/// Sampling and limits; what is `None` is not sent. The names mean the same for every protocol.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Most tokens the answer may have, reasoning included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Sampling temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Most candidates per token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Seed of the sampling, where the provider can repeat itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// How much to reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning>,
    /// Fields passed to the provider as they are.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub other: Extra,
}

impl Options {
    /// Returns these options, and those of `base` where these say nothing.
    #[must_use]
    pub fn or(self, base: &Self) -> Self {
        let mut other = base.other.clone();
        self.other.iter().for_each(|(name, value)| other.set(name, value.clone()));
        Self {
            max_tokens: self.max_tokens.or(base.max_tokens),
            temperature: self.temperature.or(base.temperature),
            top_p: self.top_p.or(base.top_p),
            top_k: self.top_k.or(base.top_k),
            stop: if self.stop.is_empty() { base.stop.clone() } else { self.stop },
            seed: self.seed.or(base.seed),
            reasoning: self.reasoning.or_else(|| base.reasoning.clone()),
            other,
        }
    }
}

/// How much to reason before answering.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reasoning {
    /// Not at all.
    None,
    /// A little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// At most so many tokens.
    Tokens(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_go_before_those_they_are_based_on() {
        let options = |text: &str| serde_json::from_str::<Options>(text).unwrap();
        let base = options(r#"{"max_tokens":9,"temperature":0.5,"stop":["a"],"other":{"n":1,"user":"me"}}"#);
        let given = options(r#"{"temperature":0.0,"seed":3,"other":{"n":2}}"#);
        let both = r#"{"max_tokens":9,"temperature":0.0,"stop":["a"],"seed":3,"other":{"n":2,"user":"me"}}"#;
        assert_eq!(given.or(&base), options(both));
        assert_eq!(Options::default().or(&base), base);
    }
}
