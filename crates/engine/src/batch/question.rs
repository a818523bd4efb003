//! What one line of a batch asks, and the message it becomes, with what is usual where it says nothing.

use aichat_message::{ErrorKind, Extra, Json, Message};
use aichat_providers::Options;
use serde::Deserialize;

use crate::agent::Agent;
use crate::answer::Form;
use crate::choice::nearest;
use crate::document::Versioned;
use crate::error::Error;
use crate::fields::{output_of_fields, output_of_schema};
use crate::template::{Piece, Template};
use crate::turn::{ModelRef, Send};

/// The fields of a line.
const FIELDS: [&str; 9] =
    ["id", "prompt", "model", "system", "agent", "template", "params", "options", "schema"];

/// What a line looks like.
const HINT: &str = "every line is an object of its own: {\"prompt\": \"…\"}";

/// What a line of a batch asks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Question {
    /// Its own name, a text or a number as it is written.
    #[serde(default)]
    pub id: Option<Json>,
    /// The prompt.
    #[serde(default)]
    pub prompt: Option<String>,
    /// The name of a model.
    #[serde(default)]
    pub model: Option<String>,
    /// The standing instruction.
    #[serde(default)]
    pub system: Option<String>,
    /// The name of an agent.
    #[serde(default)]
    pub agent: Option<String>,
    /// The name of a template.
    #[serde(default)]
    pub template: Option<String>,
    /// What the places of the template are filled with.
    #[serde(default)]
    pub params: Option<Extra>,
    /// Sampling and limits.
    #[serde(default)]
    pub options: Option<Extra>,
    /// The form of the answer: a JSON Schema, or fields in a few words.
    #[serde(default)]
    pub schema: Option<Json>,
}

/// What was found under the names of a line.
#[derive(Clone, Debug, Default)]
pub struct Found<'a> {
    /// The model, where the line names one.
    pub model: Option<ModelRef>,
    /// The agent, where the line names one.
    pub agent: Option<Versioned<Agent>>,
    /// The template, the line's or the usual one.
    pub template: Option<&'a Template>,
    /// What [`Question::options`] says, as options.
    pub options: Options,
}

impl Question {
    /// Reads a line.
    ///
    /// # Errors
    /// Fails with kind `input` where it is no object of the known fields.
    pub fn parse(text: &str) -> Result<Self, Error> {
        // A list of values would be taken for one of fields.
        if text.starts_with('[') {
            return Err(Error::input("it is no object").with_hint(Some(HINT.to_owned())));
        }
        let this: Self = serde_json::from_str(text).map_err(|error| misread(&error))?;
        if let Some(id) = this.id.as_ref().filter(|id| id.get().starts_with(['{', '['])) {
            return Err(Error::input(format!("id is a text or a number, not {id}")));
        }
        Ok(this)
    }

    /// Returns its options as [`read_options`](crate::read_options) takes them, and those of the usual ones that it does
    /// not name.
    pub fn options(&self, usual: &[(String, String)]) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for (name, value) in self.options.iter().flat_map(Extra::iter) {
            write_option(name, value, &mut pairs);
        }
        let named = |name: &str| pairs.iter().any(|(other, _)| other == name);
        let rest: Vec<_> = usual.iter().filter(|(name, _)| !named(name)).cloned().collect();
        pairs.extend(rest);
        pairs
    }

    /// Returns what is to be sent: `usual`, but for what the line says. Of `params` those are taken that its template has
    /// places for.
    ///
    /// # Errors
    /// Fails with kind `input` where it asks nothing, and with kind `usage` where a value is none that its field takes.
    pub fn send(self, usual: &Send, params: &[(String, String)], found: Found<'_>) -> Result<Send, Error> {
        let mut send = usual.clone();
        if found.model.is_some() {
            send.model = found.model;
        }
        if found.agent.is_some() {
            send.agent = found.agent;
            if self.model.is_none() && send.agent.as_ref().is_some_and(Versioned::names_a_model) {
                send.model = None;
            }
        }
        send.system = self.system.or(send.system);
        send.options = found.options;
        if let Some(schema) = &self.schema {
            send.form = Form::Of(match schema.to::<String>() {
                Ok(fields) => output_of_fields(&fields)?,
                Err(_) => output_of_schema(schema.get(), "the schema")?,
            });
        }
        let prompt = self.prompt.unwrap_or_default();
        let mut values = Vec::new();
        for (name, value) in self.params.iter().flat_map(Extra::iter) {
            values.push((name.to_owned(), plain(value)));
        }
        let text = match found.template {
            Some(template) => {
                let names = template.parameters();
                let usual = params.iter().filter(|(name, _)| {
                    names.contains(&name.as_str()) && !values.iter().any(|(given, _)| given == name)
                });
                let all: Vec<_> = values.iter().chain(usual).cloned().collect();
                filled(template.fill(&all)?, &prompt)?
            }
            None if values.is_empty() => prompt,
            None => {
                return Err(Error::new(ErrorKind::Usage, "params are for a template, and there is none"));
            }
        };
        if text.trim().is_empty() {
            return Err(Error::input("it has no prompt"));
        }
        send.message = Message::user(text);
        Ok(send)
    }
}

/// Puts a prompt where a template wants it, or after it.
fn filled(pieces: Vec<Piece>, prompt: &str) -> Result<String, Error> {
    let wants = pieces.contains(&Piece::Prompt);
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Prompt => text.push_str(prompt),
            Piece::Stdin => {
                let what = "the template wants data on standard input, and the lines of a batch have none";
                return Err(Error::new(ErrorKind::Usage, what)
                    .with_hint(Some("use {{prompt}} in its place".to_owned())));
            }
        }
    }
    if !wants && !prompt.trim().is_empty() {
        text = format!("{text}\n\n{prompt}");
    }
    Ok(text)
}

