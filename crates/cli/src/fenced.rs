//! Fenced code blocks in an answer: `-x` takes the first, `--xl` the last.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// Which block of an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    First,
    Last,
}

/// Looks for a block in an answer while it arrives.
pub(crate) struct Search {
    which: Which,
    answer: String,
    /// How much of the answer holds lines that are whole.
    lines: usize,
    /// How long the answer is when it is next worth looking. An answer full of fences is not read over and over.
    due: usize,
    /// Whether a line has come since the last look that could be a fence.
    is_fenced: bool,
    found: Option<String>,
}

impl Search {
    pub(crate) fn new(which: Which) -> Self {
        Self { which, answer: String::new(), lines: 0, due: 0, is_fenced: false, found: None }
    }

    /// Takes a piece of the answer, and returns the block once nothing can change it any more.
    pub(crate) fn push(&mut self, text: &str) -> Option<&str> {
        if self.found.is_some() {
            return None;
        }
        self.answer.push_str(text);
        if self.which == Which::Last {
            return None;
        }
        let lines = self.answer.rfind('\n').map_or(0, |at| at + 1);
        let new = self.answer.get(self.lines..lines).unwrap_or_default();
        self.is_fenced |= new.contains("```") || new.contains("~~~");
        self.lines = lines;
        if !self.is_fenced || lines < self.due {
            return None;
        }
        self.is_fenced = false;
        self.due = lines + lines / 4;
        let first = blocks(&self.answer[..lines]).next().filter(|block| block.is_closed)?;
        Some(self.found.insert(first.text))
    }

    /// Returns the block of an answer that is over, where there is one, and whether it was not returned before.
    pub(crate) fn finish(&mut self) -> Option<(&str, bool)> {
        let is_new = self.found.is_none();
        if is_new {
            let mut all = blocks(&self.answer);
            let found = match self.which {
                Which::First => all.next(),
                Which::Last => all.last(),
            };
            self.found = found.map(|block| block.text);
        }
        self.found.as_deref().map(|block| (block, is_new))
    }
}

struct Block {
    /// What is between the fences, without what stands before every line of the list or quotation around it.
    text: String,
    /// Whether there is a second fence.
    is_closed: bool,
}

/// Returns the fenced code blocks of a text, by CommonMark. One that nothing closes ends where what it stands in does.
fn blocks(text: &str) -> impl Iterator<Item = Block> + '_ {
    let mut events = Parser::new(text).into_offset_iter();
    std::iter::from_fn(move || {
        let whole = events.find_map(|(event, range)| match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => Some(range),
            _ => None,
        })?;
        let mut block = Block { text: String::new(), is_closed: false };
        let mut end = line_end(text, whole.start);
        for (event, range) in events.by_ref() {
            match event {
                Event::Text(piece) => {
                    block.text.push_str(&piece);
                    end = end.max(range.end);
                }
                Event::End(TagEnd::CodeBlock) => break,
                _ => {}
            }
        }
        block.is_closed = is_fence(text, end..whole.end);
        Some(block)
    })
}

/// Returns where the line ends that a byte is in, its line break included.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |length| at + length + 1)
}

/// Tells whether a fence is what follows the text of a block.
fn is_fence(text: &str, rest: Range<usize>) -> bool {
    text.get(rest).is_some_and(|rest| rest.contains("```") || rest.contains("~~~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(which: Which, text: &str) -> Option<String> {
        let mut search = Search::new(which);
        search.push(text);
        search.finish().map(|(block, _)| block.to_owned())
    }

    fn both(text: &str) -> [Option<String>; 2] {
        [found(Which::First, text), found(Which::Last, text)]
    }

    fn only(text: &str) -> String {
        let [first, last] = both(text);
        assert_eq!(first, last, "{text}");
        first.unwrap_or_else(|| panic!("no block in {text:?}"))
    }

    #[test]
    fn fences_are_those_of_commonmark() {
        for (text, block) in [
            ("a\n```\nx\n```\nb", "x\n"),
            ("```rust,ignore {x=1}\nx\n\ny\n```", "x\n\ny\n"),
            ("~~~\nx\n```\ny\n~~~", "x\n```\ny\n"),
            ("````\n```\nx\n```\n````\n", "```\nx\n```\n"),
            ("```\nx\n`````\n", "x\n"),
            ("```\nx\n``\n```", "x\n``\n"),
            ("   ```\n   x\n     y\n  ```\n", "x\n  y\n"),
            ("```\nx", "x"),
            ("```\nx\n``` not a fence\ny", "x\n``` not a fence\ny"),
            ("```\n```", ""),
            ("``` a`b\n\n```\nx\n```\n", "x\n"),
            ("~~~ a`b~~~\nx\n~~~\n", "x\n"),
            ("- a\n\n  ```sh\n  x\n    y\n  ```\n- b", "x\n  y\n"),
            ("1. a\n   ```\n   x\n   ```", "x\n"),
            ("> ```\n> x\n>\n> y\n> ```\nb", "x\n\ny\n"),
            ("> - ```\n>   x\n>   ```", "x\n"),
            ("> ```\n> x\nb", "x\n"),
            ("```\r\nx\r\ny\r\n```\r\n", "x\ny\n"),
            ("```\n\tx\n```", "\tx\n"),
            ("```\n<b>&amp; \\* *x*\n```", "<b>&amp; \\* *x*\n"),
            ("<pre>\n```\nx\n```\n</pre>\n\n```\ny\n```", "y\n"),
        ] {
            assert_eq!(only(text), block, "{text:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_fence_is_none() {
        for text in
            ["", "no code", "a ```x``` b", "`` ` ``", "    ```\n    x\n    ```", "``\nx\n``", "\\```\nx"]
        {
            assert_eq!(both(text), [None, None], "{text:?}");
        }
    }

    #[test]
    fn the_first_and_the_last_are_told_apart() {
        let text = "```\n1\n```\nand\n~~~\n2\n~~~\nand\n\n> ```\n> 3";
        assert_eq!(both(text), [Some("1\n".to_owned()), Some("3".to_owned())]);
    }

    #[test]
    fn the_first_is_known_when_it_is_closed_however_the_answer_is_cut() {
        for text in [
            "```\nx\n```\nand so on\n```\ny\n```",
            "> a\n>\n> ~~~\n> x\n> ~~~\n> b\n",
            "- ```\n  x\n\n  ```\n",
        ] {
            let whole = found(Which::First, text);
            for size in 1..text.len() {
                let mut search = Search::new(Which::First);
                let mut all = Vec::new();
                for piece in text.as_bytes().chunks(size) {
                    all.extend(search.push(std::str::from_utf8(piece).unwrap()).map(str::to_owned));
                }
                all.extend(search.finish().filter(|(_, is_new)| *is_new).map(|(block, _)| block.to_owned()));
                assert_eq!(all, Vec::from_iter(whole.clone()), "{text:?} in pieces of {size}");
            }
        }
        let mut search = Search::new(Which::First);
        assert_eq!(search.push("```\nx\n``"), None);
        assert_eq!(search.push("`\n"), Some("x\n"));
        assert_eq!(search.push("```\ny\n```\n"), None);
        assert_eq!(search.finish(), Some(("x\n", false)));
    }

    #[test]
    fn an_answer_full_of_fences_is_read_a_few_times() {
        let mut search = Search::new(Which::First);
        for _ in 0..20_000 {
            assert_eq!(search.push("a ``` b\n"), None);
        }
        assert_eq!(search.finish(), None);
    }
}
