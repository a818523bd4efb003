//! What each generation of models takes, as data.
//!
//! Sources: the provider's list of models, which names the ways of thinking, the efforts and the limits of
//! each, <https://platform.claude.com/docs/en/about-claude/models/migration-guide>, and
//! <https://platform.claude.com/docs/en/models/opus-5-5/whats-new-opus-5-5>.

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    /// Most tokens an answer of any model of this generation may have, reasoning included.
    pub(super) output_limit: u64,
    pub(super) thinking: Thinking,
    /// How thinking is switched off.
    pub(super) off: Off,
    pub(super) sampling: Sampling,
    /// Whether it can be held to a JSON Schema.
    pub(super) schema: bool,
    /// Whether it continues an answer that the conversation ends with.
    pub(super) prefill: bool,
    /// Whether a tool call can be demanded of it.
    pub(super) forced: bool,
    /// Whether its reasoning is its own: it takes none of another model, and none takes its.
    pub(super) bound: bool,
}

/// How a model is told to reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// It does not.
    No,
    /// With a budget of tokens.
    Budget,
    /// With a budget, or with an effort and as it sees fit.
    Either,
    /// With an effort and as it sees fit; its thoughts are left out unless they are asked for.
    Effort,
}

/// How a model is told not to reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Off {
    /// By saying nothing.
    Silence,
    /// In so many words.
    Word,
    /// It always reasons.
    Never,
}

/// Which of `temperature`, `top_p` and `top_k` a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    /// All.
    Free,
    /// `temperature` or `top_p`, not both.
    One,
    /// None.
    Fixed,
}

/// What the first models took.
const FIRST: Profile = Profile {
    output_limit: 4096,
    thinking: Thinking::No,
    off: Off::Silence,
    sampling: Sampling::Free,
    schema: false,
    prefill: true,
    forced: true,
    bound: false,
};

/// Since which version models are as the row says; a model is as the last row that is not newer.
const GENERATIONS: &[((u32, u32), Profile)] = &[
    ((0, 0), FIRST),
    ((3, 5), Profile { output_limit: 8192, ..FIRST }),
    ((3, 7), Profile { output_limit: 64_000, ..BUDGET }),
    ((4, 0), Profile { output_limit: 32_000, ..BUDGET }),
    ((4, 1), Profile { output_limit: 32_000, sampling: Sampling::One, schema: true, ..BUDGET }),
    ((4, 5), Profile { output_limit: 64_000, sampling: Sampling::One, schema: true, ..BUDGET }),
    ((4, 6), Profile { thinking: Thinking::Either, sampling: Sampling::One, ..EFFORT }),
    ((4, 7), EFFORT),
    ((5, 0), Profile { off: Off::Word, ..EFFORT }),
    ((5, 5), Profile { off: Off::Never, forced: false, bound: true, ..EFFORT }),
];

const BUDGET: Profile = Profile { thinking: Thinking::Budget, ..FIRST };

const EFFORT: Profile = Profile {
    output_limit: 128_000,
    thinking: Thinking::Effort,
    sampling: Sampling::Fixed,
    schema: true,
    prefill: false,
    ..FIRST
};

/// Families that reason in every answer.
const ALWAYS: [&str; 2] = ["fable", "mythos"];

/// Since which version no tool call can be demanded of those.
const UNFORCED: (u32, u32) = (5, 1);

/// What is taken to hold for models of others who speak this protocol.
const OTHERS: Profile = Profile {
    output_limit: 32_000,
    thinking: Thinking::Budget,
    off: Off::Word,
    sampling: Sampling::Free,
    schema: true,
    prefill: true,
    forced: true,
    bound: false,
};

impl Profile {
    /// Returns what a model takes, by its name, whichever platform writes it.
    pub(super) fn of(model: &str) -> Self {
        let model = model.to_ascii_lowercase();
        let Some((_, name)) = model.split_once("claude") else { return OTHERS };
        let version = version(name);
        let profile = match version {
            Some(version) => {
                let row = GENERATIONS.iter().rfind(|(since, _)| *since <= version);
                row.map_or(FIRST, |(_, profile)| *profile)
            }
            // A name without a version stands for the newest.
            None => EFFORT,
        };
        match ALWAYS.iter().any(|family| name.contains(family)) {
            true => {
                let forced = profile.forced && version.is_none_or(|version| version < UNFORCED);
                Self { off: Off::Never, forced, bound: true, ..profile }
            }
            false => profile,
        }
    }
}

