//! Text that somebody else wrote, as HTML that says it and does nothing.

use std::fmt::Write;

use crate::sanitise::{label, sanitise};

/// Longest name or label taken over from the log, in characters.
const LABEL: usize = 200;

/// Appends `text` so that it is text wherever it stands: between tags, and between quotes in a tag.
///
/// Control characters and what reorders a line are neutralised as [`sanitise`] does.
pub(super) fn escape(out: &mut String, text: &str) {
    let text = text.replace("\r\n", "\n");
    for c in sanitise(&text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
}

/// Returns a name or a label of one line, escaped.
pub(super) fn line(text: &str) -> String {
    short(text, LABEL)
}

/// Returns one line of at most so many characters, escaped.
pub(super) fn short(text: &str, max: usize) -> String {
    let mut out = String::new();
    escape(&mut out, &label(text, max));
    out
}

/// Appends text in blocks that keep its lines; what stands between code fences becomes code.
pub(super) fn blocks(out: &mut String, text: &str) {
    let (mut said, mut rest) = (0, 0);
    while rest < text.len() {
        let end = line_end(text, rest);
        match Fence::opening(&text[rest..end]) {
            None => rest = end,
            Some(fence) => {
                paragraph(out, &text[said..rest]);
                let (code, after) = fence.body(text, end);
                preformatted(out, &text[end..code], &fence.info);
                (said, rest) = (after, after);
            }
        }
    }
    paragraph(out, &text[said..]);
}

/// Appends code or data, under the name of its language where one is given.
pub(super) fn preformatted(out: &mut String, code: &str, language: &str) {
    if !language.is_empty() {
        let _ = write!(out, "<p class=\"lang\">{}</p>", line(language));
    }
    out.push_str("<pre><code dir=\"ltr\">");
    escape(out, code.strip_suffix('\n').unwrap_or(code));
    out.push_str("</code></pre>\n");
}

fn paragraph(out: &mut String, text: &str) {
    let text = text.trim_matches(['\n', '\r']);
    if !text.trim().is_empty() {
        out.push_str("<div class=\"text\" dir=\"auto\">");
        escape(out, text);
        out.push_str("</div>\n");
    }
}

/// Returns where the line that begins at `from` ends, its line feed included.
fn line_end(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |at| from + at + 1)
}

/// The line that opens a block of code.
struct Fence {
    mark: char,
    length: usize,
    info: String,
}

impl Fence {
    /// Reads a line of at least three backticks or tildes, and perhaps the name of a language.
    fn opening(line: &str) -> Option<Self> {
        let (mark, length, rest) = Self::marks(line)?;
        let info = rest.trim();
        let legal = mark == '~' || !info.contains('`');
        legal.then(|| Self { mark, length, info: info.to_owned() })
    }

    fn marks(line: &str) -> Option<(char, usize, &str)> {
        let inner = line.trim_start_matches(' ');
        let mark = inner.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let rest = inner.trim_start_matches(mark);
        let length = inner.len() - rest.len();
        (length >= 3 && line.len() - inner.len() <= 3).then_some((mark, length, rest))
    }

    /// Returns where the code that begins at `from` ends, and where the text goes on; a fence that nobody closes
    /// reaches to the end.
    fn body(&self, text: &str, from: usize) -> (usize, usize) {
        let mut at = from;
        while at < text.len() {
            let end = line_end(text, at);
            if Self::marks(&text[at..end]).is_some_and(|(mark, length, rest)| {
                mark == self.mark && length >= self.length && rest.trim().is_empty()
            }) {
                return (at, end);
            }
            at = end;
        }
        (text.len(), text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        let mut out = String::new();
        blocks(&mut out, text);
        out
    }

    #[test]
    fn fences_become_code_and_everything_else_stays_text() {
        insta::assert_snapshot!(html("one\ntwo\n\n```rust\nfn <T>() {}\n\n```\nend `x`\n~~~~\n```\n~~~\n~~~~\n"), @r#"
        <div class="text" dir="auto">one
        two</div>
        <p class="lang">rust</p><pre><code dir="ltr">fn &lt;T&gt;() {}
        </code></pre>
        <div class="text" dir="auto">end `x`</div>
        <pre><code dir="ltr">```
        ~~~</code></pre>
        "#);
    }

    #[test]
    fn a_fence_that_is_open_or_none_loses_nothing() {
        assert_eq!(html("```a`b\nx"), "<div class=\"text\" dir=\"auto\">```a`b\nx</div>\n");
        assert_eq!(html("```\n&"), "<pre><code dir=\"ltr\">&amp;</code></pre>\n");
        assert_eq!(html("    ```\nx"), "<div class=\"text\" dir=\"auto\">    ```\nx</div>\n");
        assert_eq!(html("\r\n \n"), "");
    }
}
