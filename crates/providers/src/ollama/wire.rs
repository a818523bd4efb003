//! The JSON of an answer, as it is on the wire: everything optional, what is kept borrowed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use aichat_message::{Arguments, ErrorKind, Extra, Json, Usage};

use crate::classify;
use crate::driver::Page;
use crate::error::Error;
use crate::provider::Model;

/// Begins the name of a kept field of a call's function.
pub(super) const FUNCTION: &str = "function.";

/// One line of a stream, or a whole answer.
#[derive(Debug, Default)]
pub(super) struct Line<'a> {
    pub(super) model: Option<String>,
    pub(super) message: Option<Said<'a>>,
    pub(super) done: bool,
    pub(super) done_reason: Option<String>,
    pub(super) error: Option<&'a RawValue>,
    /// Token counts and durations in nanoseconds, in the order they came in.
    pub(super) counters: Extra,
    pub(super) unknown: Vec<(String, &'a RawValue)>,
}

/// What one line adds to the message.
#[derive(Debug, Default)]
pub(super) struct Said<'a> {
    pub(super) content: Option<String>,
    pub(super) thinking: Option<String>,
    pub(super) tool_calls: Vec<ToolCall<'a>>,
    pub(super) unknown: Vec<(String, &'a RawValue)>,
}

/// A tool call, which always comes whole.
#[derive(Debug, Default)]
pub(super) struct ToolCall<'a> {
    pub(super) id: Option<String>,
    pub(super) function: Function<'a>,
    pub(super) unknown: Vec<(String, &'a RawValue)>,
}

#[derive(Debug, Default)]
pub(super) struct Function<'a> {
    pub(super) name: Option<String>,
    pub(super) arguments: Option<&'a RawValue>,
    pub(super) unknown: Vec<(String, &'a RawValue)>,
}

impl ToolCall<'_> {
    /// Returns the arguments as they came; servers that give the text of the object are understood.
    pub(super) fn arguments(&self) -> Arguments {
        match self.function.arguments.map_or("", RawValue::get) {
            "null" => "".into(),
            text if text.starts_with('"') => serde_json::from_str::<String>(text).unwrap_or_default().into(),
            object => object.into(),
        }
    }

    /// Returns the fields that have no place in a part.
    pub(super) fn extra(&self) -> Extra {
        let of_call = self.unknown.iter().map(|(name, value)| (name.clone(), keep(value)));
        let of_function =
            self.function.unknown.iter().map(|(name, value)| (format!("{FUNCTION}{name}"), keep(value)));
        of_call.chain(of_function).collect()
    }
}

/// Returns a raw value to be kept.
pub(super) fn keep(value: &RawValue) -> Json {
    Json::from_raw(value.to_owned())
}

/// Something read from an object field by field, what it does not know included.
trait Fields<'de>: Default {
    const EXPECTING: &'static str;

    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

fn read<'de, T: Fields<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    /// A field's name; borrowed where it has no escapes.
    #[derive(Deserialize)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

    struct Object<T>(PhantomData<T>);

    impl<'de, T: Fields<'de>> Visitor<'de> for Object<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTING)
        }
        fn visit_unit<E>(self) -> Result<T, E> {
            Ok(T::default())
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
            let mut value = T::default();
            while let Some(name) = map.next_key::<Name<'de>>()? {
                value.field(&name.0, &mut map)?;
            }
            Ok(value)
        }
    }

    deserializer.deserialize_any(Object(PhantomData))
}

