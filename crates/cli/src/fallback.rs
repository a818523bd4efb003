//! Which model is used where nobody named one: a provider with a key, a server of one's own, or one that is found
//! running on this machine.

use std::time::Duration;

use aichat_engine::ModelRef;
use aichat_message::ErrorKind;
use futures::future::join_all;

use crate::assemble::{Providers, Timeouts};
use crate::directory::{Directory, Entry};
use crate::failure::Failure;
use crate::talk::Talk;

/// Longest wait for a server on this machine to say which models it has.
const PROBE: Duration = Duration::from_millis(500);

/// Chooses a model, and says so.
///
/// # Errors
/// Fails with kind `auth` where no key and no server is to be found, and as the provider does where one is
/// configured and does not say which models it has.
pub(crate) async fn choose(
    providers: &Providers,
    directory: &Directory,
    talk: &Talk,
) -> Result<ModelRef, Failure> {
    for entry in directory.entries().iter().filter(|entry| !entry.base_url.is_empty()) {
        let ready = entry.configured && !entry.needs_key || providers.has_key(entry)?;
        if !ready {
            continue;
        }
        let model = match &entry.default_model {
            Some(model) => model.clone(),
            None => first_model(providers, entry).await?,
        };
        let model = ModelRef::new(&*entry.name, model);
        talk.note(&format!("no model is named; using {model}"));
        return Ok(model);
    }
    let local: Vec<&Entry> =
        directory.entries().iter().filter(|entry| entry.local && !entry.configured).collect();
    let hurried =
        providers.within(Timeouts { connect: Some(PROBE), first_byte: Some(PROBE), idle: Some(PROBE) });
    let answers = join_all(local.iter().map(|entry| first_model(&hurried, entry))).await;
    let found = local.iter().zip(answers).find_map(|(entry, model)| Some((entry, model.ok()?)));
    let Some((entry, model)) = found else {
        let failure = Failure::new(
            ErrorKind::Auth,
            "no key and no server is configured, and none runs on this machine",
        );
        return Err(failure.hint(
            "set OPENAI_API_KEY, run `aichat keys set openai`, start Ollama, or name a model with -m provider/model",
        ));
    };
    let model = ModelRef::new(&*entry.name, model);
    talk.note(&format!("no key and no server is configured; using {model} at {}", entry.place()));
    Ok(model)
}

async fn first_model(providers: &Providers, entry: &Entry) -> Result<String, Failure> {
    let models = providers.find(entry).await?.models().await.map_err(aichat_engine::Error::from)?;
    models.into_iter().next().map(|model| model.id).ok_or_else(|| {
        Failure::new(ErrorKind::NotFound, format!("{} offers no model", entry.name))
            .hint("name one with -m provider/model")
    })
}
