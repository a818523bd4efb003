//! Which model a text stands for, and which name was probably meant by a wrong one.

use std::fmt;

use aichat_catalog::Catalog;
use aichat_message::ErrorKind;

use crate::error::Error;
use crate::turn::ModelRef;

/// Most candidates named in one complaint.
const SHOWN: usize = 8;

/// Why a text stands for no model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unnamed {
    /// There is no such provider.
    Provider {
        /// What was taken for one.
        name: String,
        /// Which one was probably meant.
        near: Option<String>,
    },
    /// A provider is named and none of its models.
    Blank {
        /// The text.
        text: String,
        /// The provider.
        provider: String,
    },
    /// No known model has a name like that.
    Unknown {
        /// The text.
        text: String,
        /// Which one was probably meant.
        near: Option<ModelRef>,
    },
    /// It fits several models.
    Several {
        /// The text.
        text: String,
        /// All of them.
        models: Vec<ModelRef>,
    },
}

impl Unnamed {
    /// Says that there is no provider of that name among these.
    pub fn provider(name: &str, providers: &[&str]) -> Self {
        let near = nearest(name, providers.iter().copied()).map(str::to_owned);
        Self::Provider { name: name.to_owned(), near }
    }
}

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider { name, .. } => write!(f, "there is no provider named {name:?}"),
            Self::Blank { text, .. } => write!(f, "no model is named in {text:?}"),
            Self::Unknown { text, .. } => write!(f, "no known model matches {text:?}"),
            Self::Several { text, models } => {
                write!(f, "{text:?} fits {} models: ", models.len())?;
                let names: Vec<String> = models.iter().take(SHOWN).map(ToString::to_string).collect();
                f.write_str(&names.join(", "))?;
                if models.len() > SHOWN { f.write_str(", …") } else { Ok(()) }
            }
        }
    }
}

impl std::error::Error for Unnamed {}

impl From<Unnamed> for Error {
    fn from(why: Unnamed) -> Self {
        let (kind, hint) = match &why {
            Unnamed::Several { .. } => {
                (ErrorKind::Input, Some("write more of the name, or provider/model".to_owned()))
            }
            Unnamed::Provider { near, .. } => {
                (ErrorKind::NotFound, near.as_ref().map(|near| format!("did you mean {near:?}?")))
            }
            Unnamed::Unknown { near, .. } => {
                (ErrorKind::NotFound, near.as_ref().map(|near| format!("did you mean {near}?")))
            }
            Unnamed::Blank { .. } => (ErrorKind::NotFound, None),
        };
        Self::new(kind, why.to_string()).with_hint(hint)
    }
}

impl ModelRef {
    /// Returns the model that a text names in full, `provider/model` or `provider:model`; `None` where it is a part of a
    /// name, which [`meant`](Self::meant) looks for.
    ///
    /// What follows a provider's name is taken as it is, whether anybody knows it or not.
    ///
    /// # Errors
    /// Fails where there is no such provider, and where nothing follows its name.
    pub fn named(text: &str, providers: &[&str]) -> Result<Option<Self>, Unnamed> {
        for separator in [':', '/'] {
            if let Some((provider, model)) = text.split_once(separator)
                && providers.contains(&provider)
            {
                return match model.is_empty() {
                    true => Err(Unnamed::Blank { text: text.to_owned(), provider: provider.to_owned() }),
                    false => Ok(Some(Self::new(provider, model))),
                };
            }
        }
        match text.split_once('/') {
            Some((provider, _)) => Err(Unnamed::provider(provider, providers)),
            None => Ok(None),
        }
    }

    /// Returns the model whose name has a text in it: one that these providers serve and the catalogue lists, or the one
    /// that is asked where none is named. A name in full goes before a part of one, and its beginning before any other.
    ///
    /// # Errors
    /// Fails where no model fits, and where several do.
    pub fn meant(
        text: &str,
        providers: &[&str],
        default: Option<&Self>,
        catalog: &Catalog,
    ) -> Result<Self, Unnamed> {
        let mut all = Self::known(providers, default, catalog);
        let wanted = text.to_lowercase();
        // A name in full, an alias or a dated form included, is sent as it was written.
        let mut named: Vec<Self> =
            all.iter().filter(|one| one.model.eq_ignore_ascii_case(text)).cloned().collect();
        let aliased = direct(providers, catalog).filter(|name| catalog.model(name, &wanted).is_some());
        named.extend(aliased.map(|provider| Self::new(provider, text)));
        unique(&mut named);
        all.retain(|one| one.model.to_lowercase().contains(&wanted));
        // Who writes the beginning of a name means no name that only has it somewhere.
        let begins = |one: &Self| one.model.to_lowercase().starts_with(&wanted);
        if all.iter().any(begins) {
            all.retain(begins);
        }
        unique(&mut all);
        let mut found = if named.is_empty() { all } else { named };
        match found.len() {
            0 => {
                let known = Self::known(providers, default, catalog);
                let near = nearest(text, known.iter().map(|one| one.model.as_str()));
                let near = near.and_then(|near| known.iter().find(|one| one.model == near)).cloned();
                Err(Unnamed::Unknown { text: text.to_owned(), near })
            }
            1 => Ok(found.remove(0)),
            _ => Err(Unnamed::Several { text: text.to_owned(), models: found }),
        }
    }