/// Writes an option as text; a list, as of `stop`, is one for each of its values.
fn write_option(name: &str, value: &Json, pairs: &mut Vec<(String, String)>) {
    match value.to::<Vec<Json>>() {
        Ok(values) if name == "stop" => pairs.extend(values.iter().map(|one| (name.to_owned(), plain(one)))),
        _ if value.is_null() => {}
        _ => pairs.push((name.to_owned(), plain(value))),
    }
}

/// Returns a text without its quotes, and any other value as it is written.
fn plain(value: &Json) -> String {
    value.to::<String>().unwrap_or_else(|_| value.get().to_owned())
}

/// Says what is wrong with the JSON of a line.
fn misread(error: &serde_json::Error) -> Error {
    if error.is_data() {
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default().to_owned();
        let unknown = said.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        return match unknown {
            Some(name) => Error::input(format!("there is no field {name:?}")).with_hint(Some(match nearest(
                name, FIELDS,
            ) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("the fields are {}; what is your own goes into id", FIELDS.join(", ")),
            })),
            None => Error::input(said.replace('`', "\"")),
        };
    }
    Error::input(format!("it is not JSON (column {})", error.column())).with_hint(Some(HINT.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::read_options;

    fn made(line: &str) -> String {
        let usual = Send::new(ModelRef::new("p", "usual"), "");
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let (params, options) =
            ([("language", "French")].map(pair), [("max_tokens", "9"), ("seed", "1")].map(pair));
        let template = |name: &str| Template {
            text: if name == "t" { "Say {{prompt}} in {{language}}." } else { "{{stdin}}" }.to_owned(),
            ..Template::default()
        };
        let send = || {
            let question = Question::parse(line)?;
            let (id, template) = (question.id.clone(), question.template.as_deref().map(template));
            let (options, _) = read_options(&question.options(&options))?;
            let model = question.model.as_deref().and_then(ModelRef::parse);
            let found = Found { model, options, template: template.as_ref(), ..Found::default() };
            Ok((id, question.send(&usual, &params, found)?))
        };
        match send() {
            Ok((id, send)) => format!(
                "{} {} {:?} {}",
                send.model.unwrap(),
                id.map(|id| id.to_string()).unwrap_or_default(),
                send.message.text(),
                serde_json::to_string(&send.options).unwrap(),
            ),
            Err(error) => {
                let error: Error = error;
                let hint = error.hint().map(|hint| format!(" | {hint}")).unwrap_or_default();
                format!("{}: {error}{hint}", error.kind())
            }
        }
    }

    #[test]
    fn lines_go_before_what_is_usual() {
        insta::assert_snapshot!([
            r#"{"prompt":"a"}"#,
            r#"{"id":7,"prompt":"a","model":"q/m","options":{"max_tokens":3,"stop":["x","y"]}}"#,
            r#"{"id":"x","prompt":"hi","template":"t"}"#,
            r#"{"prompt":"hi","template":"t","params":{"language":"Latin"}}"#,
        ].map(made).join("\n"), @r#"
        p/usual  "a" {"max_tokens":9,"seed":1}
        q/m 7 "a" {"max_tokens":3,"stop":["x","y"],"seed":1}
        p/usual "x" "Say hi in French." {"max_tokens":9,"seed":1}
        p/usual  "Say hi in Latin." {"max_tokens":9,"seed":1}
        "#);
    }

    #[test]
    fn complaints_name_the_field() {
        let deep = format!(r#"{{"prompt":"a","id":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
        assert!(made(&deep).starts_with("input: "), "{}", made(&deep));
        insta::assert_snapshot!([
            "hello",
            "[1]",
            r#"{"promt":"a"}"#,
            r#"{"prompt":"a","colour":1}"#,
            r#"{"prompt":"a","prompt":"b"}"#,
            r#"{"prompt":1}"#,
            r#"{"prompt":" "}"#,
            r#"{"prompt":"a","id":{}}"#,
            r#"{"prompt":"a","params":{"b":"c"}}"#,
            r#"{"prompt":"a","template":"data"}"#,
            r#"{"prompt":"a","template":"t","params":{"b":"c"}}"#,
            r#"{"prompt":"a","options":{"max_tokens":"many"}}"#,
            r#"{"prompt":"a","schema":"a date"}"#,
            r#"{"prompt":"a","schema":[1]}"#,
        ].map(made).join("\n"), @r#"
        input: it is not JSON (column 1) | every line is an object of its own: {"prompt": "…"}
        input: it is no object | every line is an object of its own: {"prompt": "…"}
        input: there is no field "promt" | did you mean "prompt"?
        input: there is no field "colour" | the fields are id, prompt, model, system, agent, template, params, options, schema; what is your own goes into id
        input: duplicate field "prompt"
        input: invalid type: integer "1", expected a string
        input: it has no prompt
        input: id is a text or a number, not {}
        usage: params are for a template, and there is none
        usage: the template wants data on standard input, and the lines of a batch have none | use {{prompt}} in its place
        usage: the template has no parameter "b"; it has language
        usage: max_tokens=many: max_tokens is a whole number
        usage: in the schema, "a date": a type is str, int, float or bool, perhaps with [] | write a JSON Schema, a file that holds one, or fields: "name, age int, tags str[]: in English"
        usage: the schema is not a JSON Schema: an object is wanted
        "#);
    }
}
