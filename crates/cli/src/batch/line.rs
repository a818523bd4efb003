//! One line of a batch, with what it names looked up.

use std::collections::HashMap;

use aichat_engine::{Agent, Found, InputLine, ModelRef, Question, Send, Template, Versioned, read_options};
use aichat_message::Json;

use crate::failure::Failure;
use crate::options;

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
    pub(crate) look_up: Box<dyn LookUp>,
    /// What was looked up already.
    pub(crate) agents: HashMap<String, Versioned<Agent>>,
    pub(crate) templates: HashMap<String, Template>,
    pub(crate) models: HashMap<String, ModelRef>,
}

/// Finds what a line names.
pub(crate) trait LookUp: std::marker::Send {
    fn model(&self, text: &str) -> Result<ModelRef, Failure>;
    fn agent(&self, name: &str) -> Result<Versioned<Agent>, Failure>;
    fn template(&self, name: &str) -> Result<Template, Failure>;
}

impl Recipe {
    /// Reads a line.
    ///
    /// # Errors
    /// Fails, naming the line, with kind `input` where it is no object of the known fields or asks nothing, with kind
    /// `usage` where a value is none that its field takes, and with what is wrong with what it names.
    pub(crate) fn read(&mut self, line: InputLine) -> Result<Line, Failure> {
        let InputLine { index, place, text, hash } = line;
        let (id, send) = self.made(&text).map_err(|failure| failure.at(&place))?;
        Ok(Line { index, id, hash, place, send })
    }

    fn made(&mut self, text: &str) -> Result<(Option<Json>, Send), Failure> {
        let mut question = Question::parse(text)?;
        let look_up = &*self.look_up;
        let mut found = Found::default();
        if let Some(name) = &question.model {
            found.model = Some(once(&mut self.models, name, |name| look_up.model(name))?.clone());
        }
        if let Some(name) = &question.agent {
            found.agent = Some(once(&mut self.agents, name, |name| look_up.agent(name))?.clone());
        }
        let pairs = question.options(&self.options);
        found.options = read_options(&pairs).map_err(|error| options::wrong(&error))?.0;
        found.template = match &question.template {
            Some(name) => Some(once(&mut self.templates, name, |name| look_up.template(name))?),
            None => self.template.as_ref(),
        };
        Ok((question.id.take(), question.send(&self.usual, &self.params, found)?))
    }
}

/// Returns what was found under a name, which is looked up once.
fn once<'a, T>(
    known: &'a mut HashMap<String, T>,
    name: &str,
    look_up: impl FnOnce(&str) -> Result<T, Failure>,
) -> Result<&'a T, Failure> {
    if !known.contains_key(name) {
        known.insert(name.to_owned(), look_up(name)?);
    }
    Ok(&known[name])
}

#[cfg(test)]
mod tests {
    use super::*;
    use aichat_message::ErrorKind;

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
        let mut recipe = Recipe {
            usual: Send::new(ModelRef::new("p", "usual"), ""),
            template: None,
            params: vec![("language".to_owned(), "French".to_owned())],
            options: vec![("max_tokens".to_owned(), "9".to_owned()), ("seed".to_owned(), "1".to_owned())],
            look_up: Box::new(Nobody),
            agents: HashMap::new(),
            templates: HashMap::new(),
            models: HashMap::new(),
        };
        let raw = InputLine { index: 0, place: "f, line 1".to_owned(), text: line.to_owned(), hash: 0 };
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
    fn complaints_name_the_line_and_what_is_looked_up() {
        insta::assert_snapshot!([
            "hello",
            r#"{"prompt":"a","model":"x"}"#,
            r#"{"prompt":"a","agent":"x"}"#,
            r#"{"prompt":"a","template":"data"}"#,
            r#"{"prompt":"a","options":{"max_tokens":"many"}}"#,
            r#"{"prompt":"a","schema":[1]}"#,
        ].map(made).join("\n"), @r#"
        input: f, line 1: it is not JSON (column 1) | every line is an object of its own: {"prompt": "…"}
        not_found: f, line 1: no such model
        input: f, line 1: there is no agent x
        usage: f, line 1: the template wants data on standard input, and the lines of a batch have none | use {{prompt}} in its place
        usage: f, line 1: -o max_tokens=many: max_tokens is a whole number
        usage: f, line 1: the schema is not a JSON Schema: an object is wanted
        "#);
    }
}
