//! The blocks of a document, line by line: what each line belongs to is known from the lines before it.

use super::inline::{self, Manner};
use super::marker::{self, Bullet, Fence, indent};
use super::row::{Row, Span, Style, append, width};
use super::table::Table;
use super::wrap::{Columns, Wrapper, mark};

/// How deep quotes and lists are told apart.
const DEEPEST: usize = 24;
/// How long the rules around code are.
const RULE: usize = 20;

/// A document of which every line so far was read.
#[derive(Clone, Debug)]
pub(super) struct Document {
    columns: Columns,
    height: usize,
    manner: Manner,
    containers: Vec<Container>,
    leaf: Leaf,
    /// A line of text that is the head of a table if the next line says so.
    head: Option<String>,
    /// A blank line, and how many containers it was in.
    gap: Option<usize>,
    begun: bool,
    /// Whether more of the line follows.
    goes_on: bool,
}

#[derive(Clone, Debug)]
enum Container {
    Quote,
    Item {
        /// How far its lines are indented.
        indent: usize,
        /// What marks it, until that is shown.
        mark: Option<Span>,
        /// How many columns that takes.
        width: usize,
    },
}

#[derive(Clone, Debug)]
enum Leaf {
    None,
    Paragraph(Paragraph),
    Fenced(Fence),
    Table(Box<Table>),
}

#[derive(Clone, Debug)]
struct Paragraph {
    wrapper: Wrapper,
    style: Style,
    /// What is not decided, and the character before it.
    rest: String,
    before: char,
    /// How wide its last line is.
    last: usize,
}

impl Document {
    /// Begins a document on a screen of so many columns and rows.
    pub(super) fn new((columns, height): (usize, usize), ticks: bool) -> Self {
        Self {
            columns: Columns::new(columns),
            height,
            manner: Manner { reach: reach(columns, height), ticks },
            containers: Vec::new(),
            leaf: Leaf::None,
            head: None,
            gap: None,
            begun: false,
            goes_on: false,
        }
    }

    /// Changes the size of the screen; so many of the rows that come next are laid out for the old one.
    pub(super) fn resize(&mut self, (columns, height): (usize, usize), except: usize) {
        self.columns.change(columns, except);
        self.height = height;
        self.manner.reach = reach(columns, height);
    }

    /// Reads a line and gives the rows that are done.
    pub(super) fn line(&mut self, line: &str, out: &mut Vec<Row>) {
        if let Leaf::Fenced(fence) = &self.leaf {
            match self.within_quotes(line) {
                Some(rest) if fence.is_closed_by(rest) => return self.close_leaf(out),
                Some(rest) => {
                    let code = fence.code(rest).to_owned();
                    return self.code(&code, out);
                }
                None => self.close_leaf(out),
            }
        }
        let line = marker::untabbed(line);
        let (matched, rest) = self.matching(&line);
        if rest.trim().is_empty() {
            return self.blank(matched, out);
        }
        if matched == self.containers.len() && self.begin_table(rest, out) {
            return;
        }
        if matched < self.containers.len() {
            if self.in_text() && !begins_block(rest) {
                return self.text(rest, out);
            }
            self.leave(matched, out);
        }
        let mut rest = rest.to_owned();
        while let Some(inner) = self.begin(&rest, out) {
            if inner.is_empty() {
                return;
            }
            rest = inner;
        }
    }

    /// Reads the beginning of a line that is long.
    pub(super) fn begin_long(&mut self, start: &str, out: &mut Vec<Row>) {
        self.goes_on = true;
        self.line(start, out);
    }

    /// Reads more of a long line.
    pub(super) fn more(&mut self, text: &str, out: &mut Vec<Row>) {
        match &mut self.leaf {
            Leaf::Fenced(_) => self.code(text, out),
            Leaf::Paragraph(_) => self.take(text, out),
            _ => self.add(text, out),
        }
    }

