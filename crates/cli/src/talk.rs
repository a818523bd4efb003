//! Standard error: notes, warnings and errors, with every secret masked and nothing that steers a terminal.

use std::io::{IsTerminal, Write};

use aichat_engine::Secrets;
use aichat_events::sanitise;

use crate::args::Color;
use crate::env::Env;
use crate::failure::Report;

/// Speaks to the person. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Talk {
    quiet: bool,
    colour: bool,
    secrets: Secrets,
}

impl Talk {
    /// Returns a voice that masks `secrets`; a quiet one says errors only.
    pub(crate) fn new(quiet: bool, color: Color, env: &Env, secrets: Secrets) -> Self {
        let colour = color.applies(env, std::io::stderr().is_terminal());
        Self { quiet, colour, secrets }
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
        self.line("error: ", "31", &report.message);
        if let Some(hint) = &report.hint {
            self.line("hint: ", "36", hint);
        }
    }

    /// Asks for something on the same line.
    pub(crate) fn prompt(&self, text: &str) {
        write(text.as_bytes());
    }

    /// Says text that has its form already.
    pub(crate) fn raw(&self, text: &str) {
        self.line("", "", text.trim_end());
    }

    /// Says reasoning as it comes, where notes are wanted: dim where there is colour.
    pub(crate) fn think(&self, text: &str) {
        if self.quiet || text.is_empty() {
            return;
        }
        match self.colour {
            true => write(format!("\x1b[2m{}\x1b[0m", sanitise(text)).as_bytes()),
            false => write(sanitise(text).as_bytes()),
        }
    }

    /// Tells whether notes are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    fn line(&self, label: &str, colour: &str, text: &str) {
        let redactor = self.secrets.redactor();
        let text = redactor.redact_str(text);
        let text = sanitise(&text);
        let line = match self.colour && !label.is_empty() {
            true => format!("\x1b[1;{colour}m{label}\x1b[0m{text}\n"),
            false => format!("{label}{text}\n"),
        };
        write(line.as_bytes());
    }
}

/// Writes to standard error; where nobody reads it there is nobody to tell.
fn write(bytes: &[u8]) {
    let _ = std::io::stderr().lock().write_all(bytes);
}
