//! What servers of the same protocol do differently, as data.

use std::borrow::Cow;

/// How one kind of server departs from the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    name: Cow<'static, str>,
    pub(super) max_tokens: &'static str,
    pub(super) seed: &'static str,
    /// Whether `stream_options` is understood; where it is not, the usage comes unasked.
    pub(super) stream_options: bool,
    /// Whether there is a role below `system`.
    pub(super) developer: bool,
    pub(super) top_k: bool,
    pub(super) effort: Effort,
    pub(super) replay: Replay,
    /// Whether a message that only calls tools still needs its content, empty.
    pub(super) empty_content: bool,
    /// Whether message fields this version does not know may go back.
    pub(super) echo: bool,
    /// Whether tool call ids must be nine letters or digits.
    pub(super) short_ids: bool,
    /// Whether answers can be held to a schema; where they cannot, they are to be some JSON, and the schema is told.
    pub(super) schema: bool,
    pub(super) billing: Billing,
}

/// What the usage says of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Billing {
    /// Nothing that is understood.
    Silent,
    /// `cost` in dollars; with a key of one's own it is a fee beside `cost_details.upstream_inference_cost`.
    Dollars,
    /// `cost_in_usd_ticks`, ten thousand million to a dollar.
    Ticks,
}

/// How the amount of reasoning is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// `reasoning_effort`, a word.
    Word,
    /// `reasoning`, an object with `effort` or `max_tokens`.
    Object,
    /// `thinking`, an object that switches it on or off.
    Switch,
    /// Not at all.
    Unknown,
}

/// How earlier reasoning goes back to the provider that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replay {
    Never,
    /// As text in `reasoning_content`.
    Content,
    /// As `reasoning_details`, byte for byte.
    Details,
}

const GENERIC: Profile = Profile {
    name: Cow::Borrowed("generic"),
    max_tokens: "max_tokens",
    seed: "seed",
    stream_options: true,
    developer: false,
    top_k: false,
    effort: Effort::Word,
    replay: Replay::Never,
    empty_content: false,
    echo: true,
    short_ids: false,
    schema: true,
    billing: Billing::Silent,
};

impl Profile {
    /// Returns the profile of a server about which nothing special is known.
    pub fn generic() -> Self {
        GENERIC
    }

    /// Returns the profile of that name: `openai`, `azure`, `azure-early`, `openrouter`, `groq`, `deepseek`,
    /// `mistral`, `xai`, `llamacpp`, `vllm`, `lmstudio` or `generic`.
    pub fn named(name: &str) -> Option<Self> {
        let profile = match name {
            "openai" | "azure" => Self { max_tokens: "max_completion_tokens", developer: true, ..GENERIC },
            // What a dated address of before September 2024 takes.
            "azure-early" => Self { stream_options: false, effort: Effort::Unknown, ..GENERIC },
            "openrouter" => Self {
                top_k: true,
                effort: Effort::Object,
                replay: Replay::Details,
                billing: Billing::Dollars,
                ..GENERIC
            },
            "groq" => Self { echo: false, ..GENERIC },
            "deepseek" => Self {
                effort: Effort::Switch,
                replay: Replay::Content,
                empty_content: true,
                schema: false,
                ..GENERIC
            },
            "mistral" => Self {
                seed: "random_seed",
                stream_options: false,
                effort: Effort::Unknown,
                empty_content: true,
                echo: false,
                short_ids: true,
                ..GENERIC
            },
            "xai" => Self { echo: false, billing: Billing::Ticks, ..GENERIC },
            "llamacpp" => Self { top_k: true, effort: Effort::Unknown, replay: Replay::Content, ..GENERIC },
            "vllm" | "lmstudio" => Self { top_k: true, ..GENERIC },
            "generic" => GENERIC,
            _ => return None,
        };
        Some(Self { name: Cow::Owned(name.to_owned()), ..profile })
    }

    /// Returns the profile of whoever is known to answer at this host, with or without port.
    pub fn for_host(host: &str) -> Self {
        let host = host.split(':').next().unwrap_or_default();
        let name = match host {
            "api.openai.com" => "openai",
            azure
                if [".openai.azure.com", ".services.ai.azure.com"].iter().any(|end| azure.ends_with(end)) =>
            {
                "azure"
            }
            "openrouter.ai" => "openrouter",
            "api.groq.com" => "groq",
            "api.deepseek.com" => "deepseek",
            "api.mistral.ai" => "mistral",
            "api.x.ai" => "xai",
            _ => "generic",
        };
        Self::named(name).unwrap_or(GENERIC)
    }

    /// Returns the profile's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}
