//! Arguments of a call that arrive value by value, each under its JSON path, as the text of one JSON object.

use aichat_message::ErrorKind;

use super::wire::PartialArg;
use crate::error::Error;

/// Writes the text of an object as far as its values have arrived. A text cut off is no valid JSON.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Where the last value stands.
    path: Vec<Step>,
    /// The names written so far in each object on that path.
    names: Vec<Vec<String>>,
    in_text: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Name(String),
    Index(usize),
}

impl Step {
    fn brackets(&self) -> (char, char) {
        match self {
            Self::Name(_) => ('{', '}'),
            Self::Index(_) => ('[', ']'),
        }
    }
}

impl Pieces {
    /// Takes a value, or more of the text that came last, and appends its JSON to `out`.
    ///
    /// # Errors
    /// Fails with kind `decode` where the value belongs to a place that was left before.
    pub(super) fn push(&mut self, piece: &PartialArg<'_>, out: &mut String) -> Result<(), Error> {
        let path = parse(&piece.json_path).ok_or_else(misplaced)?;
        let more = piece.will_continue == Some(true);
        if self.in_text && path == self.path {
            out.push_str(&escaped(piece.string_value.as_deref().unwrap_or_default()));
            if !more {
                out.push('"');
                self.in_text = false;
            }
            return Ok(());
        }
        self.go_to(path, out)?;
        match piece {
            PartialArg { string_value: Some(text), .. } => {
                out.push('"');
                out.push_str(&escaped(text));
                self.in_text = more;
                if !more {
                    out.push('"');
                }
            }
            PartialArg { number_value: Some(number), .. } => out.push_str(number.get()),
            PartialArg { bool_value: Some(value), .. } => out.push_str(if *value { "true" } else { "false" }),
            _ => out.push_str("null"),
        }
        Ok(())
    }

    /// Ends the object.
    pub(super) fn close(&mut self, out: &mut String) {
        self.leave(0, out);
        self.names.clear();
    }

    fn go_to(&mut self, path: Vec<Step>, out: &mut String) -> Result<(), Error> {
        let common = self.path.iter().zip(&path).take_while(|(old, new)| old == new).count();
        let diverges = match (self.path.get(common), path.get(common)) {
            (None, Some(Step::Name(_))) => self.path.is_empty(),
            (Some(Step::Name(_)), Some(Step::Name(name))) => !self.names[common].contains(name),
            (Some(Step::Index(old)), Some(Step::Index(new))) => *new == old + 1,
            _ => false,
        };
        let begins = path[common..].iter().skip(1).all(|step| matches!(step, Step::Name(_) | Step::Index(0)));
        if !diverges || !begins {
            return Err(misplaced());
        }
        let continues = !self.path.is_empty();
        self.leave(common + 1, out);
        self.names.truncate(common + 1);
        for (depth, step) in path.iter().enumerate().skip(common) {
            match continues && depth == common {
                true => out.push(','),
                false => {
                    out.push(step.brackets().0);
                    self.names.push(Vec::new());
                }
            }
            if let Step::Name(name) = step {
                out.push('"');
                out.push_str(&escaped(name));
                out.push_str("\":");
                self.names[depth].push(name.clone());
            }
        }
        self.path = path;
        Ok(())
    }

    /// Closes everything on the path from this depth on.
    fn leave(&mut self, depth: usize, out: &mut String) {
        if std::mem::take(&mut self.in_text) {
            out.push('"');
        }
        while self.path.len() > depth {
            let last = self.path.pop().map(|step| step.brackets().1);
            out.extend(last);
        }
    }
}

fn misplaced() -> Error {
    Error::new(ErrorKind::Decode, "the arguments of a call arrive in an order that is no JSON")
}

/// Returns a text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let json = serde_json::to_string(text).expect("a text is JSON");
    json[1..json.len() - 1].to_owned()
}

/// Reads a path: `$.recipe.steps[0]`, `$['odd name']`. Nothing for what is none, and for the root itself.
fn parse(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let step;
        (step, rest) = match rest.strip_prefix('[') {
            None => {
                let name = rest.strip_prefix('.').unwrap_or(rest);
                let end = name.find(['.', '[']).unwrap_or(name.len());
                (Step::Name(name[..end].to_owned()), &name[end..])
            }
            Some(inside) => match inside.chars().next()? {
                quote @ ('\'' | '"') => {
                    let (name, rest) = quoted(&inside[1..], quote)?;
                    (Step::Name(name), rest.strip_prefix(']')?)
                }
                _ => {
                    let (index, rest) = inside.split_once(']')?;
                    (Step::Index(index.trim().parse().ok()?), rest)
                }
            },
        };
        steps.push(step);
    }
    (!steps.is_empty()).then_some(steps)
}

/// Reads up to the closing quote and returns what follows it, too.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let (mut name, mut letters) = (String::new(), text.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.push(letters.next()?.1),
            letter if letter == quote => return Some((name, &text[at + letter.len_utf8()..])),
            letter => name.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text of these pieces, closed or as far as it goes.
    fn written(pieces: &str, close: bool) -> Option<String> {
        let pieces: Vec<PartialArg<'_>> = serde_json::from_str(pieces).unwrap();
        let (mut all, mut out) = (Pieces::default(), String::new());
        for piece in &pieces {
            all.push(piece, &mut out).ok()?;
        }
        if close {
            all.close(&mut out);
        }
        Some(out)
    }

    #[test]
    fn values_become_one_object() {
        let pieces = r#"[
            {"jsonPath":"$.a.list[0].n","numberValue":12345678901234567890},
            {"jsonPath":"$.a.list[0].ok","boolValue":true},
            {"jsonPath":"$.a.list[1]","stringValue":"x\"","willContinue":true},
            {"jsonPath":"$.a.list[1]","stringValue":"\ny","willContinue":true},
            {"jsonPath":"$.a.list[1]"},
            {"jsonPath":"$.a['it\\'s'].z","nullValue":null},
            {"jsonPath":"$.last","stringValue":"cut","willContinue":true}]"#;
        let open =
            r#"{"a":{"list":[{"n":12345678901234567890,"ok":true},"x\"\ny"],"it's":{"z":null}},"last":"cut"#;
        assert_eq!(written(pieces, false).as_deref(), Some(open));
        assert_eq!(written(pieces, true), Some(format!("{open}\"}}")));
        assert_eq!(written("[]", true).as_deref(), Some(""));
    }

    #[test]
    fn what_has_no_place_is_an_error() {
        for pieces in [
            r#"[{"jsonPath":"$.a","numberValue":1},{"jsonPath":"$.b","numberValue":1},{"jsonPath":"$.a","numberValue":1}]"#,
            r#"[{"jsonPath":"$.a[1]","numberValue":1}]"#,
            r#"[{"jsonPath":"$.a","numberValue":1},{"jsonPath":"$.a.b","numberValue":1}]"#,
            r#"[{"jsonPath":"$.a.b","numberValue":1},{"jsonPath":"$.a","numberValue":1}]"#,
            r#"[{"jsonPath":"$.a.b","numberValue":1},{"jsonPath":"$.a[0]","numberValue":1}]"#,
            r#"[{"jsonPath":"$","numberValue":1}]"#,
            r#"[{"jsonPath":"$[0]","numberValue":1}]"#,
            r#"[{"jsonPath":"$['a","numberValue":1}]"#,
        ] {
            assert_eq!(written(pieces, true), None, "{pieces}");
        }
    }
}
