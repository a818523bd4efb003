//! One line of a batch: what it asks, with what the flags say where it says nothing.

use std::collections::HashMap;

use aichat_engine::{
    Agent, Form, Piece, Send, Template, Versioned, nearest, output_of_fields, output_of_schema,
};
use aichat_message::{ErrorKind, Extra, Json, Message};
use serde::Deserialize;

use super::source::Raw;
use crate::failure::Failure;
use crate::options;
use crate::talk::Talk;

/// The fields of a line.
const FIELDS: [&str; 9] =
    ["id", "prompt", "model", "system", "agent", "template", "params", "options", "schema"];

/// What a line looks like.
const HINT: &str = "every line is an object of its own: {\"prompt\": \"…\"}";

/// What a line says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(default)]
    id: Option<Json>,
    #[serde(default)]
    prompt: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    system: Option<String>,
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    template: Option<String>,
    #[serde(default)]
    params: Option<Extra>,
    #[serde(default)]
    options: Option<Extra>,
    #[serde(default)]
    schema: Option<Json>,
}

/// A line that was read, and what is to be sent for it.
pub(crate) struct Line {
    pub(crate) index: u64,
    /// Its own name, as it is written.
    pub(crate) id: Option<Json>,
    pub(crate) hash: u64,
    pub(crate) place: String,
    pub(crate) send: Send,
}

/// What the lines are made into messages with.
pub(crate) struct Recipe {
    /// What is sent where a line says nothing.
    pub(crate) usual: Send,
    pub(crate) template: Option<Template>,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) talk: Talk,
    pub(crate) look_up: Box<dyn LookUp>,
    /// What was looked up already.
    pub(crate) agents: HashMap<String, Versioned<Agent>>,
    pub(crate) templates: HashMap<String, Template>,
    pub(crate) models: HashMap<String, aichat_engine::ModelRef>,
}

/// Finds what a line names.
pub(crate) trait LookUp: std::marker::Send {
    fn model(&self, text: &str) -> Result<aichat_engine::ModelRef, Failure>;
    fn agent(&self, name: &str) -> Result<Versioned<Agent>, Failure>;
    fn template(&self, name: &str) -> Result<Template, Failure>;
}

impl Line {
    /// Tells whether nobody is named who shall answer.
    pub(crate) fn lacks_model(&self) -> bool {
        self.send.model.is_none() && !self.send.agent.as_ref().is_some_and(names_a_model)
    }
}

impl Recipe {
    /// Reads a line.
    ///
    /// # Errors
    /// Fails, naming the line, with kind `input` where it is no object of the known fields or asks nothing, with kind
    /// `usage` where a value is none that its field takes, and with what is wrong with what it names.
    pub(crate) fn read(&mut self, raw: Raw) -> Result<Line, Failure> {
        let Raw { index, place, text, hash } = raw;
        let (id, send) = self.made(&text).map_err(|failure| failure.at(&place))?;
        Ok(Line { index, id, hash, place, send })
    }