/// Notes a field that no struct here names, unless it says nothing.
fn note<'de, A: MapAccess<'de>>(
    unknown: &mut Vec<(String, &'de RawValue)>,
    name: &str,
    map: &mut A,
) -> Result<(), A::Error> {
    let value: &RawValue = map.next_value()?;
    if !matches!(value.get(), "null" | "[]" | "{}" | "\"\"") {
        unknown.push((name.to_owned(), value));
    }
    Ok(())
}

impl<'de> Fields<'de> for Line<'de> {
    const EXPECTING: &'static str = "an answer";

    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "model" => self.model = map.next_value()?,
            "message" => self.message = map.next_value()?,
            "done" => self.done = map.next_value::<Option<bool>>()?.unwrap_or(false),
            "done_reason" => self.done_reason = map.next_value()?,
            "error" => self.error = map.next_value()?,
            // The time, which the log knows; and one entry per token, only on request, which the wire journal has.
            "created_at" | "logprobs" => drop(map.next_value::<IgnoredAny>()?),
            counter if counter.ends_with("_count") || counter.ends_with("_duration") => {
                self.counters.push(name, keep(map.next_value()?));
            }
            _ => note(&mut self.unknown, name, map)?,
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Said<'de> {
    const EXPECTING: &'static str = "a message";

    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "role" => drop(map.next_value::<IgnoredAny>()?),
            "content" => self.content = map.next_value()?,
            "thinking" => self.thinking = map.next_value()?,
            "tool_calls" => {
                self.tool_calls = map.next_value::<Option<Vec<ToolCall<'de>>>>()?.unwrap_or_default();
            }
            _ => note(&mut self.unknown, name, map)?,
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for ToolCall<'de> {
    const EXPECTING: &'static str = "a tool call";

    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => self.id = map.next_value()?,
            "function" => self.function = map.next_value()?,
            "type" => drop(map.next_value::<IgnoredAny>()?),
            _ => note(&mut self.unknown, name, map)?,
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Function<'de> {
    const EXPECTING: &'static str = "a function";

    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "name" => self.name = map.next_value()?,
            "arguments" => self.arguments = map.next_value()?,
            // Counts the calls of an answer, as their order does.
            "index" => drop(map.next_value::<IgnoredAny>()?),
            _ => note(&mut self.unknown, name, map)?,
        }
        Ok(())
    }
}

macro_rules! read_by_field {
    ($($name:ident)*) => {$(
        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read::<$name<'de>, D>(deserializer)
            }
        }
    )*};
}

read_by_field!(Line Said ToolCall Function);

/// Returns the counts of a last line; none where it has no counters. Servers leave out a count of zero as well as
/// one they do not know, so what is missing is not known.
pub(super) fn usage(counters: Extra) -> Option<Usage> {
    if counters.is_empty() {
        return None;
    }
    let count = |name| counters.get(name).and_then(|count| count.to::<u64>().ok());
    Some(Usage {
        input_tokens: count("prompt_eval_count"),
        output_tokens: count("eval_count"),
        raw: Json::from_value(&counters).ok(),
        ..Usage::default()
    })
}

#[derive(Deserialize)]
struct Tags<'a> {
    models: Option<Vec<Tag>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Tag {
    model: Option<String>,
    name: Option<String>,
    capabilities: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Show<'a> {
    #[serde(borrow)]
    model_info: Option<HashMap<Cow<'a, str>, &'a RawValue>>,
    capabilities: Option<Vec<String>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Reads the answer of `/api/tags`.
pub(super) fn tags(body: &str) -> Result<Page, Error> {
    let tags: Tags<'_> = serde_json::from_str(body.trim()).map_err(|_| classify::not_json(body))?;
    match tags.models {
        Some(models) => {
            let models = models.into_iter().filter_map(|tag| {
                let id = tag.model.or(tag.name)?;
                Some(able(Model { id, ..Model::default() }, tag.capabilities.as_deref()))
            });
            Ok(Page { models: models.collect(), next: None })
        }
        None if tags.error.is_some() => Err(classify::in_band(body)),
        None => Err(Error::new(ErrorKind::Decode, "the list of models has no models")),
    }
}

/// Reads the answer of `/api/show`.
pub(super) fn show(id: &str, body: &str) -> Result<Model, Error> {
    let show: Show<'_> = serde_json::from_str(body.trim()).map_err(|_| classify::not_json(body))?;
    if show.error.is_some() {
        return Err(classify::in_band(body));
    }
    // Its name begins with the architecture's: `qwen3.context_length`.
    let window = show.model_info.iter().flatten().find(|(name, _)| name.ends_with(".context_length"));
    let context_window = window.and_then(|(_, tokens)| tokens.get().parse().ok());
    let model = Model { id: id.to_owned(), context_window, ..Model::default() };
    Ok(able(model, show.capabilities.as_deref()))
}

fn able(model: Model, capabilities: Option<&[String]>) -> Model {
    let can = |what: &str| capabilities.map(|all| all.iter().any(|capability| capability == what));
    Model { tools: can("tools"), images: can("vision"), reasoning: can("thinking"), ..model }
}