/// Tells whether a model takes the reasoning of another, which may be itself by another of its names.
pub(super) fn shares_reasoning(model: &str, other: &str) -> bool {
    // Without date, and without what platforms put around it.
    fn words(model: &str) -> Vec<String> {
        let name = model.to_ascii_lowercase();
        let name = name.split_once("claude").map_or(&*name, |(_, name)| name);
        let is_date = |word: &str| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit());
        let is_edition = |word: &str| word.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok());
        let words = name.split(|c: char| !c.is_ascii_alphanumeric()).take_while(|word| !is_edition(word));
        words.filter(|word| !word.is_empty() && !is_date(word)).map(str::to_owned).collect()
    }
    let is_bound = Profile::of(model).bound || Profile::of(other).bound;
    !is_bound || words(model) == words(other)
}

/// Returns the version in what follows `claude`: `-opus-4-6-v1`, `-3-7-sonnet-20250219`, `-haiku-4.5`.
fn version(name: &str) -> Option<(u32, u32)> {
    // A longer number is a date.
    let number = |word: &str| word.parse::<u32>().ok().filter(|_| word.len() <= 2);
    let mut words =
        name.split(|c: char| !c.is_ascii_alphanumeric()).skip_while(|word| number(word).is_none());
    let major = number(words.next()?)?;
    Some((major, words.next().and_then(number).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_every_spelling() {
        let cases = [
            ("-opus-5", Some((5, 0))),
            ("-sonnet-4-20250514", Some((4, 0))),
            ("-3-7-sonnet-20250219", Some((3, 7))),
            ("-haiku-4.5", Some((4, 5))),
            ("-opus-4-6-v1:0", Some((4, 6))),
            ("-opus-4-1@20250805", Some((4, 1))),
            ("-mythos-preview", None),
            ("", None),
        ];
        for (name, want) in cases {
            assert_eq!(version(name), want, "{name}");
        }
    }

    #[test]
    fn reasoning_that_is_bound_stays_with_its_model() {
        for (model, other, shares) in [
            ("claude-sonnet-4-6", "claude-opus-4-5-20251101", true),
            ("claude-fable-5", "claude-fable-5-20260609", true),
            ("us.anthropic.claude-opus-5-5-v1:0", "claude-opus-5-5", true),
            ("anthropic/claude-opus-5.5", "claude-opus-5-5@20260922", true),
            ("claude-fable-5-1", "claude-fable-5", false),
            ("claude-opus-5", "claude-mythos-5", false),
            ("claude-opus-5-5", "claude-opus-5", false),
        ] {
            assert_eq!(shares_reasoning(model, other), shares, "{model} {other}");
            assert_eq!(shares_reasoning(other, model), shares, "{other} {model}");
        }
    }

    #[test]
    fn the_generations_are_as_the_list_of_models_says() {
        use Thinking::{Budget, Effort, Either, No};
        let cases = [
            ("claude-opus-5", Effort, 128_000, Off::Word),
            ("claude-fable-5", Effort, 128_000, Off::Never),
            ("claude-opus-5-5", Effort, 128_000, Off::Never),
            ("claude-opus-4-8", Effort, 128_000, Off::Silence),
            ("us.anthropic.claude-opus-4-7", Effort, 128_000, Off::Silence),
            ("claude-sonnet-4-6", Either, 128_000, Off::Silence),
            ("claude-opus-4-5-20251101", Budget, 64_000, Off::Silence),
            ("anthropic/claude-haiku-4.5", Budget, 64_000, Off::Silence),
            ("claude-opus-4-1-20250805", Budget, 32_000, Off::Silence),
            ("claude-3-haiku-20240307", No, 4096, Off::Silence),
            ("Claude-Mythos-Preview", Effort, 128_000, Off::Never),
            ("smollm2", Budget, 32_000, Off::Word),
        ];
        for (model, thinking, limit, off) in cases {
            let profile = Profile::of(model);
            assert_eq!(
                (profile.thinking, profile.output_limit, profile.off),
                (thinking, limit, off),
                "{model}"
            );
        }
    }
}
