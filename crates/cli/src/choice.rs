//! Which model a text stands for, and what this command line advises where it stands for none.

use aichat_catalog::Catalog;
use aichat_engine::{Error, ModelRef, Unnamed};

use crate::directory::Directory;
use crate::failure::Failure;

/// Finds the model that `text` stands for: `provider/model`, `provider:model`, or a part of a known name. The catalogue
/// is asked for parts only.
///
/// # Errors
/// Fails with kind `not_found` where nothing fits, with kind `input` where several models do, and as `catalog` does.
pub(crate) fn model(
    text: &str,
    directory: &Directory,
    default: Option<&ModelRef>,
    catalog: impl FnOnce() -> Result<Catalog, Failure>,
) -> Result<ModelRef, Failure> {
    let providers = directory.names();
    let model = match ModelRef::named(text, &providers) {
        Ok(Some(named)) => Ok(named),
        Ok(None) => ModelRef::meant(text, &providers, default, &catalog()?),
        Err(why) => Err(why),
    };
    model.map_err(Failure::from)
}

impl From<Unnamed> for Failure {
    fn from(why: Unnamed) -> Self {
        let hint = match &why {
            Unnamed::Provider { near: None, .. } => "`aichat providers list` shows the providers".to_owned(),
            Unnamed::Blank { provider, .. } => {
                format!("`aichat models list {provider}` lists what {provider} offers")
            }
            Unnamed::Unknown { near: None, .. } => {
                "write it as provider/model; `aichat models list --known` lists the known ones".to_owned()
            }
            _ => return Self::from(Error::from(why)),
        };
        Self::from(Error::from(why)).hint(hint)
    }
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
    fn a_model_is_one_of_a_provider_that_is_set_up_or_known() {
        assert_eq!(choose("work/any/thing:latest"), "work/any/thing:latest");
        assert_eq!(choose("house"), "work/House-Model");
        assert_eq!(choose("shed"), "work/shed-model", "what a table of one's own names counts");
        assert_eq!(choose("gpt-4o"), "openai/gpt-4o");
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