    /// Ends a long line.
    pub(super) fn end_long(&mut self, out: &mut Vec<Row>) {
        self.goes_on = false;
        if matches!(self.leaf, Leaf::Fenced(_)) {
            self.give(Row::default(), out);
        }
    }

    /// Ends the document.
    pub(super) fn finish(mut self, out: &mut Vec<Row>) {
        if self.goes_on {
            self.end_long(out);
        }
        self.leave(0, out);
    }

    /// Gives what is not done, with a line that is not all there, as it looks if it goes on as it began.
    pub(super) fn likely(&self, line: &str, out: &mut Vec<Row>) {
        let mut draft = self.clone();
        if !line.is_empty() && !self.is_unclear(line) {
            draft.line(line, out);
        }
        draft.head_to_text(out);
        match std::mem::replace(&mut draft.leaf, Leaf::None) {
            Leaf::Paragraph(paragraph) => paragraph.likely(draft.manner, &mut draft.columns, out),
            Leaf::Fenced(_) => {}
            leaf => {
                draft.leaf = leaf;
                draft.close_leaf(out);
            }
        }
        for row in out {
            row.goes_on = false;
        }
    }

    fn is_unclear(&self, line: &str) -> bool {
        match &self.leaf {
            Leaf::Table(_) => line.trim().is_empty(),
            Leaf::Fenced(fence) => match self.within_quotes(line) {
                Some(rest) => fence.may_be_closed_by(rest),
                None => line.trim_matches([' ', '>']).is_empty(),
            },
            _ => {
                let is_rule_of_table = || line.trim().chars().all(|c| "|-: ".contains(c));
                (self.head.is_some() && is_rule_of_table()) || marker::is_unclear(line, false)
            }
        }
    }