    fn made(&mut self, text: &str) -> Result<(Option<Json>, Send), Failure> {
        // A list of values would be taken for one of fields.
        if text.starts_with('[') {
            return Err(input("it is no object".to_owned()).hint(HINT));
        }
        let said: Said = serde_json::from_str(text).map_err(|error| misread(&error))?;
        if let Some(id) = said.id.as_ref().filter(|id| id.get().starts_with(['{', '['])) {
            return Err(input(format!("id is a text or a number, not {id}")));
        }
        let mut send = self.usual.clone();
        if let Some(text) = &said.model {
            if !self.models.contains_key(text) {
                self.models.insert(text.clone(), self.look_up.model(text)?);
            }
            send.model = self.models.get(text).cloned();
        }
        if let Some(name) = &said.agent {
            if !self.agents.contains_key(name) {
                self.agents.insert(name.clone(), self.look_up.agent(name)?);
            }
            send.agent = self.agents.get(name).cloned();
            if said.model.is_none() && send.agent.as_ref().is_some_and(names_a_model) {
                send.model = None;
            }
        }
        send.system = said.system.or(send.system);
        let mut pairs = Vec::new();
        for (name, value) in said.options.iter().flat_map(Extra::iter) {
            options_of(name, value, &mut pairs)?;
        }
        let named = |name: &str| pairs.iter().any(|(other, _)| other == name);
        let usual: Vec<_> = self.options.iter().filter(|(name, _)| !named(name)).cloned().collect();
        pairs.extend(usual);
        send.options = options::parse(&pairs, &self.talk)?;
        if let Some(schema) = &said.schema {
            let text = schema.to::<String>().ok();
            let output = match &text {
                // What a line says is not taken for the name of a file.
                Some(fields) => output_of_fields(fields)?,
                None => output_of_schema(schema.get(), "the schema")?,
            };
            send.form = Form::Of(output);
        }
        let template = match &said.template {
            Some(name) => {
                if !self.templates.contains_key(name) {
                    self.templates.insert(name.clone(), self.look_up.template(name)?);
                }
                self.templates.get(name)
            }
            None => self.template.as_ref(),
        };
        let prompt = said.prompt.unwrap_or_default();
        let mut values = Vec::new();
        for (name, value) in said.params.iter().flat_map(Extra::iter) {
            values.push((name.to_owned(), value.to::<String>().unwrap_or_else(|_| value.get().to_owned())));
        }
        let text = match template {
            Some(template) => {
                let names = template.parameters();
                let usual = self.params.iter().filter(|(name, _)| {
                    names.contains(&name.as_str()) && !values.iter().any(|(given, _)| given == name)
                });
                let all: Vec<_> = values.iter().chain(usual).cloned().collect();
                filled(template.fill(&all)?, &prompt)?
            }
            None if values.is_empty() => prompt,
            None => {
                return Err(Failure::new(ErrorKind::Usage, "params are for a template, and there is none"));
            }
        };
        if text.trim().is_empty() {
            return Err(input("it has no prompt".to_owned()));
        }
        send.message = Message::user(text);
        Ok((said.id, send))
    }
}

fn names_a_model(agent: &Versioned<Agent>) -> bool {
    agent.read().is_ok_and(|agent| agent.model.is_some())
}

/// Puts a prompt where a template wants it, or after it.
fn filled(pieces: Vec<Piece>, prompt: &str) -> Result<String, Failure> {
    let wants = pieces.contains(&Piece::Prompt);
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Prompt => text.push_str(prompt),
            Piece::Stdin => {
                let what = "the template wants data on standard input, and the lines of a batch have none";
                return Err(Failure::new(ErrorKind::Usage, what).hint("use {{prompt}} in its place"));
            }
        }
    }
    if !wants && !prompt.trim().is_empty() {
        text = format!("{text}\n\n{prompt}");
    }
    Ok(text)
}

/// Writes an option as on the command line; a list, as of `stop`, is one for each of its values.
fn options_of(name: &str, value: &Json, pairs: &mut Vec<(String, String)>) -> Result<(), Failure> {
    let plain = |value: &Json| value.to::<String>().unwrap_or_else(|_| value.get().to_owned());
    match value.to::<Vec<Json>>() {
        Ok(values) if name == "stop" => pairs.extend(values.iter().map(|one| (name.to_owned(), plain(one)))),
        _ if value.is_null() => {}
        _ => pairs.push((name.to_owned(), plain(value))),
    }
    Ok(())
}

fn input(what: String) -> Failure {
    Failure::new(ErrorKind::Input, what)
}

