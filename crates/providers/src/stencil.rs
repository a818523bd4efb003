//! A stencil: the shape of a JSON frame that comes again and again with another text in it.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

/// Reads the text of a frame that differs from an earlier one, the model, only where the stencil has holes.
///
/// Nearly every chunk of a long answer is the one before with another text. JSON is read from left to right:
/// where two frames agree up to the opening quote of a string and from its closing quote on, a parser sees the
/// same frame with another string in that place. So a decoder that has read the model, and that would answer
/// its like with nothing but the text and be as it was before, need not read the like: comparing costs a
/// tenth of reading.
///
/// Two laws are the decoder's to keep. It cuts a stencil only from a frame whose repetition, with any other
/// text, would leave its state as it is; and it forgets the stencil with the next frame that it reads itself.
#[derive(Debug, Default)]
pub(crate) struct Stencil {
    model: String,
    holes: Vec<(Hole, Range<usize>)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Hole {
    /// The inside of the string that is looked for.
    Text,
    /// The inside of a string that nobody reads.
    Padding,
    /// Digits that nobody reads.
    Number,
}

impl Stencil {
    /// Cuts a stencil from `model`. `text` is what is looked for, and `unread` are JSON values that the decoder
    /// skips whatever they are; all of them are slices of `model`. Without a text in quotes there is no stencil.
    pub(crate) fn cut<'m>(
        &mut self,
        model: &'m str,
        text: &'m str,
        unread: impl IntoIterator<Item = &'m str>,
    ) {
        self.forget();
        let Some(text) = place(model, text).filter(|at| is_quoted(model, at)) else { return };
        self.holes.push((Hole::Text, text));
        for value in unread {
            let Some(at) = place(model, value) else { continue };
            match value.as_bytes() {
                [b'"', .., b'"'] => self.holes.push((Hole::Padding, at.start + 1..at.end - 1)),
                digits if is_number(digits) => self.holes.push((Hole::Number, at)),
                _ => {}
            }
        }
        self.holes.sort_unstable_by_key(|(_, at)| at.start);
        match self.holes.windows(2).all(|pair| pair[0].1.end <= pair[1].1.start) {
            true => self.model.push_str(model),
            false => self.forget(),
        }
    }

    /// Forgets the model.
    pub(crate) fn forget(&mut self) {
        self.model.clear();
        self.holes.clear();
    }

    /// Returns the text of a frame like the model, and nothing of any other frame. The text is not empty.
    pub(crate) fn read<'f>(&self, frame: &'f str) -> Option<Cow<'f, str>> {
        let (model, bytes) = (self.model.as_bytes(), frame.as_bytes());
        let (mut known, mut at, mut text) = (0, 0, None);
        for (hole, place) in &self.holes {
            at += bytes[at..].strip_prefix(&model[known..place.start]).map(|_| place.start - known)?;
            known = place.end;
            let rest = &bytes[at..];
            let len = match hole {
                Hole::Number => digits(rest)?,
                Hole::Padding => plain(rest)?,
                Hole::Text => match plain(rest) {
                    Some(0) => return None,
                    Some(len) => {
                        text = Some(Cow::Borrowed(frame.get(at..at + len)?));
                        len
                    }
                    None => {
                        let len = escaped(rest)?;
                        let quoted = frame.get(at - 1..at + len + 1)?;
                        text = Some(Cow::Owned(serde_json::from_str(quoted).ok()?));
                        len
                    }
                },
            };
            at += len;
        }
        text.filter(|_| bytes[at..] == model[known..])
    }
}

/// Returns where in `whole` its slice `part` stands, or nothing if it is no slice of it.
fn place(whole: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let at = start..start.checked_add(part.len())?;
    (whole.get(at.clone()) == Some(part)).then_some(at)
}

fn is_quoted(whole: &str, at: &Range<usize>) -> bool {
    let quote = |at: Option<usize>| at.and_then(|at| whole.as_bytes().get(at)) == Some(&b'"');
    quote(at.start.checked_sub(1)) && quote(Some(at.end))
}

fn is_number(bytes: &[u8]) -> bool {
    digits(bytes) == Some(bytes.len())
}

