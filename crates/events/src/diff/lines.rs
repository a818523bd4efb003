//! Two sessions beside each other, in lines for people: what one has after `-`, what the other one has after `+`.

use std::fmt::Display;

use aichat_message::Total;

use super::side::{Figures, Said, Side};
use super::words::{Passage, Whose};
use super::{CallPair, Change, Diff, Step};
use crate::sanitise::{label, sanitise};
use crate::time;
use crate::view::{Line, Tone};

/// How many lines that both have are shown around a difference.
const CONTEXT: usize = 3;
/// Longest name taken over from the log, in characters.
const LABEL: usize = 200;

impl Diff {
    /// Returns the comparison in lines, made safe to show.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = vec![side("--- ", Tone::Bad, &self.a), side("+++ ", Tone::Good, &self.b)];
        lines.push(Line::default().and(Tone::Soft, self.shared_words()));
        let mut same = 0;
        for step in &self.steps {
            if step.change == Change::Same && !step.has_figures() {
                same += 1;
                continue;
            }
            lines.extend(alike(std::mem::take(&mut same)));
            step.lines(&mut lines);
        }
        lines.extend(alike(same));
        if !self.differs {
            lines.push(Line::default().and(Tone::Soft, "both say the same"));
        }
        lines
    }

    fn shared_words(&self) -> String {
        let shared = &self.shared;
        match (shared.messages, shared.alike) {
            (0, 0) => "nothing in common at the beginning".to_owned(),
            (0, alike) => format!("{} at the beginning the same by what they say", count(alike)),
            (exact, 0) => format!("{} shared", count(exact)),
            (exact, alike) => format!("{} shared, then {alike} the same by what they say", count(exact)),
        }
    }
}

impl Step {
    fn has_figures(&self) -> bool {
        let has = |said: &Option<Said>| said.as_ref().is_some_and(|said| said.figures.is_some());
        has(&self.a) || has(&self.b)
    }

    fn lines(&self, lines: &mut Vec<Line>) {
        let words = match self.change {
            Change::Same => "the same",
            Change::Changed => "changed",
            Change::OnlyA => "only in the first",
            Change::OnlyB => "only in the second",
        };
        lines.push(Line::default());
        lines.push(Line::default().and(Tone::Strong, format!("{}: {words}", self.role.as_str())));
        let figures = |said: &Option<Said>| said.as_ref().and_then(|said| said.figures.clone());
        lines.extend(took(figures(&self.a).as_ref(), figures(&self.b).as_ref()));
        if self.change != Change::Same {
            let cut = |said: &Option<Said>| said.as_ref().is_some_and(|said| said.partial);
            body(&self.text, lines);
            for (is_cut, sign, tone) in [(cut(&self.a), "- ", Tone::Bad), (cut(&self.b), "+ ", Tone::Good)] {
                if is_cut {
                    lines.push(Line::default().and(tone, format!("{sign}(cut off here)")));
                }
            }
            self.calls.iter().for_each(|call| called(call, lines));
        }
    }
}

/// Says what calls cost, which nobody may know.
fn cost(total: &Total) -> String {
    match total.calls > 0 && total.unpriced == total.calls {
        true => "cost unknown".to_owned(),
        false => total.to_string(),
    }
}

fn count(messages: usize) -> String {
    format!("{messages} message{}", if messages == 1 { "" } else { "s" })
}

fn alike(messages: usize) -> Option<Line> {
    (messages > 0).then(|| Line::default().and(Tone::Soft, format!("… {} the same", count(messages))))
}

fn side(sign: &str, tone: Tone, side: &Side) -> Line {
    let mut line = Line::default().and(tone, sign);
    line.push(tone, side.session.as_ref().map_or("nothing", |id| id.as_str()));
    for word in side.name.iter().chain(&side.model) {
        line.push(Tone::Plain, format!("  {}", label(word, LABEL)));
    }
    line.push(Tone::Soft, format!("  {}", count(side.messages)));
    if side.tokens.calls > 0 {
        let tokens = &side.tokens;
        line.push(
            Tone::Soft,
            format!(", {} tokens in, {} out, {}", tokens.input, tokens.output, cost(&side.cost)),
        );
    }
    line
}

/// Says what the turns took that two messages answer; what is the same in both is said once.
fn took(a: Option<&Figures>, b: Option<&Figures>) -> Option<Line> {
    fn pair<T: Display + PartialEq>(a: Option<T>, b: Option<T>) -> String {
        match (a, b) {
            (Some(a), Some(b)) if a == b => a.to_string(),
            (Some(a), Some(b)) => format!("{a} → {b}"),
            (a, b) => a.or(b).map(|one| one.to_string()).unwrap_or_default(),
        }
    }
    a.or(b)?;
    let duration = |us: Option<u64>| us.map_or_else(|| "unknown".to_owned(), time::duration);
    let both = |of: &dyn Fn(&Figures) -> String| pair(a.map(of), b.map(of));
    let words = [
        both(&|turn| label(&turn.model, LABEL)),
        both(&|turn| turn.status.as_str().to_owned()),
        format!("{} tokens in", both(&|turn| turn.tokens.input.to_string())),
        format!("{} out", both(&|turn| turn.tokens.output.to_string())),
        both(&|turn| cost(&turn.cost)),
        format!("first content {}", both(&|turn| duration(turn.first_content_us))),
        format!("total {}", both(&|turn| duration(turn.total_us))),
    ];
    Some(Line::default().and(Tone::Soft, format!("  {}", words.join("; "))))
}

