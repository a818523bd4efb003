//! Templates: texts with places in them that are filled in when a prompt is made.

use serde::{Deserialize, Serialize};

use aichat_message::ErrorKind;

use crate::document::DocumentKind;
use crate::error::Error;

/// A prompt with places to fill in; a document.
///
/// A place is written `{{name}}`, of letters, digits, `_` and `-`; any other text stands for itself. `{{prompt}}` is
/// what the user asks, `{{stdin}}` the data that comes with it; the other names are parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The text.
    pub text: String,
}

/// A piece of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text that stands for itself.
    Text(String),
    /// What the user asks.
    Prompt,
    /// The data that comes with it.
    Stdin,
}

impl DocumentKind for Template {
    const KIND: &'static str = "template";
    const FORMAT: u32 = 1;

    fn fault(&self) -> Option<String> {
        self.text.trim().is_empty().then(|| "its text is empty".to_owned())
    }
}

impl Template {
    /// Returns the names of its parameters, each once, in the order of the text.
    pub fn parameters(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for piece in cut(&self.text) {
            if let Cut::Place(name) = piece
                && !["prompt", "stdin"].contains(&name)
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names
    }

    /// Returns the text with values in the place of its parameters. A value is text, whatever it looks like.
    ///
    /// # Errors
    /// Fails with kind `usage` where a parameter has no value, and where a value is for none of them or given twice.
    pub fn fill(&self, values: &[(String, String)]) -> Result<Vec<Piece>, Error> {
        let names = self.parameters();
        let usage = |what: String| Error::new(ErrorKind::Usage, what);
        for (at, (name, _)) in values.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                return Err(usage(match names.as_slice() {
                    [] => format!("the template has no parameter {name:?}, nor any other"),
                    names => {
                        format!("the template has no parameter {name:?}; it has {}", names.join(", "))
                    }
                }));
            }
            if values[..at].iter().any(|(other, _)| other == name) {
                return Err(usage(format!("the parameter {name:?} is given twice")));
            }
        }
        let value = |name: &str| values.iter().find(|(given, _)| given == name).map(|(_, value)| value);
        let lacking: Vec<&str> = names.into_iter().filter(|name| value(name).is_none()).collect();
        if !lacking.is_empty() {
            return Err(usage(format!("the template has no value for {}", lacking.join(", "))));
        }
        Ok(cut(&self.text)
            .into_iter()
            .map(|piece| match piece {
                Cut::Text(text) => Piece::Text(text.to_owned()),
                Cut::Place("prompt") => Piece::Prompt,
                Cut::Place("stdin") => Piece::Stdin,
                Cut::Place(name) => Piece::Text(value(name).cloned().unwrap_or_default()),
            })
            .collect())
    }
}

/// A piece of a text as it was written.
enum Cut<'a> {
    Text(&'a str),
    Place(&'a str),
}

/// Cuts a text where its places begin and end.
fn cut(text: &str) -> Vec<Cut<'_>> {
    let mut pieces = Vec::new();
    let (mut begin, mut from) = (0, 0);
    while let Some(open) = text[from..].find("{{").map(|at| from + at) {
        let name = text[open + 2..].split_once("}}").map(|(name, _)| name).filter(|name| is_name(name));
        let Some(name) = name else {
            // Of three braces the last two may open a place.
            from = open + 1;
            continue;
        };
        if open > begin {
            pieces.push(Cut::Text(&text[begin..open]));
        }
        pieces.push(Cut::Place(name));
        from = open + name.len() + 4;
        begin = from;
    }
    if begin < text.len() {
        pieces.push(Cut::Text(&text[begin..]));
    }
    pieces
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, values: &[(&str, &str)]) -> String {
        let template = Template { text: text.to_owned(), ..Template::default() };
        let values: Vec<_> = values.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let shown = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Prompt => "<prompt>".to_owned(),
            Piece::Stdin => "<stdin>".to_owned(),
        };
        match template.fill(&values) {
            Ok(pieces) => pieces.iter().map(shown).collect(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn places_are_filled_once_and_everything_else_stands_for_itself() {
        let text =
            "{{prompt}} in {{language}}, {{language}}: {{ x }} {{}} {{a.b}} {{{language}}} {{stdin}} {{";
        assert_eq!(
            filled(text, &[("language", "{{stdin}}{{language}}")]),
            "<prompt> in {{stdin}}{{language}}, {{stdin}}{{language}}: {{ x }} {{}} {{a.b}} \
             {{{stdin}}{{language}}} <stdin> {{"
        );
        assert_eq!(filled("", &[]), "");
        assert_eq!(filled("é{{ß}}é", &[("ß", "s")]), "ésé");
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        insta::assert_snapshot!(
            [
                filled("{{a}} {{b}} {{a}}", &[]),
                filled("{{a}} {{b}}", &[("a", "1"), ("c", "2")]),
                filled("{{prompt}}", &[("prompt", "1")]),
                filled("{{a}}", &[("a", "1"), ("a", "2")]),
            ].join("\n"),
            @r#"
        the template has no value for a, b
        the template has no parameter "c"; it has a, b
        the template has no parameter "prompt", nor any other
        the parameter "a" is given twice
        "#
        );
    }
}
