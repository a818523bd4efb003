//! Which model a text stands for, and which name was probably meant by a wrong one.

use aichat_catalog::Catalog;
use aichat_engine::ModelRef;
use aichat_message::ErrorKind;

use crate::directory::Directory;
use crate::failure::Failure;

/// Most candidates named in one complaint.
const SHOWN: usize = 8;

/// Finds the model that `text` stands for: `provider/model`, `provider:model`, or a part of a known name.
///
/// What follows a provider's name is taken as it is, listed or not; the catalogue is asked for parts only.
///
/// # Errors
/// Fails with kind `not_found` where nothing fits, with kind `input` where several models do, and as `catalog` does.
pub(crate) fn model(
    text: &str,
    directory: &Directory,
    default: Option<&ModelRef>,
    catalog: impl FnOnce() -> Result<Catalog, Failure>,
) -> Result<ModelRef, Failure> {
    for separator in [':', '/'] {
        if let Some((provider, model)) = text.split_once(separator)
            && directory.get(provider).is_some()
        {
            return match model.is_empty() {
                true => Err(Failure::new(ErrorKind::NotFound, format!("no model is named in {text:?}"))
                    .hint(format!("`aichat models list {provider}` lists what {provider} offers"))),
                false => Ok(ModelRef::new(provider, model)),
            };
        }
    }
    if let Some((provider, _)) = text.split_once('/') {
        return Err(directory.find(provider).err().unwrap_or_else(|| unknown(text, &[])));
    }
    let catalog = catalog()?;
    let meant = meant(directory, &catalog);
    let mut all = known(directory, default, &catalog);
    let wanted = text.to_lowercase();
    // A name in full, an alias or a dated form included, is sent as it was written.
    let mut named: Vec<ModelRef> =
        all.iter().filter(|one| one.model.eq_ignore_ascii_case(text)).cloned().collect();
    let aliased = meant.iter().filter(|provider| catalog.model(provider, &wanted).is_some());
    named.extend(aliased.map(|provider| ModelRef::new(*provider, text)));
    unique(&mut named);
    all.retain(|one| one.model.to_lowercase().contains(&wanted));
    // Who writes the beginning of a name means no name that only has it somewhere.
    let begins = |one: &ModelRef| one.model.to_lowercase().starts_with(&wanted);
    if all.iter().any(begins) {
        all.retain(begins);
    }
    unique(&mut all);
    let found = if named.is_empty() { all } else { named };
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let known = known(directory, default, &catalog);
            Err(unknown(text, &known.iter().map(ModelRef::to_string).collect::<Vec<_>>()))
        }
        several => {
            let mut names: Vec<String> = several.iter().take(SHOWN).map(ToString::to_string).collect();
            if several.len() > SHOWN {
                names.push("…".to_owned());
            }
            let what = format!("{text:?} fits {} models: {}", several.len(), names.join(", "));
            Err(Failure::new(ErrorKind::Input, what).hint("write more of the name, or provider/model"))
        }
    }
}

/// Returns the models of which a part of the name is enough, the default first.
pub(crate) fn known(directory: &Directory, default: Option<&ModelRef>, catalog: &Catalog) -> Vec<ModelRef> {
    let meant = meant(directory, catalog);
    let listed = catalog.names().filter(|(provider, _)| meant.contains(provider));
    let listed = listed.map(|(provider, id)| ModelRef::new(provider, id));
    default.cloned().into_iter().chain(listed).collect()
}

/// Returns the providers whose models need no naming of the provider. Routers know every model there is; who wants one
/// of theirs names the router.
fn meant<'a>(directory: &'a Directory, catalog: &Catalog) -> Vec<&'a str> {
    let names = directory.entries().iter().map(|entry| entry.name.as_str());
    names.filter(|name| !catalog.is_router(name)).collect()
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

fn unknown(text: &str, names: &[String]) -> Failure {
    let bare = |name| str::split_once(name, '/').map_or(name, |(_, model)| model);
    let near = nearest(text, names.iter().map(|name| bare(name)));
    let near = near.and_then(|near| names.iter().find(|name| bare(name) == near));
    let failure = Failure::new(ErrorKind::NotFound, format!("no known model matches {text:?}"));
    match near {
        Some(name) => failure.hint(format!("did you mean {name}?")),
        None => failure.hint("write it as provider/model; `aichat models list --known` lists the known ones"),
    }
}

/// Returns the candidate that `text` was probably meant to be.
pub(crate) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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
    use crate::config::Config;
    use crate::env::Env;

    fn choose(text: &str) -> String {
        let config = Config::parse(
            "[providers.work]\nprotocol = \"openai-chat\"\nbase_url = \"http://x\"",
            std::path::Path::new("aichat.toml"),
        );
        let Ok(directory) = config.and_then(|config| Directory::of(&config, &Env::of([]))) else {
            panic!("directory")
        };
        let table = r#"{"date":"2026-01-01","entries":[{"provider":"work","id":"shed-model"}]}"#;
        let catalog = || Ok(Catalog::builtin().with_json(table).expect("a table"));
        match model(text, &directory, Some(&ModelRef::new("work", "House-Model")), catalog) {
            Ok(model) => model.to_string(),
            Err(Failure::Error(report)) => {
                format!("{}: {} | {}", report.kind, report.message, report.hint.unwrap_or_default())
            }
            Err(_) => panic!("nobody stopped it"),
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
    fn complaints_help() {
        let all = ["haiku-", "gtp-4o", "opnai/gpt-4o", "zzzzzz", "openai/"].map(choose).join("\n");
        insta::assert_snapshot!(all, @r#"
        input: "haiku-" fits 3 models: anthropic/claude-3-5-haiku-latest, anthropic/claude-haiku-4-5, anthropic/claude-haiku-5-5 | write more of the name, or provider/model
        not_found: no known model matches "gtp-4o" | did you mean openai/gpt-4o?
        not_found: there is no provider named "opnai" | did you mean "openai"?
        not_found: no known model matches "zzzzzz" | write it as provider/model; `aichat models list --known` lists the known ones
        not_found: no model is named in "openai/" | `aichat models list openai` lists what openai offers
        "#);
    }
}