fn called(call: &CallPair, lines: &mut Vec<Line>) {
    let words = |arguments: &str| format!("calls {} {}", label(&call.name, LABEL), flat(arguments));
    match (&call.a, &call.b) {
        (Some(a), Some(_)) if call.same => lines.push(Line::plain(format!("  {}", words(a)))),
        (a, b) => {
            lines.extend(a.iter().map(|a| Line::default().and(Tone::Bad, format!("- {}", words(a)))));
            lines.extend(b.iter().map(|b| Line::default().and(Tone::Good, format!("+ {}", words(b)))));
        }
    }
}

fn flat(text: &str) -> String {
    sanitise(text).replace(['\n', '\t'], " ")
}

/// Writes text in lines: those that both have as they are, those that differ twice, with what differs in them marked.
fn body(parts: &[Passage], lines: &mut Vec<Line>) {
    let mut writing = Writing::default();
    for part in parts {
        let mut pieces = part.text.split('\n').peekable();
        while let Some(piece) = pieces.next() {
            let text = sanitise(piece.strip_suffix('\r').unwrap_or(piece)).replace('\t', "    ");
            writing.piece(part.whose, &text);
            if pieces.peek().is_some() {
                writing.end(part.whose);
            }
        }
    }
    writing.finish(lines);
}

/// Lines that are being put together.
#[derive(Default)]
struct Writing {
    a: Half,
    b: Half,
    /// Lines that both have, which may be too many to show.
    both: Vec<String>,
    out: Vec<Line>,
}

/// The lines of one side since the last that both have.
#[derive(Default)]
struct Half {
    done: Vec<Line>,
    open: Line,
    /// Whether something of the open line is only here, or its end is.
    differs: bool,
}

impl Half {
    fn end(&mut self) {
        self.done.push(std::mem::take(&mut self.open));
        self.differs = false;
    }
}

impl Writing {
    fn piece(&mut self, whose: Whose, text: &str) {
        if text.is_empty() {
            return;
        }
        if whose != Whose::B {
            self.a.open.push(if whose == Whose::A { Tone::Bad } else { Tone::Plain }, text);
            self.a.differs |= whose == Whose::A;
        }
        if whose != Whose::A {
            self.b.open.push(if whose == Whose::B { Tone::Good } else { Tone::Plain }, text);
            self.b.differs |= whose == Whose::B;
        }
    }

    fn end(&mut self, whose: Whose) {
        let is_clean = self.a.open.text() == self.b.open.text() && !self.a.differs && !self.b.differs;
        match whose {
            Whose::A => self.a.end(),
            Whose::B => self.b.end(),
            Whose::Both if is_clean && self.a.done.is_empty() && self.b.done.is_empty() => self.keep(),
            Whose::Both if is_clean => {
                self.flush();
                self.keep();
            }
            Whose::Both => {
                self.a.end();
                self.b.end();
            }
        }
    }

    /// Takes the open line as one that both have.
    fn keep(&mut self) {
        self.both.push(std::mem::take(&mut self.a.open).text());
        self.b.open = Line::default();
    }

    /// Writes what differs, after the last lines that both have.
    fn flush(&mut self) {
        let is_first = self.out.is_empty();
        let lead = if is_first { 0 } else { CONTEXT };
        let both = std::mem::take(&mut self.both);
        self.context(&both, lead, CONTEXT);
        for (half, sign, tone) in [(&mut self.a, "- ", Tone::Bad), (&mut self.b, "+ ", Tone::Good)] {
            for line in std::mem::take(&mut half.done) {
                let mut signed = Line::default().and(tone, sign);
                line.pieces.into_iter().for_each(|piece| signed.push(piece.tone, piece.text));
                self.out.push(signed);
            }
        }
    }

    /// Writes the first and the last few of lines that both have.
    fn context(&mut self, both: &[String], first: usize, last: usize) {
        let line = |text: &String| Line::plain(format!("  {text}"));
        if both.len() <= first + last + 1 {
            return self.out.extend(both.iter().map(line));
        }
        self.out.extend(both[..first].iter().map(line));
        let words = format!("  … {} lines the same", both.len() - first - last);
        self.out.push(Line::default().and(Tone::Soft, words));
        self.out.extend(both[both.len() - last..].iter().map(line));
    }

    fn finish(mut self, lines: &mut Vec<Line>) {
        let is_open = |half: &Half| !half.open.pieces.is_empty();
        match (is_open(&self.a), is_open(&self.b)) {
            (true, true) if !self.a.differs && !self.b.differs && self.a.open == self.b.open => {
                self.end(Whose::Both);
            }
            (a, b) => {
                if a {
                    self.a.end();
                }
                if b {
                    self.b.end();
                }
            }
        }
        if !self.a.done.is_empty() || !self.b.done.is_empty() {
            self.flush();
        }
        let both = std::mem::take(&mut self.both);
        let lead = if self.out.is_empty() { 0 } else { CONTEXT };
        self.context(&both, lead, 0);
        lines.extend(self.out);
    }
}
