//! Tables: as wide as their cells while they fit, then as the screen.

use super::inline::{self, Manner};
use super::marker::Side;
use super::row::{self, Row, Span, Style, append, width};
use super::wrap::{TAB, lay, mark};

/// What stands between two columns.
const BAR: &str = " │ ";
/// The fewest columns a cell is squeezed to.
const NARROW: usize = 6;

/// A table while it grows. What is done of it is given row by row once it fills the screen; until then a wider cell
/// may still change what was shown.
#[derive(Clone, Debug)]
pub(super) struct Table {
    sides: Vec<Side>,
    head: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
    /// How wide the columns are, once that is settled.
    widths: Option<Widths>,
    first: Vec<Span>,
    later: Vec<Span>,
    columns: usize,
    height: usize,
    manner: Manner,
}

type Cell = Vec<Span>;

/// How a table is laid out.
#[derive(Clone, Debug)]
enum Widths {
    /// In columns of these widths; where cells had to be squeezed, rules part the rows.
    Grid { widths: Vec<usize>, squeezed: bool },
    /// Too many columns for the screen: each row is a list of its cells.
    List,
}

impl Table {
    /// Begins a table on a screen of so many columns and rows, whose rows begin with `first` or `later`.
    pub(super) fn new(
        head: Vec<String>,
        sides: Vec<Side>,
        (first, later): (Vec<Span>, Vec<Span>),
        (columns, height): (usize, usize),
        manner: Manner,
    ) -> Self {
        let indent: usize = later.iter().map(|span| width(&span.text)).sum();
        let columns = columns.saturating_sub(indent).max(1);
        let mut table = Self {
            sides,
            head: Vec::new(),
            rows: Vec::new(),
            widths: None,
            first,
            later,
            columns,
            height,
            manner,
        };
        table.head = table.read(head, Style::BOLD);
        table
    }

    /// Takes a row and gives what is done.
    pub(super) fn push(&mut self, cells: Vec<String>, out: &mut Vec<Row>) {
        let row = self.read(cells, Style::PLAIN);
        match &self.widths {
            Some(widths) => {
                let rows = self.row(&row, widths);
                out.extend(rows);
            }
            None => {
                self.rows.push(row);
                let natural = self.fit();
                let height: usize = self.layout(&natural).iter().map(|row| row.height(self.columns)).sum();
                if height + 3 > self.height {
                    let rows = self.layout(&natural);
                    self.give(rows, out);
                    self.widths = Some(natural);
                    self.rows.clear();
                }
            }
        }
    }

    /// Gives what was not given.
    pub(super) fn finish(mut self, out: &mut Vec<Row>) {
        if self.widths.is_none() {
            let rows = self.layout(&self.fit());
            self.give(rows, out);
        }
    }

    fn give(&mut self, rows: Vec<Row>, out: &mut Vec<Row>) {
        for (n, mut row) in rows.into_iter().enumerate() {
            if n == 0 {
                row.spans.splice(..self.later.len(), self.first.iter().cloned());
            }
            out.push(row);
        }
    }

    fn read(&self, cells: Vec<String>, style: Style) -> Vec<Cell> {
        let count = self.sides.len().max(cells.len());
        let read = |cell: String| inline::read(&cell, '\n', style, true, self.manner).settled;
        let mut row: Vec<Cell> = cells.into_iter().map(read).collect();
        row.resize(count, Vec::new());
        // What is written beyond the last column is not lost.
        if row.len() > self.sides.len() && !self.sides.is_empty() {
            let beyond = row.split_off(self.sides.len());
            let last = row.last_mut().expect("a table has a column");
            for cell in beyond {
                append(last, Style::PLAIN, " ");
                cell.iter().for_each(|span| append(last, span.style, &span.text));
            }
        }
        row
    }