    /// Returns the models of which a part of the name is enough, the one that is asked where none is named first.
    pub fn known(providers: &[&str], default: Option<&Self>, catalog: &Catalog) -> Vec<Self> {
        let direct: Vec<&str> = direct(providers, catalog).collect();
        let listed = catalog.names().filter(|(provider, _)| direct.contains(provider));
        let listed = listed.map(|(provider, id)| Self::new(provider, id));
        default.cloned().into_iter().chain(listed).collect()
    }
}

/// Returns the providers whose models need no naming of the provider. Routers know every model there is; who wants one
/// of theirs names the router.
fn direct<'a>(providers: &[&'a str], catalog: &Catalog) -> impl Iterator<Item = &'a str> {
    providers.iter().copied().filter(|name| !catalog.is_router(name))
}

fn unique(models: &mut Vec<ModelRef>) {
    let mut seen: Vec<String> = Vec::new();
    models.retain(|model| {
        let name = model.to_string().to_lowercase();
        let fresh = !seen.contains(&name);
        seen.push(name);
        fresh
    });
}

/// Returns the candidate that a text was probably meant to be, where one is near enough.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    let allowed = (text.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&text, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(text: &str) -> String {
        let providers = ["openai", "anthropic", "mistral", "openrouter", "ollama", "work"];
        let table = r#"{"date":"2026-01-01","entries":[{"provider":"work","id":"shed-model"}]}"#;
        let catalog = Catalog::builtin().with_json(table).unwrap();
        let default = ModelRef::new("work", "House-Model");
        let model = match ModelRef::named(text, &providers).transpose() {
            Some(named) => named,
            None => ModelRef::meant(text, &providers, Some(&default), &catalog),
        };
        match model.map_err(Error::from) {
            Ok(model) => model.to_string(),
            Err(error) => {
                let hint = error.hint().map(|hint| format!(" | {hint}")).unwrap_or_default();
                format!("{}: {error}{hint}", error.kind())
            }
        }
    }

    #[test]
    fn what_follows_a_provider_is_taken_as_it_is() {
        assert_eq!(choose("work/any/thing:latest"), "work/any/thing:latest");
        assert_eq!(choose("ollama:llama3:8b"), "ollama/llama3:8b");
        assert_eq!(choose("openrouter:meta/llama"), "openrouter/meta/llama");
        assert_eq!(choose("openai/gpt-9"), "openai/gpt-9");
    }

    #[test]
    fn part_of_a_name_is_enough_where_it_is_unique() {
        assert_eq!(choose("house"), "work/House-Model");
        assert_eq!(choose("shed"), "work/shed-model", "what a table of one's own names counts");
        assert_eq!(choose("gpt-4o"), "openai/gpt-4o");
        assert_eq!(choose("GPT-4o-2024-08-06"), "openai/GPT-4o-2024-08-06");
        assert_eq!(choose("codestral-25"), "mistral/codestral-2508");
    }

    #[test]
    fn complaints_say_what_was_probably_meant() {
        let all = ["haiku-", "gtp-4o", "opnai/gpt-4o", "zzzzzz", "openai/"].map(choose).join("\n");
        insta::assert_snapshot!(all, @r#"
        input: "haiku-" fits 3 models: anthropic/claude-3-5-haiku-latest, anthropic/claude-haiku-4-5, anthropic/claude-haiku-5-5 | write more of the name, or provider/model
        not_found: no known model matches "gtp-4o" | did you mean openai/gpt-4o?
        not_found: there is no provider named "opnai" | did you mean "openai"?
        not_found: no known model matches "zzzzzz"
        not_found: no model is named in "openai/"
        "#);
    }
}