    /// Returns how many containers a line is in, and what of it is inside them.
    fn matching<'a>(&self, line: &'a str) -> (usize, &'a str) {
        let mut rest = line;
        for (n, container) in self.containers.iter().enumerate() {
            let blanks = indent(rest);
            match container {
                Container::Quote if blanks < 4 && rest[blanks..].starts_with('>') => {
                    rest = inside_quote(&rest[blanks..]);
                }
                Container::Item { .. } if rest.trim().is_empty() => {}
                Container::Item { indent, .. } if blanks >= *indent => rest = &rest[*indent..],
                _ => return (n, rest),
            }
        }
        (self.containers.len(), rest)
    }

    /// Returns what of a line is inside the quotes it must be in. Code in a list is often indented less than it.
    fn within_quotes<'a>(&self, line: &'a str) -> Option<&'a str> {
        let mut rest = line;
        for _ in self.containers.iter().filter(|container| matches!(container, Container::Quote)) {
            rest = rest
                .trim_start_matches(' ')
                .starts_with('>')
                .then(|| inside_quote(rest.trim_start_matches(' ')))?;
        }
        Some(rest)
    }

    fn in_text(&self) -> bool {
        self.head.is_some() || matches!(self.leaf, Leaf::Paragraph(_))
    }

    fn in_list(&self) -> bool {
        matches!(self.containers.last(), Some(Container::Item { .. }))
    }

    fn blank(&mut self, matched: usize, out: &mut Vec<Row>) {
        self.close_leaf(out);
        self.leave(matched, out);
        self.gap = Some(matched);
    }

    /// Begins the block that a line begins, and returns what of the line is inside it.
    fn begin(&mut self, rest: &str, out: &mut Vec<Row>) -> Option<String> {
        let done = Some(String::new());
        let blanks = indent(rest);
        let body = &rest[blanks..];
        let is_deep = self.containers.len() >= DEEPEST;
        let bullet = Bullet::read(body).filter(|bullet| {
            !is_deep
                && !marker::is_rule(body)
                && (blanks < 4 || self.in_list())
                && (!self.in_text() || self.in_list() || bullet.interrupts())
        });
        if blanks >= 4 && bullet.is_none() {
            match self.in_text() {
                true => self.text(body, out),
                false => {
                    self.close_leaf(out);
                    self.space(out);
                    self.show_marks(out);
                    self.code(&rest[4..], out);
                }
            }
            return done;
        }
        if let Leaf::Table(table) = &mut self.leaf {
            if body.contains('|') && !self.goes_on {
                let mut rows = Vec::new();
                table.push(marker::cells(body), &mut rows);
                rows.into_iter().for_each(|row| self.give(row, out));
                return done;
            }
            self.close_leaf(out);
        }
        if body.starts_with('>') && !is_deep {
            self.close_leaf(out);
            self.containers.push(Container::Quote);
            return Some(inside_quote(body).to_owned());
        }
        if let Some((level, text)) = marker::heading(body).filter(|_| !self.goes_on) {
            self.close_leaf(out);
            self.open_paragraph(heading_style(level), out);
            self.take(text, out);
            self.close_leaf(out);
            return done;
        }
        if let Some(mut fence) = Fence::read(body, blanks) {
            self.close_leaf(out);
            self.space(out);
            self.show_marks(out);
            fence.indent += self.indent_of_items();
            self.give(Row::of(mark(&fence_rule(&fence.info))), out);
            self.leaf = Leaf::Fenced(fence);
            return done;
        }
        if let (Leaf::Paragraph(paragraph), None, Some(line)) =
            (&self.leaf, &self.head, marker::underline(body))
        {
            let rule = if line == '=' { "═" } else { "─" };
            let length = paragraph.last.clamp(1, self.columns.now);
            self.close_leaf(out);
            return self.rule(&rule.repeat(length), out);
        }
        if marker::is_rule(body) {
            self.close_leaf(out);
            self.space(out);
            let length = self.columns.now.min(2 * RULE);
            return self.rule(&"─".repeat(length), out);
        }
        if let Some(bullet) = bullet {
            self.close_leaf(out);
            return Some(self.begin_item(bullet, blanks));
        }
        self.text(body, out);
        done
    }

    fn begin_item(&mut self, bullet: Bullet<'_>, blanks: usize) -> String {
        let depth = self.containers.iter().filter(|outer| matches!(outer, Container::Item { .. })).count();
        let task = bullet.task.map(|done| if done { "☑ " } else { "☐ " });
        let shown = match (bullet.number, task) {
            (Some(number), task) => format!("{number} {}", task.unwrap_or_default()),
            (None, Some(task)) => task.to_owned(),
            (None, None) => ["• ", "◦ ", "▪ "][depth % 3].to_owned(),
        };
        let width = width(&shown);
        let mark = Some(Span::new(Style::MARK, shown));
        self.containers.push(Container::Item { indent: blanks + bullet.width, mark, width });
        bullet.text.to_owned()
    }

    /// Draws a rule within the containers.
    fn rule(&mut self, text: &str, out: &mut Vec<Row>) -> Option<String> {
        let (mut spans, _) = self.prefixes();
        let taken: usize = spans.iter().map(|span| width(&span.text)).sum();
        let room = self.columns.now.saturating_sub(taken).max(1);
        let text: String = text.chars().take(room).collect();
        append(&mut spans, Style::MARK, &text);
        self.give(Row::of(spans), out);
        Some(String::new())
    }

    /// Takes a line of text.
    fn text(&mut self, text: &str, out: &mut Vec<Row>) {
        self.head_to_text(out);
        let text = text.trim_start_matches(' ');
        match !self.goes_on && text.contains('|') && text.len() <= self.manner.reach {
            true => self.head = Some(text.to_owned()),
            false => self.add(text, out),
        }
    }

    /// What might have been the head of a table is text.
    fn head_to_text(&mut self, out: &mut Vec<Row>) {
        if let Some(head) = self.head.take() {
            self.add(&head, out);
        }
    }

    /// Adds a line to the paragraph, or begins one.
    fn add(&mut self, text: &str, out: &mut Vec<Row>) {
        match matches!(self.leaf, Leaf::Paragraph(_)) {
            true => self.take("\n", out),
            false => {
                self.close_leaf(out);
                self.open_paragraph(Style::PLAIN, out);
            }
        }
        self.take(text, out);
    }

    fn open_paragraph(&mut self, style: Style, out: &mut Vec<Row>) {
        self.space(out);
        self.begun = true;
        let (first, later) = self.prefixes();
        self.leaf = Leaf::Paragraph(Paragraph {
            wrapper: Wrapper::new(first, later),
            style,
            rest: String::new(),
            before: '\n',
            last: 0,
        });
    }

    /// Gives text to the paragraph there is.
    fn take(&mut self, text: &str, out: &mut Vec<Row>) {
        if let Leaf::Paragraph(paragraph) = &mut self.leaf {
            paragraph.take(text, self.manner, &mut self.columns, out);
        }
    }

    fn begin_table(&mut self, rest: &str, out: &mut Vec<Row>) -> bool {
        let Some(head) = &self.head else { return false };
        let head = marker::cells(head);
        let Some(sides) = marker::sides(rest).filter(|sides| sides.len() == head.len()) else { return false };
        self.head = None;
        self.close_leaf(out);
        self.space(out);
        let prefixes = self.prefixes();
        let size = (self.columns.now, self.height);
        self.leaf = Leaf::Table(Box::new(Table::new(head, sides, prefixes, size, self.manner)));
        true
    }

    /// Gives a line of code as it is: nothing stands beside it, so that it can be copied.
    fn code(&mut self, code: &str, out: &mut Vec<Row>) {
        let spans = if code.is_empty() { Vec::new() } else { vec![Span::new(Style::CODE, code)] };
        self.give(Row { spans, goes_on: self.goes_on }, out);
    }

    /// Ends the block that takes lines.
    fn close_leaf(&mut self, out: &mut Vec<Row>) {
        self.head_to_text(out);
        match std::mem::replace(&mut self.leaf, Leaf::None) {
            Leaf::None => {}
            Leaf::Paragraph(paragraph) => paragraph.finish(self.manner, &mut self.columns, out),
            Leaf::Fenced(fence) => {
                let length = width(&fence_rule(&fence.info));
                self.give(Row::of(mark(&"─".repeat(length))), out);
            }
            Leaf::Table(table) => {
                let mut rows = Vec::new();
                table.finish(&mut rows);
                rows.into_iter().for_each(|row| self.give(row, out));
            }
        }
    }

    /// Ends every container but the first few.
    fn leave(&mut self, depth: usize, out: &mut Vec<Row>) {
        if depth < self.containers.len() {
            self.close_leaf(out);
            if self.containers[depth..].iter().any(Container::is_unmarked) {
                self.show_marks(out);
            }
            self.containers.truncate(depth);
            self.gap = self.gap.map(|inside| inside.min(depth));
        } else if depth == 0 {
            self.close_leaf(out);
        }
    }

    /// Shows the marks of items that begin with something that stands beside nothing.
    fn show_marks(&mut self, out: &mut Vec<Row>) {
        if self.containers.iter().any(Container::is_unmarked) {
            self.space(out);
            let (first, _) = self.prefixes();
            self.give(Row::of(first), out);
        }
    }

    /// Shows that there was a blank line.
    fn space(&mut self, out: &mut Vec<Row>) {
        if let Some(depth) = self.gap.take().filter(|_| self.begun) {
            let depth = depth.min(self.containers.len());
            let quotes = self.containers[..depth].iter().rposition(|outer| matches!(outer, Container::Quote));
            let mut spans = Vec::new();
            for container in &self.containers[..quotes.map_or(0, |last| last + 1)] {
                append(&mut spans, Style::MARK, &container.later());
            }
            if let Some(last) = spans.last_mut() {
                last.text.truncate(last.text.trim_end().len());
            }
            self.give(Row::of(spans), out);
        }
    }

    /// Returns what the first row of a block begins with, and what every other does.
    fn prefixes(&mut self) -> (Vec<Span>, Vec<Span>) {
        let mut most = (self.columns.now / 2).max(2);
        let (mut first, mut later) = (Vec::new(), Vec::new());
        // Where they do not fit, the outermost are left out; marks are part of what is said.
        for container in self.containers.iter_mut().rev() {
            let rest = container.later();
            let mark = container.mark();
            let fits = width(&rest) <= most;
            if fits {
                most -= width(&rest);
                later.push(Span::new(Style::MARK, rest.as_str()));
            }
            first.extend(mark.or_else(|| fits.then(|| Span::new(Style::MARK, rest))));
        }
        first.reverse();
        later.reverse();
        (first, later)
    }

    fn indent_of_items(&self) -> usize {
        let indents = self.containers.iter().rev().map_while(|container| match container {
            Container::Item { indent, .. } => Some(*indent),
            Container::Quote => None,
        });
        indents.sum()
    }

    fn give(&mut self, row: Row, out: &mut Vec<Row>) {
        self.begun = true;
        self.columns.done();
        out.push(row);
    }
}

