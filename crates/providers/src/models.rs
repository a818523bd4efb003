//! The list of models as OpenAI gives it and every server compatible with it, whatever the protocol of answers.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use aichat_message::ErrorKind;

use crate::classify;
use crate::driver::Page;
use crate::error::Error;
use crate::provider::Model;
use crate::scalar::count;

/// Reads the list, which comes in one page. An entry without an id is left out; a field that is not what it
/// should be is not known.
///
/// # Errors
/// Fails with kind `decode`, or as an error inside the list says.
pub(crate) fn page(body: &str) -> Result<Page, Error> {
    let body = body.trim();
    // Some servers give the bare array.
    let list = match body.starts_with('[') {
        true => List {
            data: Some(serde_json::from_str(body).map_err(|_| classify::not_json(body))?),
            error: None,
        },
        false => serde_json::from_str(body).map_err(|_| classify::not_json(body))?,
    };
    let entries: Option<Vec<&RawValue>> = list.data.and_then(|data| serde_json::from_str(data.get()).ok());
    match entries {
        Some(entries) => Ok(Page { models: entries.into_iter().filter_map(model).collect(), next: None }),
        None if list.error.is_some() => Err(classify::in_band(body)),
        None => Err(Error::new(ErrorKind::Decode, "the list of models has no data")),
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

fn model(entry: &RawValue) -> Option<Model> {
    let entry: Value = serde_json::from_str(entry.get()).ok()?;
    let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let number = |places: &[&str]| places.iter().find_map(|at| count(entry.pointer(at)?.as_f64()));
    let can = |name: &str| entry["capabilities"][name].as_bool();
    let lists = |at: &str, name: &str| Some(entry.pointer(at)?.as_array()?.iter().any(|one| one == name));
    Some(Model {
        id: text("id")?,
        name: text("name"),
        context_window: number(&[
            "/context_length",
            "/max_context_length",
            "/context_window",
            "/max_model_len",
            "/meta/n_ctx",
            "/meta/n_ctx_train",
        ]),
        output_limit: number(&["/top_provider/max_completion_tokens", "/max_completion_tokens"]),
        tools: lists("/supported_parameters", "tools").or_else(|| can("function_calling")),
        images: lists("/architecture/input_modalities", "image").or_else(|| can("vision")),
        reasoning: lists("/supported_parameters", "reasoning").or_else(|| can("reasoning")),
        created: entry["created"].as_f64().map(|seconds| seconds as i64),
        owned_by: text("owned_by"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_entry_costs_no_other() {
        let models = page(
            r#"{"data":[null, 7, {"name":"no id"}, {"id":null}, {"id":"half","name":"\ud83d"},
                {"id":"a","created":"today","owned_by":7,"context_length":4096.0,"meta":[]},
                {"id":"b","context_length":-1,"context_window":9e99,"max_model_len":8}]}"#,
        );
        let models = models.unwrap().models;
        let a = Model { id: "a".into(), context_window: Some(4096), ..Model::default() };
        let b = Model { id: "b".into(), context_window: Some(8), ..Model::default() };
        assert_eq!(models, [a, b]);
        assert_eq!(page(r#" [{"id":"a"}, "b"]"#).unwrap().models.len(), 1);
    }

    #[test]
    fn what_is_no_list_says_why() {
        assert_eq!(page(r#"{"error":{"message":"no","code":401}}"#).unwrap_err().message(), "no");
        for body in [r#"{"data":{}}"#, r#"{"data":null}"#, "{}"] {
            assert_eq!(page(body).unwrap_err().message(), "the list of models has no data", "{body}");
        }
        for body in ["[7", "<html>", ""] {
            assert_eq!(page(body).unwrap_err().kind(), classify::not_json(body).kind(), "{body}");
        }
    }

    #[test]
    fn what_a_model_can_do_is_read_where_it_is_said() {
        let models = page(
            r#"{"data":[
                {"id":"a","top_provider":{"max_completion_tokens":512},"architecture":{"input_modalities":["text","image"]},
                    "supported_parameters":["tools","seed"]},
                {"id":"b","max_completion_tokens":64,"capabilities":{"function_calling":false,"vision":true}}]}"#,
        );
        let models = models.unwrap().models;
        let said = |model: &Model| (model.output_limit, model.tools, model.images, model.reasoning);
        assert_eq!(said(&models[0]), (Some(512), Some(true), Some(true), Some(false)));
        assert_eq!(said(&models[1]), (Some(64), Some(false), Some(true), None));
    }
}
