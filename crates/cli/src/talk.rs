//! Standard error: notes, warnings and errors, with every secret masked and nothing that steers a terminal.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aichat_engine::{Report, Secrets};
use aichat_events::sanitise;

use crate::args::Color;
use crate::env::Env;
use crate::pen::Asides;

/// Most characters of what went wrong that are shown; a server may say much more.
const LONGEST: usize = 1000;

/// Speaks to the person. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Talk {
    quiet: bool,
    colour: bool,
    secrets: Secrets,
    terminal: bool,
    asides: Option<Asides>,
    /// Whether a bar is on the line where the cursor is.
    bar: Arc<AtomicBool>,
}

impl Talk {
    /// Returns a voice that masks `secrets`; a quiet one says errors only.
    pub(crate) fn new(quiet: bool, color: Color, env: &Env, secrets: Secrets) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let colour = color.applies(env, terminal);
        let terminal = terminal && env.text("TERM").is_none_or(|term| term != "dumb");
        Self { quiet, colour, secrets, terminal, asides: None, bar: Arc::default() }
    }

    /// Returns the same voice, which speaks in order with an answer.
    pub(crate) fn beside(&self, asides: Asides) -> Self {
        Self { asides: Some(asides), ..self.clone() }
    }

    /// Tells whether a person looks at it, on a terminal that can move its cursor.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Says something worth knowing.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.line("", "", text);
        }
    }

    /// Says something to beware of.
    pub(crate) fn warning(&self, text: &str) {
        if !self.quiet {
            self.line("warning: ", "33", text);
        }
    }

    /// Says what went wrong and what would help.
    pub(crate) fn error(&self, report: &Report) {
        // Masked before it is cut: a part of a secret would not be known as one.
        let redactor = self.secrets.redactor();
        self.line("error: ", "31", &shortened(&redactor.redact_str(&report.message)));
        if let Some(hint) = &report.hint {
            self.line("hint: ", "36", hint);
        }
    }

    /// Asks for something on the same line.
    pub(crate) fn prompt(&self, text: &str) {
        self.write(text.as_bytes());
    }

    /// Says text that has its form already.
    pub(crate) fn raw(&self, text: &str) {
        self.line("", "", text.trim_end());
    }

    /// Shows a bar on a line of its own, in place of the one before, until something else is said.
    pub(crate) fn bar(&self, text: &str) {
        if !self.quiet {
            self.bar.store(true, Ordering::Relaxed);
            self.write(format!("\r{text}\x1b[K").as_bytes());
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear_bar(&self) {
        if self.bar.swap(false, Ordering::Relaxed) {
            self.write(b"\r\x1b[K");
        }
    }

    /// Says reasoning as it comes, where notes are wanted: dim where there is colour.
    pub(crate) fn think(&self, text: &str) {
        if self.quiet || text.is_empty() {
            return;
        }
        match self.colour {
            true => self.write(format!("\x1b[2m{}\x1b[0m", sanitise(text)).as_bytes()),
            false => self.write(sanitise(text).as_bytes()),
        }
    }

    /// Tells whether notes are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    fn line(&self, label: &str, colour: &str, text: &str) {
        self.clear_bar();
        let redactor = self.secrets.redactor();
        let text = redactor.redact_str(text);
        let text = sanitise(&text);
        let line = match self.colour && !label.is_empty() {
            true => format!("\x1b[1;{colour}m{label}\x1b[0m{text}\n"),
            false => format!("{label}{text}\n"),
        };
        self.write(line.as_bytes());
    }

    /// Writes to standard error; where nobody reads it there is nobody to tell.
    fn write(&self, bytes: &[u8]) {
        let said = match &self.asides {
            Some(asides) => asides.say(bytes.to_vec()),
            None => Err(bytes.to_vec()),
        };
        if let Err(bytes) = said {
            let _ = std::io::stderr().lock().write_all(&bytes);
        }
    }
}

/// Returns the beginning of a text that is too long to be read.
fn shortened(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
