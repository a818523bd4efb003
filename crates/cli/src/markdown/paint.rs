//! Putting rows on the screen: what is done stays, what is open is changed in place where it must be.

use super::row::Row;

/// What is on the screen of what is not done, and where the cursor is: at the end of its last row, or at the
/// beginning of a fresh row where there is none.
#[derive(Clone)]
pub(super) struct Painter {
    colour: bool,
    rows: Vec<Row>,
    /// Whether the terminal may have moved what is open since it was painted.
    moved: bool,
}

impl Painter {
    pub(super) fn new(colour: bool) -> Self {
        Self { colour, rows: Vec::new(), moved: false }
    }

    /// Returns what is open on the screen.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Says that the size of the screen has changed.
    pub(super) fn resized(&mut self) {
        self.moved = !self.rows.is_empty();
    }

    /// Shows rows that are done and, after them, rows that may change.
    pub(super) fn paint(&mut self, done: Vec<Row>, open: Vec<Row>, size: (usize, usize), out: &mut String) {
        let count = done.len();
        let mut all = done;
        all.extend(open);
        let old = std::mem::take(&mut self.rows);
        let same = old.iter().zip(&all).take_while(|(old, new)| old == new).count();
        // The row to write next; the cursor stands at the end of the row before it, or where the row begins.
        let mut next = same;
        let mut fresh = same == 0;
        if same < old.len() {
            let is_last = same + 1 == old.len();
            match all.get(same).and_then(|new| old[same].begins(new)).filter(|_| is_last) {
                Some(from) => {
                    all[same].write(from, self.colour, out);
                    next += 1;
                    fresh = false;
                }
                None => {
                    next = if all.len() == same { same.saturating_sub(1) } else { same };
                    self.back(&old, next, size, out);
                    fresh = true;
                }
            }
        }
        for row in &all[next..] {
            if !fresh {
                out.push('\n');
            }
            row.write(0, self.colour, out);
            fresh = row.goes_on;
        }
        let open = all.split_off(count);
        if open.is_empty() {
            if !fresh {
                out.push('\n');
            }
            self.moved = false;
        }
        self.rows = open;
    }

    /// Takes the cursor to the beginning of an open row and clears the screen from there.
    fn back(&self, old: &[Row], to: usize, (columns, height): (usize, usize), out: &mut String) {
        let rows: usize = old[to..].iter().map(|row| row.height(columns)).sum();
        if self.moved || rows >= height {
            // It is not where it was painted, or out of reach: it stays, and is shown once more as it is now.
            out.push('\n');
            return;
        }
        out.push('\r');
        if rows > 1 {
            out.push_str(&format!("\x1b[{}A", rows - 1));
        }
        out.push_str("\x1b[J");
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::{Span, Style};
    use super::*;

    fn row(text: &str) -> Row {
        Row::of(vec![Span::new(Style::PLAIN, text)])
    }

    #[test]
    fn what_grows_is_appended_and_what_changes_is_written_anew() {
        let mut painter = Painter::new(true);
        let mut paint = |done: &[&str], open: &[&str]| {
            let mut out = String::new();
            let rows = |texts: &[&str]| texts.iter().map(|text| row(text)).collect();
            painter.paint(rows(done), rows(open), (80, 24), &mut out);
            out
        };
        assert_eq!(paint(&[], &["a"]), "a");
        assert_eq!(paint(&[], &["ab"]), "b");
        assert_eq!(paint(&["abc"], &["d"]), "c\nd");
        assert_eq!(paint(&[], &["d", "e"]), "\ne");
        assert_eq!(paint(&[], &["x", "e"]), "\r\x1b[1A\x1b[Jx\ne");
        assert_eq!(paint(&[], &["x"]), "\r\x1b[1A\x1b[Jx");
        assert_eq!(paint(&["x"], &[]), "\n");
        assert_eq!(paint(&["y"], &[]), "y\n");
        assert_eq!(paint(&[], &[]), "");
    }

    #[test]
    fn what_is_out_of_reach_is_shown_again() {
        let mut painter = Painter::new(true);
        let mut out = String::new();
        painter.paint(vec![], vec![row("a"), row("b")], (80, 2), &mut out);
        painter.paint(vec![], vec![row("c"), row("b")], (80, 2), &mut out);
        assert_eq!(out, "a\nb\nc\nb");
        out.clear();
        painter.resized();
        painter.paint(vec![row("d")], vec![], (80, 24), &mut out);
        assert_eq!(out, "\nd\n");
    }
}
