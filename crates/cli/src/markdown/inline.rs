//! What stands within a line of text: emphasis, code, links, escapes. Read as far as it is decided, while it arrives.

use aichat_events::sanitise;

use super::link::{self, Found};
use super::row::{Span, Style, append};

/// What a text reads as.
pub(super) struct Reading {
    /// What is decided, whatever follows.
    pub(super) settled: Vec<Span>,
    /// How many bytes of the source that is.
    pub(super) taken: usize,
    /// What the rest looks like if it goes on the way it began.
    pub(super) likely: Vec<Span>,
}

/// How text is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// How long emphasis, code or a link can be, in bytes: what is undecided must stay within reach.
    pub(super) reach: usize,
    /// Whether code shows its backticks, where no colour tells it.
    pub(super) ticks: bool,
}

/// Reads text that follows `before`. What has not `ended` may go on.
///
/// A construct that is open at the end of what may go on is likely to be closed, one that is open at the end is
/// the text it is written in. A line feed in a span is a line feed.
pub(super) fn read(source: &str, before: char, style: Style, ended: bool, manner: Manner) -> Reading {
    let mut reader = Reader {
        source,
        before,
        style,
        ended,
        reach: manner.reach,
        ticks: manner.ticks,
        nodes: Vec::new(),
        brackets: Vec::new(),
        open: source.len(),
    };
    reader.tokens();
    let last = reader.nodes.len();
    reader.emphasise(0, last);
    reader.finish()
}

/// A piece of what is read.
struct Node {
    /// Where it begins in the source.
    at: usize,
    text: String,
    style: Style,
    run: Option<Run>,
}

/// A run of asterisks, underscores or tildes that may begin or end something.
#[derive(Clone, Copy)]
struct Run {
    mark: char,
    /// How many marks are not used up.
    left: usize,
    length: usize,
    opens: bool,
    closes: bool,
}

/// A bracket that may begin a link.
struct Bracket {
    node: usize,
    at: usize,
    image: bool,
    live: bool,
}

struct Reader<'a> {
    source: &'a str,
    before: char,
    style: Style,
    ended: bool,
    reach: usize,
    ticks: bool,
    nodes: Vec<Node>,
    brackets: Vec<Bracket>,
    /// Where what is not decided begins.
    open: usize,
}