impl Container {
    fn later(&self) -> String {
        match self {
            Self::Quote => "│ ".to_owned(),
            Self::Item { width, .. } => " ".repeat(*width),
        }
    }

    fn mark(&mut self) -> Option<Span> {
        match self {
            Self::Quote => None,
            Self::Item { mark, .. } => mark.take(),
        }
    }

    fn is_unmarked(&self) -> bool {
        matches!(self, Self::Item { mark: Some(_), .. })
    }
}

impl Paragraph {
    fn take(&mut self, text: &str, manner: Manner, columns: &mut Columns, out: &mut Vec<Row>) {
        self.last = if text == "\n" { 0 } else { self.last + width(text) };
        self.rest.push_str(text);
        let reading = inline::read(&self.rest, self.before, self.style, false, manner);
        self.wrapper.push(&reading.settled, columns, out);
        self.before = self.rest[..reading.taken].chars().next_back().unwrap_or(self.before);
        self.rest.drain(..reading.taken);
    }

    fn finish(mut self, manner: Manner, columns: &mut Columns, out: &mut Vec<Row>) {
        let reading = inline::read(&self.rest, self.before, self.style, true, manner);
        self.wrapper.push(&reading.settled, columns, out);
        self.wrapper.finish(columns, out);
    }

    fn likely(mut self, manner: Manner, columns: &mut Columns, out: &mut Vec<Row>) {
        let reading = inline::read(&self.rest, self.before, self.style, false, manner);
        self.wrapper.push(&reading.settled, columns, out);
        self.wrapper.push(&reading.likely, columns, out);
        self.wrapper.finish(columns, out);
    }
}

