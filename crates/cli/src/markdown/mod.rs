//! Markdown on a terminal while it streams: what is complete stays as it is, what is not shows at once as it likely
//! looks.

mod document;
mod inline;
mod link;
mod marker;
mod paint;
mod row;
mod table;
#[cfg(test)]
mod tests;
mod wrap;

use aichat_events::sanitise;

use self::document::Document;
use self::paint::Painter;
use self::row::Row;

/// How much of a line is kept until its end shows what it is, in bytes. The rest of a longer one is text of the same
/// kind.
const LONG: usize = 4096;

/// How much may be written over in one go whatever came, in bytes: some rows of a table, or of a paragraph.
const FREE: usize = 256;
/// How much more than that may be written over for each byte of text.
const SHARE: usize = 4;
/// What may be written over beside that, so that a short text shows at once.
const BEGUN: usize = 4096;

/// Columns and rows of a screen.
pub(crate) type Size = (usize, usize);

/// A text on its way to the screen. Where it is cut on its way makes no difference to what is there in the end.
///
/// What is open changes as more comes, and is written over. A text that would have much of it written over for little
/// that is new shows a little later, so that what is written stays in proportion to the text.
pub(crate) struct Markdown {
    document: Document,
    painter: Painter,
    size: Size,
    colour: bool,
    /// What was taken and not shown.
    pending: String,
    /// The line that is not complete.
    line: String,
    is_long: bool,
    /// Whether a carriage return waits for what follows it.
    returned: bool,
    done: Vec<Row>,
    /// How much may be written over.
    credit: usize,
}

impl Markdown {
    /// Begins a text on a screen of a size.
    pub(crate) fn new(size: Size, colour: bool) -> Self {
        Self {
            document: Document::new(size, !colour),
            painter: Painter::new(colour),
            size,
            colour,
            pending: String::new(),
            line: String::new(),
            is_long: false,
            returned: false,
            done: Vec::new(),
            credit: BEGUN,
        }
    }

    /// Takes more of the text.
    pub(crate) fn push(&mut self, text: &str) {
        self.pending.push_str(text);
        self.credit = self.credit.saturating_add(SHARE.saturating_mul(text.len()));
    }

    /// Shows what was taken, on a screen that may have another size now. Returns what to write to the terminal.
    pub(crate) fn draw(&mut self, size: Size) -> String {
        self.resize(size);
        let mut out = String::new();
        if self.pending.is_empty() {
            return out;
        }
        self.read();
        let mut open = Vec::new();
        if !self.is_long {
            self.document.likely(&self.line, &mut open);
        } else {
            self.document.likely("", &mut open);
        }
        let mut painter = self.painter.clone();
        painter.paint(self.done.clone(), open, self.size, &mut out);
        let first = self.done.iter().map(|row| row.written(self.colour)).sum();
        let over = out.len().saturating_sub(first);
        if over > FREE {
            let Some(left) = self.credit.checked_sub(over) else { return String::new() };
            self.credit = left;
        }
        self.painter = painter;
        self.done.clear();
        out
    }

    /// Ends the text, so that another may begin, and returns what is left to write.
    pub(crate) fn finish(&mut self, size: Size) -> String {
        self.resize(size);
        self.read();
        if std::mem::take(&mut self.returned) {
            self.line.push('␍');
        }
        let fresh = Document::new(self.size, !self.colour);
        let mut document = std::mem::replace(&mut self.document, fresh);
        if !std::mem::take(&mut self.is_long) && !self.line.is_empty() {
            document.line(&self.line, &mut self.done);
        }
        self.line.clear();
        document.finish(&mut self.done);
        let mut out = String::new();
        self.painter.paint(std::mem::take(&mut self.done), Vec::new(), self.size, &mut out);
        out
    }

    fn resize(&mut self, size: Size) {
        if size == self.size {
            return;
        }
        let rows = self.painter.rows();
        let is_wide = rows.last().is_some_and(|row| row.width() > size.0);
        let kept = rows.len().saturating_sub(1) + usize::from(is_wide);
        // What waits to be shown is laid out already.
        let kept = kept.saturating_sub(self.done.len());
        self.document.resize(size, kept);
        self.painter.resized();
        self.size = size;
    }

    /// Reads what was taken, line by line.
    fn read(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        for piece in pending.split_inclusive('\n') {
            let (text, ends) = match piece.strip_suffix('\n') {
                Some(text) => (text, true),
                None => (piece, false),
            };
            // A carriage return ends a line only together with a line feed.
            if std::mem::take(&mut self.returned) && !(ends && text.is_empty()) {
                self.text("\r");
            }
            let (text, returned) = match text.strip_suffix('\r') {
                Some(text) => (text, true),
                None => (text, false),
            };
            self.text(text);
            match ends {
                true => self.end_line(),
                false => self.returned = returned,
            }
        }
    }

    fn text(&mut self, text: &str) {
        let text = sanitise(text);
        if self.is_long {
            if !text.is_empty() {
                self.document.more(&text, &mut self.done);
            }
            return;
        }
        self.line.push_str(&text);
        if self.line.len() > LONG {
            let cut = (0..=LONG).rev().find(|cut| self.line.is_char_boundary(*cut)).unwrap_or(0);
            let line = std::mem::take(&mut self.line);
            self.is_long = true;
            self.document.begin_long(&line[..cut], &mut self.done);
            self.document.more(&line[cut..], &mut self.done);
        }
    }

    fn end_line(&mut self) {
        match std::mem::take(&mut self.is_long) {
            true => self.document.end_long(&mut self.done),
            false => {
                let line = std::mem::take(&mut self.line);
                self.document.line(&line, &mut self.done);
            }
        }
    }
}