/// Says what is wrong with the JSON of a line.
fn misread(error: &serde_json::Error) -> Failure {
    if error.is_data() {
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default().to_owned();
        let unknown = said.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        return match unknown {
            Some(name) => {
                let failure = input(format!("there is no field {name:?}"));
                failure.hint(match nearest(name, FIELDS) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("the fields are {}; what is your own goes into id", FIELDS.join(", ")),
                })
            }
            None => input(said.replace('`', "\"")),
        };
    }
    input(format!("it is not JSON (column {})", error.column())).hint(HINT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Color;
    use crate::env::Env;
    use aichat_engine::ModelRef;

    struct Nobody;

    impl LookUp for Nobody {
        fn model(&self, text: &str) -> Result<ModelRef, Failure> {
            ModelRef::parse(text).ok_or_else(|| Failure::new(ErrorKind::NotFound, "no such model"))
        }
        fn agent(&self, name: &str) -> Result<Versioned<Agent>, Failure> {
            Err(Failure::new(ErrorKind::Input, format!("there is no agent {name}")))
        }
        fn template(&self, name: &str) -> Result<Template, Failure> {
            let text = if name == "t" { "Say {{prompt}} in {{language}}." } else { "{{stdin}}" };
            Ok(Template { text: text.to_owned(), ..Template::default() })
        }
    }

    fn made(line: &str) -> String {
        let talk = Talk::new(true, Color::Never, &Env::of([]), aichat_engine::Secrets::new());
        let mut recipe = Recipe {
            usual: Send::new(ModelRef::new("p", "usual"), ""),
            template: None,
            params: vec![("language".to_owned(), "French".to_owned())],
            options: vec![("max_tokens".to_owned(), "9".to_owned()), ("seed".to_owned(), "1".to_owned())],
            talk,
            look_up: Box::new(Nobody),
            agents: HashMap::new(),
            templates: HashMap::new(),
            models: HashMap::new(),
        };
        let raw = Raw { index: 0, place: "f, line 1".to_owned(), text: line.to_owned(), hash: 0 };
        match recipe.read(raw) {
            Ok(line) => format!(
                "{} {} {:?} {}",
                line.send.model.unwrap(),
                line.id.map(|id| id.to_string()).unwrap_or_default(),
                line.send.message.text(),
                crate::output::json(&line.send.options),
            ),
            Err(Failure::Error(report)) => {
                let hint = report.hint.map(|hint| format!(" | {hint}")).unwrap_or_default();
                format!("{}: {}{hint}", report.kind, report.message)
            }
            Err(_) => panic!("nobody stopped it"),
        }
    }

    #[test]
    fn lines_go_before_flags() {
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
    fn complaints_name_the_line_and_the_field() {
        let deep = format!(r#"{{"prompt":"a","id":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
        assert!(made(&deep).starts_with("input: f, line 1: "), "{}", made(&deep));
        insta::assert_snapshot!([
            "hello",
            "[1]",
            r#"{"promt":"a"}"#,
            r#"{"prompt":"a","colour":1}"#,
            r#"{"prompt":"a","prompt":"b"}"#,
            r#"{"prompt":1}"#,
            r#"{"prompt":" "}"#,
            r#"{"prompt":"a","id":{}}"#,
            r#"{"prompt":"a","model":"x"}"#,
            r#"{"prompt":"a","agent":"x"}"#,
            r#"{"prompt":"a","params":{"b":"c"}}"#,
            r#"{"prompt":"a","template":"data"}"#,
            r#"{"prompt":"a","template":"t","params":{"b":"c"}}"#,
            r#"{"prompt":"a","options":{"max_tokens":"many"}}"#,
            r#"{"prompt":"a","schema":"a date"}"#,
            r#"{"prompt":"a","schema":[1]}"#,
        ].map(made).join("\n"), @r#"
        input: f, line 1: it is not JSON (column 1) | every line is an object of its own: {"prompt": "…"}
        input: f, line 1: it is no object | every line is an object of its own: {"prompt": "…"}
        input: f, line 1: there is no field "promt" | did you mean "prompt"?
        input: f, line 1: there is no field "colour" | the fields are id, prompt, model, system, agent, template, params, options, schema; what is your own goes into id
        input: f, line 1: duplicate field "prompt"
        input: f, line 1: invalid type: integer "1", expected a string
        input: f, line 1: it has no prompt
        input: f, line 1: id is a text or a number, not {}
        not_found: f, line 1: no such model
        input: f, line 1: there is no agent x
        usage: f, line 1: params are for a template, and there is none
        usage: f, line 1: the template wants data on standard input, and the lines of a batch have none | use {{prompt}} in its place
        usage: f, line 1: the template has no parameter "b"; it has language
        usage: f, line 1: -o max_tokens=many: max_tokens is a whole number
        usage: f, line 1: in the schema, "a date": a type is str, int, float or bool, perhaps with [] | write a JSON Schema, a file that holds one, or fields: "name, age int, tags str[]: in English"
        usage: f, line 1: the schema is not a JSON Schema: an object is wanted
        "#);
    }
}
