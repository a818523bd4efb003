//! The words of a message: everything in it that somebody may remember and search for.

use aichat_message::{Message, Part, PartKind};

/// Returns what was said, a line for each part: texts, reasoning, names and arguments of calls, results, names of
/// files. What only machines read is left out: ids, signatures, the bytes of media.
pub(crate) fn words(message: &Message) -> String {
    let mut words = String::new();
    message.parts.iter().for_each(|part| part_words(part, &mut words));
    words.truncate(words.trim_end().len());
    words
}

fn part_words(part: &Part, words: &mut String) {
    let mut line = |text: &str| {
        if !text.is_empty() {
            words.push_str(text);
            words.push('\n');
        }
    };
    match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } => line(text),
        PartKind::Reasoning { blocks } => blocks.iter().for_each(|block| line(block.text())),
        PartKind::ToolCall { name, arguments, .. } => {
            line(name);
            line(&unescaped(arguments.as_str()));
        }
        PartKind::ToolResult { name, content, .. } => {
            line(name.as_deref().unwrap_or_default());
            content.iter().for_each(|part| part_words(part, words));
        }
        PartKind::Media { name, .. } => line(name.as_deref().unwrap_or_default()),
        _ => {}
    }
}

/// Returns JSON with its texts as they are meant: a line break for `\n`, a letter for `\u00e9`.
fn unescaped(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        let (before, literal) = rest.split_at(start);
        plain.push_str(before);
        let mut escaped = false;
        let end = literal.bytes().skip(1).position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        // A call that was cut off may end within a text.
        let Some(end) = end else {
            rest = literal;
            break;
        };
        let (literal, after) = literal.split_at(end + 2);
        match serde_json::from_str::<String>(literal) {
            Ok(text) => plain.extend(["\"", &text, "\""]),
            Err(_) => plain.push_str(literal),
        }
        rest = after;
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use aichat_message::{MediaKind, Role, Source};

    #[test]
    fn everything_that_can_be_remembered_is_there() {
        let file = PartKind::Media {
            media: MediaKind::File,
            source: Source::Base64("c2VjcmV0".into()),
            mime: None,
            name: Some("plan.pdf".into()),
        };
        let message = Message::new(
            Role::Assistant,
            vec![
                Part::text("one"),
                Part::tool_call("call_1", "read", r#"{"path":"a\u00e9\n\"b\"","n":1}"#),
                Part::tool_result("call_1", "found it"),
                Part::new(file),
            ],
        );
        assert_eq!(words(&message), "one\nread\n{\"path\":\"aé\n\"b\"\",\"n\":1}\nfound it\nplan.pdf");
    }

    #[test]
    fn arguments_that_were_cut_off_stay_as_they_came() {
        assert_eq!(unescaped(r#"{"a":"b\\","c":"d\n"#), "{\"a\":\"b\\\",\"c\":\"d\\n");
        assert_eq!(unescaped(r#""\x" ü"#), r#""\x" ü"#);
    }
}
