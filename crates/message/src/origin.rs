//! Where a message came from: provider, protocol, model.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which provider made a message, over which protocol, with which model.
///
/// Opaque data goes back only to the origin it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The name the provider is configured under.
    pub provider: String,
    /// The wire protocol spoken.
    pub protocol: Protocol,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// The provider's id of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
}

/// A wire protocol, in the words that the configuration uses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// OpenAI Chat Completions and the servers compatible with it.
    OpenaiChat,
    /// OpenAI Responses.
    OpenaiResponses,
    /// Anthropic Messages.
    Anthropic,
    /// Google Gemini's `generateContent`.
    Gemini,
    /// Chat Completions on Azure OpenAI.
    AzureChat,
    /// Responses on Azure OpenAI.
    AzureResponses,
    /// Ollama's native protocol.
    Ollama,
    /// A protocol this version does not name.
    Other(Box<str>),
}

impl Protocol {
    /// Returns the protocol as it is written in configuration and events.
    pub fn as_str(&self) -> &str {
        match self {
            Self::OpenaiChat => "openai-chat",
            Self::OpenaiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::AzureChat => "azure-chat",
            Self::AzureResponses => "azure-responses",
            Self::Ollama => "ollama",
            Self::Other(name) => name,
        }
    }
}

impl FromStr for Protocol {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "openai-chat" => Self::OpenaiChat,
            "openai-responses" => Self::OpenaiResponses,
            "anthropic" => Self::Anthropic,
            "gemini" => Self::Gemini,
            "azure-chat" => Self::AzureChat,
            "azure-responses" => Self::AzureResponses,
            "ollama" => Self::Ollama,
            other => Self::Other(other.into()),
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let Ok(protocol) = text.parse::<Self>();
        Ok(protocol)
    }
}
