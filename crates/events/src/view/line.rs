//! A line of text whose pieces say what they mean, for whoever has colours to show it.

use crate::columns::{columns, cut};

/// One line, made safe to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its pieces, from left to right.
    pub pieces: Vec<Piece>,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it says.
    pub text: String,
    /// What that means.
    pub tone: Tone,
}

/// What a piece of text means; a surface without colours shows all alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tone {
    /// Nothing beyond the words.
    #[default]
    Plain,
    /// What is there to be looked up: times, ids, frames.
    Soft,
    /// What is looked for first.
    Strong,
    /// It went well, or the model is at work.
    Good,
    /// It is odd, or somebody waits.
    Warning,
    /// It went wrong.
    Bad,
}

impl Line {
    /// Returns a line of one plain piece.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::default().and(Tone::Plain, text)
    }

    /// Returns the line with one more piece.
    #[must_use]
    pub fn and(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.push(tone, text);
        self
    }

    /// Adds a piece.
    pub fn push(&mut self, tone: Tone, text: impl Into<String>) {
        let text = text.into();
        match self.pieces.last_mut() {
            Some(last) if last.tone == tone => last.text.push_str(&text),
            _ if text.is_empty() => {}
            _ => self.pieces.push(Piece { text, tone }),
        }
    }

    /// Returns how many columns it takes.
    pub fn columns(&self) -> usize {
        self.pieces.iter().map(|piece| columns(&piece.text)).sum()
    }

    /// Returns the line cut to `width` columns.
    #[must_use]
    pub fn cut(self, width: usize) -> Self {
        if self.columns() <= width {
            return self;
        }
        let whole: String = self.pieces.iter().map(|piece| piece.text.as_str()).collect();
        let kept = cut(&whole, width);
        let (mut out, mut left) = (Self::default(), kept.strip_suffix('…').map_or(kept.len(), str::len));
        for piece in self.pieces {
            if piece.text.len() > left {
                out.push(piece.tone, format!("{}…", &piece.text[..left]));
                break;
            }
            left -= piece.text.len();
            out.push(piece.tone, piece.text);
        }
        if width == 0 { Self::default() } else { out }
    }

    /// Returns the words alone, without blanks at the end.
    pub fn text(&self) -> String {
        let text: String = self.pieces.iter().map(|piece| piece.text.as_str()).collect();
        text.trim_end().to_owned()
    }
}

/// Returns pieces two blanks apart, in as few lines of at most `width` columns as it takes; all lines but the first
/// begin `indent` columns further in. A piece that is wider than a line is cut.
pub(crate) fn flow(pieces: impl IntoIterator<Item = Piece>, width: usize, indent: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for piece in pieces.into_iter().filter(|piece| !piece.text.is_empty()) {
        let wide = columns(&piece.text);
        match lines.last_mut() {
            Some(line) if line.columns() + 2 + wide <= width => {
                line.push(Tone::Plain, "  ");
                line.push(piece.tone, piece.text);
            }
            last => {
                let start = if last.is_some() { indent } else { 0 };
                let text = cut(&piece.text, width.saturating_sub(start));
                lines.push(Line::plain(" ".repeat(start)).and(piece.tone, text));
            }
        }
    }
    lines
}

/// Returns lines as text, each ended.
pub(crate) fn text<'a>(lines: impl IntoIterator<Item = &'a Line>) -> String {
    lines.into_iter().map(|line| line.text() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_it_ends_whatever_its_pieces() {
        let line = Line::plain("one ").and(Tone::Bad, "漢字").and(Tone::Soft, " three");
        assert_eq!(line.columns(), 14);
        let cut: Vec<String> = [14, 13, 9, 8, 7, 4, 0].map(|width| line.clone().cut(width).text()).into();
        assert_eq!(cut, ["one 漢字 three", "one 漢字 thr…", "one 漢字…", "one 漢…", "one 漢…", "one…", ""]);
    }

    #[test]
    fn pieces_flow_into_lines() {
        let pieces = ["one", "two", "three", "a-long-one"]
            .map(|text| Piece { text: text.to_owned(), tone: Tone::Plain });
        assert_eq!(text(&flow(pieces, 9, 2)), "one  two\n  three\n  a-long…\n");
    }
}