    /// Returns how wide the columns are best.
    fn fit(&self) -> Widths {
        let count = self.sides.len();
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let natural: Vec<usize> =
            (0..count).map(|n| all().map(|row| natural(&row[n])).max().unwrap_or(0).max(1)).collect();
        let room = self.columns.saturating_sub(width(BAR) * (count - 1));
        if natural.iter().sum::<usize>() <= room {
            return Widths::Grid { widths: natural, squeezed: false };
        }
        // The widest give way first.
        let capped = |cap: usize| natural.iter().map(|width| (*width).min(cap)).sum::<usize>();
        let cap = (1..=room).rev().find(|cap| capped(*cap) <= room).unwrap_or(0);
        if cap < NARROW {
            return Widths::List;
        }
        let mut spare = room - capped(cap);
        let mut widths = Vec::with_capacity(count);
        for width in natural {
            let extra = usize::from(width > cap && spare > 0);
            spare -= extra;
            widths.push(width.min(cap) + extra);
        }
        Widths::Grid { widths, squeezed: true }
    }

    fn layout(&self, widths: &Widths) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Widths::Grid { widths, .. } = widths {
            rows.extend(self.grid(&self.head, widths));
            rows.push(self.rule(widths));
        }
        for row in &self.rows {
            rows.extend(self.row(row, widths));
        }
        if let (Widths::List, true) = (widths, self.rows.is_empty()) {
            rows.extend(self.list(&self.head));
        }
        rows
    }

    fn row(&self, row: &[Cell], widths: &Widths) -> Vec<Row> {
        match widths {
            Widths::Grid { widths, squeezed } => {
                let mut rows = self.grid(row, widths);
                if *squeezed {
                    rows.push(self.rule(widths));
                }
                rows
            }
            Widths::List => self.list(row),
        }
    }

    fn rule(&self, widths: &[usize]) -> Row {
        let rule = widths.iter().map(|width| "─".repeat(*width)).collect::<Vec<_>>().join("─┼─");
        let mut spans = self.later.clone();
        append(&mut spans, Style::MARK, &rule);
        Row::of(spans)
    }

    fn grid(&self, row: &[Cell], widths: &[usize]) -> Vec<Row> {
        let cells: Vec<Vec<Row>> = row.iter().zip(widths).map(|(cell, width)| lay(cell, *width)).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(1);
        let line = |n: usize| {
            let mut spans = self.later.clone();
            for (column, (cell, room)) in cells.iter().zip(widths).enumerate() {
                if column > 0 {
                    append(&mut spans, Style::MARK, BAR);
                }
                let empty = Row::default();
                let text = cell.get(n).unwrap_or(&empty);
                let spare = room.saturating_sub(text.room());
                let left = match self.sides[column] {
                    Side::Left => 0,
                    Side::Middle => spare / 2,
                    Side::Right => spare,
                };
                append(&mut spans, Style::PLAIN, &" ".repeat(left));
                text.spans.iter().for_each(|span| append(&mut spans, span.style, &span.text));
                if column + 1 < widths.len() {
                    append(&mut spans, Style::PLAIN, &" ".repeat(spare - left));
                }
            }
            Row::of(spans)
        };
        (0..height).map(line).collect()
    }

    /// Lays out a row as a list of its cells, each after the head of its column.
    fn list(&self, row: &[Cell]) -> Vec<Row> {
        let mut rows = Vec::new();
        for (head, cell) in self.head.iter().zip(row) {
            let mut spans = head.clone();
            if !std::ptr::eq(head, cell) {
                append(&mut spans, Style::BOLD, ": ");
                spans.extend(cell.iter().cloned());
            }
            for mut line in lay(&spans, self.columns) {
                line.spans.splice(..0, self.later.iter().cloned());
                rows.push(line);
            }
        }
        let mut rule = self.later.clone();
        rule.extend(mark(&"─".repeat(self.columns.min(8))));
        rows.push(Row::of(rule));
        rows
    }
}

/// Returns how wide a cell is where nothing squeezes it.
fn natural(cell: &Cell) -> usize {
    let text: String = cell.iter().map(|span| span.text.replace('\t', TAB)).collect();
    // A bar out of line is less than a row that is longer than the screen.
    text.split('\n').map(row::room).max().unwrap_or(0)
}
