//! What a turn looks like while it runs: the answer on standard output, everything else on standard error.

use std::collections::HashMap;

use aichat_engine::{Progress, Report, Secrets};
use aichat_events::RedactStream;
use aichat_message::{Delta, Part, PartKind};
use serde::Serialize;

use crate::args::Form;
use crate::fenced::{Search, Which};
use crate::output::json;
use crate::pen::Pen;
use crate::talk::Talk;

/// Shows a turn as it happens.
pub(crate) struct Display {
    form: Form,
    pub(crate) pen: Pen,
    talk: Talk,
    secrets: Secrets,
    /// How many bytes of each text part have been shown; `None` for a part of another kind.
    parts: HashMap<u32, Option<usize>>,
    reasoning: Option<RedactStream>,
    /// Whether reasoning is kept from the person; scripts get it anyway.
    hides_reasoning: bool,
    /// Whether the answer is not shown while it arrives, because only JSON of its form is shown in the end.
    pub(crate) holds: bool,
    /// Looks for the one code block that is shown instead of the answer.
    search: Option<Search>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Start { session_id: Option<&'a str>, turn_id: Option<&'a str> },
    Delta { text: &'a str },
    Reasoning { text: &'a str },
    Retrying { attempt: u32, delay_ms: u64, error: Report },
    Rerouting { from: String, to: String, error: Report },
    Mending { number: u32, message: String },
    Warning { text: &'a str },
}

impl Display {
    pub(crate) fn new(form: Form, pen: Pen, talk: Talk, secrets: Secrets, hides_reasoning: bool) -> Self {
        // Where a person looks at both, what is said must not get into the midst of what is shown.
        let talk = if talk.is_terminal() { talk.beside(pen.asides()) } else { talk };
        Self {
            form,
            pen,
            talk,
            secrets,
            parts: HashMap::new(),
            reasoning: None,
            hides_reasoning,
            holds: false,
            search: None,
        }
    }

    /// Shows one code block of the answer instead of all of it.
    pub(crate) fn only(mut self, block: Option<Which>) -> Self {
        self.search = block.map(Search::new);
        self
    }

    /// Says which turn it is, where scripts follow along.
    pub(crate) fn start(&mut self, session_id: Option<&str>, turn_id: Option<&str>) {
        self.script(&Line::Start { session_id, turn_id });
        if self.talk.is_terminal() && !self.talk.is_quiet() {
            self.pen.wait();
        }
    }

    /// Shows what happened.
    pub(crate) fn progress(&mut self, progress: &Progress) {
        match progress {
            Progress::Delta(delta) => self.delta(delta),
            Progress::Retrying { attempt, delay, error } => {
                self.make_way();
                let error = Report::from(error);
                self.talk.note(&format!("retrying in {:.1} s: {}", delay.as_secs_f64(), error.message));
                let error = error.masked(&self.secrets.redactor());
                let delay_ms = crate::failure::millis(*delay);
                self.script(&Line::Retrying { attempt: *attempt, delay_ms, error });
            }
            Progress::Rerouting(reroute) => {
                self.end_reasoning();
                self.talk.note(&reroute.to_string());
                let error = Report::from(&reroute.error).masked(&self.secrets.redactor());
                let (from, to) = (reroute.from.to_string(), reroute.to.to_string());
                self.script(&Line::Rerouting { from, to, error });
            }
            Progress::Mending { number, misfit } => {
                self.end_reasoning();
                // What comes next are other parts with the same numbers.
                self.parts.clear();
                let message = misfit.to_string();
                self.talk.note(&format!("asking once more: {message}"));
                let message = self.secrets.redactor().redact_str(&message).into_owned();
                self.script(&Line::Mending { number: *number, message });
            }
            Progress::Warning(text) => {
                self.make_way();
                self.talk.warning(text);
                let text = &self.secrets.redactor().redact_str(text);
                self.script(&Line::Warning { text });
            }
            _ => {}
        }
    }

    fn delta(&mut self, delta: &Delta) {
        match delta {
            Delta::PartStart { index, part } => self.part(*index, part),
            Delta::PartEnd { index, part: Some(whole) } => self.part(*index, whole),
            Delta::Text { index, text } => {
                // A part that was not announced is a text.
                if let Some(shown) = self.parts.entry(*index).or_insert(Some(0)) {
                    *shown += text.len();
                    self.text(text);
                }
            }
            Delta::ReasoningBlock { index, block } => self.reason(*index, block.text()),
            Delta::Reasoning { index, text } => self.reason(*index, text),
            _ => {}
        }
    }

    /// Shows what of a part was not shown yet.
    fn part(&mut self, index: u32, part: &Part) {
        match &part.kind {
            PartKind::Text { text, .. } => {
                let shown = self.parts.entry(index).or_insert(Some(0)).get_or_insert(0);
                let from = std::mem::replace(shown, text.len().max(*shown));
                if let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
                    self.text(rest);
                }
            }
            kind => {
                let is_new = self.parts.insert(index, None).is_none();
                if let (PartKind::Reasoning { blocks }, true) = (kind, is_new) {
                    blocks.iter().for_each(|block| self.think(block.text()));
                }
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.end_reasoning();
        let shown = match &mut self.search {
            Some(search) => search.push(text),
            None => Some(text),
        };
        match self.form {
            Form::Text if self.holds => {}
            Form::Text => shown.into_iter().for_each(|text| self.pen.write(text)),
            Form::StreamJson => self.script(&Line::Delta { text }),
            Form::Json => {}
        }
    }

    /// Returns the code block that was looked for, and shows it where that was not done yet.
    pub(crate) fn block(&mut self) -> Option<String> {
        let (block, is_new) = self.search.as_mut()?.finish()?;
        if is_new && self.form == Form::Text {
            self.pen.write(block);
        }
        Some(block.to_owned())
    }

    fn reason(&mut self, index: u32, text: &str) {
        self.parts.entry(index).or_insert(None);
        self.think(text);
    }

    fn think(&mut self, text: &str) {
        match self.form {
            Form::Text if !self.talk.is_quiet() && !self.hides_reasoning => {
                if self.reasoning.is_none() {
                    self.make_way();
                }
                let stream = self.reasoning.get_or_insert_with(|| self.secrets.redactor().stream());
                let text = stream.push(text);
                self.talk.think(&text);
            }
            Form::StreamJson => self.script(&Line::Reasoning { text }),
            Form::Text | Form::Json => {}
        }
    }

    /// Ends the reasoning shown so far, so that what follows begins on a line of its own.
    fn end_reasoning(&mut self) {
        if let Some(mut stream) = self.reasoning.take() {
            self.talk.think(&format!("{}\n\n", stream.finish()));
        }
    }

    /// Ends what is on the screen, where something else is about to be said there.
    fn make_way(&mut self) {
        self.end_reasoning();
        if self.form == Form::Text && self.talk.is_terminal() {
            self.pen.end_line();
            self.pen.flush();
        }
    }

    fn script(&mut self, line: &Line<'_>) {
        if self.form == Form::StreamJson {
            self.pen.write(&json(line));
            self.pen.end_line();
        }
    }

    /// Ends what was shown with what came of it, which is found out only where it is shown.
    pub(crate) fn end<R: Serialize>(&mut self, result: impl FnOnce() -> R) {
        self.end_reasoning();
        if self.form != Form::Text {
            self.pen.write(&json(&result()));
        }
        self.pen.end_line();
        self.pen.flush();
    }
}