/// Returns how long a construct within a line may be, so that what is undecided stays on the screen.
fn reach(columns: usize, height: usize) -> usize {
    (columns * height.saturating_sub(2) / 2).clamp(200, 2000)
}

/// Returns what of a line is inside the quote it begins with.
fn inside_quote(line: &str) -> &str {
    let inner = &line[1..];
    inner.strip_prefix(' ').unwrap_or(inner)
}

fn heading_style(level: usize) -> Style {
    match level {
        1 => Style::BOLD.with(Style::UNDERLINED).with(Style::HEADING),
        2 => Style::BOLD.with(Style::HEADING),
        3 => Style::BOLD,
        _ => Style::BOLD.with(Style::ITALIC),
    }
}

/// Returns the rule over code, which names the language.
fn fence_rule(info: &str) -> String {
    match info.replace('\t', " ").as_str() {
        "" => "─".repeat(RULE),
        info => format!("─── {info} {}", "─".repeat(RULE.saturating_sub(5 + width(info)).max(3))),
    }
}

/// Tells whether a line begins a block that a paragraph does not go on into.
fn begins_block(line: &str) -> bool {
    let blanks = indent(line);
    let body = &line[blanks..];
    blanks < 4
        && (body.starts_with('>')
            || marker::heading(body).is_some()
            || Fence::read(body, 0).is_some()
            || marker::is_rule(body)
            || Bullet::read(body).is_some_and(|bullet| !bullet.text.is_empty()))
}
