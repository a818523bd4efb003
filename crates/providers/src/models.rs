//! The list of models as OpenAI gives it and every server compatible with it, whatever the protocol of answers.

use serde::Deserialize;
use serde_json::value::RawValue;

use aichat_message::ErrorKind;

use crate::classify;
use crate::driver::Page;
use crate::error::Error;
use crate::provider::Model;

/// Reads the list, which comes in one page.
///
/// # Errors
/// Fails with kind `decode`, or as an error inside the list says.
pub(crate) fn page(body: &str) -> Result<Page, Error> {
    let list: List<'_> = match serde_json::from_str(body.trim()) {
        Ok(list) => list,
        // Some servers give the bare array.
        Err(_) => List {
            data: Some(serde_json::from_str(body.trim()).map_err(|_| classify::not_json(body))?),
            error: None,
        },
    };
    match list.data {
        Some(models) => {
            Ok(Page { models: models.into_iter().filter_map(Entry::into_model).collect(), next: None })
        }
        None if list.error.is_some() => Err(classify::in_band(body)),
        None => Err(Error::new(ErrorKind::Decode, "the list of models has no data")),
    }
}

#[derive(Deserialize)]
struct List<'a> {
    data: Option<Vec<Entry>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    id: Option<String>,
    name: Option<String>,
    created: Option<f64>,
    owned_by: Option<String>,
    context_length: Option<u64>,
    max_context_length: Option<u64>,
    context_window: Option<u64>,
    max_model_len: Option<u64>,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    n_ctx: Option<u64>,
    n_ctx_train: Option<u64>,
}

impl Entry {
    fn into_model(self) -> Option<Model> {
        let meta = self.meta.and_then(|meta| meta.n_ctx.or(meta.n_ctx_train));
        let window =
            [self.context_length, self.max_context_length, self.context_window, self.max_model_len, meta];
        Some(Model {
            id: self.id?,
            name: self.name,
            context_window: window.into_iter().flatten().next(),
            created: self.created.map(|seconds| seconds as i64),
            owned_by: self.owned_by,
            ..Model::default()
        })
    }
}