/// Returns the length of the digits at the head of `bytes`, unless JSON would not take them for a number.
fn digits(bytes: &[u8]) -> Option<usize> {
    let len = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    (len == 1 || len > 1 && bytes[0] != b'0').then_some(len)
}

/// Returns the length of the string at the head of `bytes`, up to its closing quote, if it says what it means.
fn plain(bytes: &[u8]) -> Option<usize> {
    let len = memchr2(b'"', b'\\', bytes)?;
    // Control characters may stand in a string in escapes only.
    let is_legal = bytes[..len].iter().fold(true, |legal, byte| legal & (*byte >= b' '));
    (is_legal && bytes[len] == b'"').then_some(len)
}

/// Returns the length of the string at the head of `bytes`, up to its closing quote.
fn escaped(bytes: &[u8]) -> Option<usize> {
    let mut len = 0;
    loop {
        len += memchr2(b'"', b'\\', bytes.get(len..)?)?;
        if bytes[len] == b'"' {
            return Some(len);
        }
        len += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = r#"{"n":12,"t":"one","p":"xx","f":null}"#;

    fn stencil() -> Stencil {
        let mut stencil = Stencil::default();
        stencil.cut(MODEL, &MODEL[13..16], [&MODEL[22..26], &MODEL[5..7]]);
        stencil
    }

    #[test]
    fn a_like_frame_is_read() {
        let stencil = stencil();
        let read = |frame| stencil.read(frame).map(Cow::into_owned);
        assert_eq!(read(MODEL).as_deref(), Some("one"));
        assert_eq!(read(r#"{"n":7,"t":"é👩‍🚀","p":"","f":null}"#).as_deref(), Some("é👩‍🚀"));
        assert_eq!(read(r#"{"n":0,"t":"a\"\\\n\u00e9","p":"xx","f":null}"#).as_deref(), Some("a\"\\\né"));
    }

    #[test]
    fn what_a_parser_would_see_otherwise_is_not_read() {
        let stencil = stencil();
        for frame in [
            "",
            r#"{"n":12,"t":"","p":"xx","f":null}"#,
            r#"{"n":12,"t":"one","p":"xx","f":true}"#,
            r#"{"n":12,"t":"one","p":"xx","f":null} "#,
            r#"{"n":12,"t":"one","u":1,"p":"xx","f":null}"#,
            r#"{"n":12,"t":"one\","p":"xx","f":null}"#,
            r#"{"n":12,"t":"\ud800","p":"xx","f":null}"#,
            r#"{"n":12,"t":"\x","p":"xx","f":null}"#,
            "{\"n\":12,\"t\":\"a\tb\",\"p\":\"xx\",\"f\":null}",
            "{\"n\":12,\"t\":\"a\\n\tb\",\"p\":\"xx\",\"f\":null}",
            "{\"n\":12,\"t\":\"one\",\"p\":\"\n\",\"f\":null}",
            r#"{"n":12,"t":"one","p":"\"","f":null}"#,
            r#"{"n":012,"t":"one","p":"xx","f":null}"#,
            r#"{"n":,"t":"one","p":"xx","f":null}"#,
            r#"{"n":1.5,"t":"one","p":"xx","f":null}"#,
            r#"{"n":12,"t":"one"#,
            r#"{"n":12,"t":"one\"#,
        ] {
            assert_eq!(stencil.read(frame), None, "{frame}");
        }
    }

    #[test]
    fn there_is_none_without_a_text_of_the_model() {
        let mut stencil = stencil();
        for text in [&MODEL[5..7], &MODEL[12..17], "one", ""] {
            stencil.cut(MODEL, text, []);
            assert_eq!(stencil.read(MODEL), None, "{text}");
        }
        stencil.cut(MODEL, &MODEL[13..16], [&MODEL[12..17]]);
        assert_eq!(stencil.read(MODEL), None, "holes do not overlap");
        stencil.cut(MODEL, &MODEL[13..16], []);
        assert!(stencil.read(MODEL).is_some());
        stencil.forget();
        assert_eq!((stencil.read(MODEL), stencil.read("")), (None, None));
    }
}