impl Reader<'_> {
    fn tokens(&mut self) {
        let mut at = 0;
        while at < self.source.len() {
            at = self.token(at);
        }
    }

    /// Reads what stands at a place and returns where it ends.
    fn token(&mut self, at: usize) -> usize {
        let rest = &self.source[at..];
        let first = rest.chars().next().expect("there is a rest");
        match first {
            '\\' => match rest[1..].chars().next() {
                None if !self.ended => self.undecided(at),
                // A break that is written out: lines are kept as they are anyway.
                Some('\n') => at + 1,
                Some(next) if next.is_ascii_punctuation() => {
                    self.text(at, &rest[1..2]);
                    at + 2
                }
                _ => self.literal(at, 1),
            },
            '`' => self.code(at),
            '*' | '_' | '~' => self.run(at, first),
            '!' if rest.starts_with("![") => self.bracket(at, true),
            '!' if rest.len() == 1 && !self.ended => self.undecided(at),
            '[' => self.bracket(at, false),
            ']' => self.close_bracket(at),
            '<' => self.found(at, link::angle(rest, self.reach)),
            '&' => self.found(at, link::entity(rest)),
            '\n' => {
                if let Some(last) = self.nodes.last_mut().filter(|node| node.run.is_none()) {
                    last.text.truncate(last.text.trim_end_matches(' ').len());
                }
                self.text(at, "\n");
                let blank = rest[1..].len() - rest[1..].trim_start_matches([' ', '\t']).len();
                at + 1 + blank
            }
            _ => {
                let special =
                    |c| matches!(c, '\\' | '`' | '*' | '_' | '~' | '!' | '[' | ']' | '<' | '&' | '\n');
                let start = first.len_utf8();
                let end = rest[start..].find(special).map_or(rest.len(), |end| start + end);
                self.literal(at, end)
            }
        }
    }

    fn text(&mut self, at: usize, text: &str) {
        self.nodes.push(Node { at, text: text.to_owned(), style: self.style, run: None });
    }

    fn literal(&mut self, at: usize, length: usize) -> usize {
        let source = self.source;
        self.text(at, &source[at..at + length]);
        at + length
    }

    /// Leaves the rest for later: more of it must come first.
    fn undecided(&mut self, at: usize) -> usize {
        self.open = self.open.min(at);
        self.source.len()
    }

    fn found(&mut self, at: usize, found: Found) -> usize {
        match found {
            Found::Nothing => self.literal(at, 1),
            Found::Unfinished if !self.ended => self.undecided(at),
            Found::Unfinished => self.literal(at, 1),
            Found::Text { text, length } => {
                self.text(at, &sanitise(&text));
                at + length
            }
            Found::Link { text, length } => {
                self.text(at, &text);
                if let Some(node) = self.nodes.last_mut() {
                    node.style = node.style.with(Style::LINK).with(Style::UNDERLINED);
                }
                at + length
            }
        }
    }

    fn code(&mut self, at: usize) -> usize {
        let rest = &self.source[at..];
        let length = rest.len() - rest.trim_start_matches('`').len();
        let ticks = &rest[..length];
        let body = &rest[length..];
        let mut from = 0;
        let end = loop {
            let Some(found) = body[from..].find('`') else { break None };
            let start = from + found;
            let run = body[start..].len() - body[start..].trim_start_matches('`').len();
            from = start + run;
            // A run at the end of what there is may become longer.
            if from == body.len() && !self.ended {
                break None;
            }
            if run == length {
                break Some(start);
            }
        };
        let style = self.style.with(Style::CODE);
        match end.filter(|end| 2 * length + end <= self.reach) {
            Some(end) => {
                let inner = body[..end].replace('\n', " ");
                let bare = inner
                    .strip_prefix(' ')
                    .and_then(|inner| inner.strip_suffix(' '))
                    .filter(|bare| !bare.trim_matches(' ').is_empty());
                let text = self.ticked(bare.unwrap_or(&inner));
                self.nodes.push(Node { at, text, style, run: None });
                at + 2 * length + end
            }
            None if !self.ended && rest.len() <= self.reach => {
                let text = self.ticked(&body.trim_end_matches('`').replace('\n', " "));
                self.nodes.push(Node { at, text, style, run: None });
                self.undecided(at)
            }
            None => {
                self.text(at, ticks);
                at + length
            }
        }
    }

    fn ticked(&self, code: &str) -> String {
        if self.ticks { format!("`{code}`") } else { code.to_owned() }
    }

    fn run(&mut self, at: usize, mark: char) -> usize {
        let rest = &self.source[at..];
        let length = rest.len() - rest.trim_start_matches(mark).len();
        if rest.len() == length && !self.ended {
            // How long it is and what it does shows with what follows.
            return self.undecided(at);
        }
        let before = self.source[..at].chars().next_back().unwrap_or(self.before);
        let after = rest[length..].chars().next().unwrap_or('\n');
        let (left, right) = (flanks(before, after), flanks(after, before));
        let (opens, closes) = match mark {
            '_' => (left && (!right || is_punctuation(before)), right && (!left || is_punctuation(after))),
            _ => (left, right),
        };
        let run = Run { mark, left: length, length, opens, closes };
        let run = Some(run).filter(|run| (opens || closes) && (mark != '~' || run.length == 2));
        self.nodes.push(Node { at, text: rest[..length].to_owned(), style: self.style, run });
        at + length
    }

    fn bracket(&mut self, at: usize, image: bool) -> usize {
        let length = 1 + usize::from(image);
        self.brackets.push(Bracket { node: self.nodes.len(), at, image, live: true });
        self.literal(at, length)
    }

    fn close_bracket(&mut self, at: usize) -> usize {
        let Some(bracket) = self.brackets.pop() else { return self.literal(at, 1) };
        if !bracket.live || at - bracket.at > self.reach {
            return self.literal(at, 1);
        }
        let rest = &self.source[at + 1..];
        match link::target(rest, self.reach.saturating_sub(at - bracket.at)) {
            Found::Unfinished if !self.ended => {
                self.open = self.open.min(bracket.at);
                self.literal(at, 1)
            }
            Found::Link { text: url, length } => {
                self.emphasise(bracket.node + 1, self.nodes.len());
                let style = Style::LINK.with(Style::UNDERLINED);
                let mut shown = String::new();
                self.nodes[bracket.node].text.clear();
                for node in &mut self.nodes[bracket.node + 1..] {
                    node.style = node.style.with(style);
                    node.run = None;
                    shown.push_str(&node.text);
                }
                if !bracket.image {
                    self.brackets
                        .iter_mut()
                        .filter(|outer| !outer.image)
                        .for_each(|outer| outer.live = false);
                }
                let url = sanitise(&url).into_owned();
                if url != shown && !url.is_empty() {
                    let style = self.style.with(Style::LINK);
                    let text = if shown.is_empty() { url } else { format!(" ({url})") };
                    self.nodes.push(Node { at, text, style, run: None });
                }
                at + 1 + length
            }
            _ => self.literal(at, 1),
        }
    }

    /// Pairs the runs among some nodes, each with the nearest before it that fits.
    fn emphasise(&mut self, first: usize, last: usize) {
        let mut openers: Vec<usize> = Vec::new();
        for closer in first..last {
            while let Some(run) = self.nodes[closer].run.filter(|run| run.closes && run.left > 0) {
                let at = self.nodes[closer].at;
                // However long the text, no more is looked at for one run than is within reach.
                let near = openers.partition_point(|opener| at - self.nodes[*opener].at > self.reach);
                let opener = openers[near..]
                    .iter()
                    .rposition(|opener| self.nodes[*opener].run.is_some_and(|opener| fits(opener, run)));
                let Some(place) = opener.map(|place| near + place) else { break };
                let opener = openers[place];
                openers.truncate(place + 1);
                let open = self.nodes[opener].run.as_mut().expect("openers are runs");
                let used = if open.left >= 2 && run.left >= 2 { 2 } else { 1 };
                open.left -= used;
                if open.left == 0 {
                    openers.pop();
                }
                let style = style_of(run.mark, used);
                for node in &mut self.nodes[opener + 1..closer] {
                    node.style = node.style.with(style);
                    // What no partner was found for in between is text.
                    if let Some(run) = &mut node.run {
                        (run.opens, run.closes) = (false, false);
                    }
                }
                let close = self.nodes[closer].run.as_mut().expect("closers are runs");
                close.left -= used;
                close.closes = close.left > 0;
                close.opens = close.opens && close.left > 0;
            }
            if self.nodes[closer].run.is_some_and(|run| run.opens && run.left > 0) {
                openers.push(closer);
            }
        }
        for node in &mut self.nodes[first..last] {
            if let Some(run) = node.run {
                node.text.truncate(run.left);
            }
        }
    }

    fn finish(mut self) -> Reading {
        let length = self.source.len();
        if !self.ended {
            let seen = self.open;
            let near = |at: usize| at < seen && seen - at <= self.reach;
            let runs = self
                .nodes
                .iter()
                .filter(|node| node.run.is_some_and(|run| run.opens && run.left > 0) && near(node.at));
            let brackets = self.brackets.iter().filter(|bracket| bracket.live && near(bracket.at));
            let open = runs.map(|node| node.at).chain(brackets.map(|bracket| bracket.at));
            self.open = open.min().unwrap_or(length).min(self.open);
        }
        let taken = if self.ended { length } else { self.open };
        let mut reading = Reading { settled: Vec::new(), taken, likely: Vec::new() };
        let mut likely: Vec<(char, usize)> = Vec::new();
        for node in &self.nodes {
            if node.at < taken {
                append(&mut reading.settled, node.style, &node.text);
                continue;
            }
            match node.run {
                Some(run) if run.opens && run.left > 0 => likely.push((run.mark, run.left)),
                _ => {
                    let style = likely.iter().fold(node.style, |style, (mark, left)| {
                        let style = if left % 2 == 1 { style.with(style_of(*mark, 1)) } else { style };
                        if *left >= 2 { style.with(style_of(*mark, 2)) } else { style }
                    });
                    append(&mut reading.likely, style, &node.text);
                }
            }
        }
        reading
    }
}

fn style_of(mark: char, used: usize) -> Style {
    match (mark, used) {
        ('~', _) => Style::STRUCK,
        (_, 2) => Style::BOLD,
        _ => Style::ITALIC,
    }
}

/// Tells whether one run can be closed by another. Runs that both open and close pair by threes only with their like.
fn fits(open: Run, close: Run) -> bool {
    let either = open.closes || close.opens;
    let thirds = (open.length + close.length).is_multiple_of(3)
        && !(open.length.is_multiple_of(3) && close.length.is_multiple_of(3));
    open.mark == close.mark && open.left > 0 && !(either && thirds && open.mark != '~')
}

/// Tells whether a run has text on the side of `inner`.
fn flanks(outer: char, inner: char) -> bool {
    !inner.is_whitespace() && (!is_punctuation(inner) || outer.is_whitespace() || is_punctuation(outer))
}

/// Tells whether a character is punctuation or a symbol, as far as that decides about emphasis.
fn is_punctuation(c: char) -> bool {
    match c {
        c if c.is_ascii() => c.is_ascii_punctuation(),
        c => !c.is_alphanumeric() && !c.is_whitespace() && super::row::width(c.encode_utf8(&mut [0; 4])) > 0,
    }
}
