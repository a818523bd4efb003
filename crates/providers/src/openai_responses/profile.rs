//! What servers of the same protocol do differently, as data.

use std::borrow::Cow;

/// How one kind of server departs from the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    name: Cow<'static, str>,
    /// Whether items that go back are checked: reasoning must be encrypted or stored, and be followed by what it
    /// led to.
    pub(super) strict: bool,
    /// Whether the amount of reasoning can be given in tokens.
    pub(super) budget: bool,
    /// Whether stop sequences, a seed, `top_k` and the form of an answer are taken as Chat Completions has them,
    /// and the form in no other way.
    pub(super) chat_fields: bool,
    /// Whether reasoning goes back only in words.
    pub(super) worded: bool,
    /// Whether a model goes by a name of the caller's, which does not tell whether it reasons.
    pub(super) renamed: bool,
}

const GENERIC: Profile = Profile {
    name: Cow::Borrowed("generic"),
    strict: false,
    budget: false,
    chat_fields: false,
    worded: false,
    renamed: false,
};

impl Profile {
    /// Returns the profile of a server about which nothing special is known.
    pub fn generic() -> Self {
        GENERIC
    }

    /// Returns the profile of that name: `openai`, `azure`, `openrouter`, `xai`, `llamacpp`, `lmstudio` or
    /// `generic`.
    pub fn named(name: &str) -> Option<Self> {
        let profile = match name {
            "openai" => Self { strict: true, ..GENERIC },
            "azure" => Self { strict: true, renamed: true, ..GENERIC },
            "openrouter" => Self { budget: true, ..GENERIC },
            "llamacpp" => Self { chat_fields: true, worded: true, ..GENERIC },
            "xai" | "lmstudio" | "generic" => GENERIC,
            _ => return None,
        };
        Some(Self { name: Cow::Owned(name.to_owned()), ..profile })
    }

    /// Returns the profile of whoever is known to answer at this host, with or without port.
    pub fn for_host(host: &str) -> Self {
        let host = host.split(':').next().unwrap_or_default();
        let name = match host {
            "api.openai.com" => "openai",
            "openrouter.ai" => "openrouter",
            "api.x.ai" => "xai",
            azure if azure.ends_with(".openai.azure.com") || azure.ends_with(".services.ai.azure.com") => {
                "azure"
            }
            _ => "generic",
        };
        Self::named(name).unwrap_or(GENERIC)
    }

    /// Returns the profile's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}
