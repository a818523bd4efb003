//! Standard output: the answer or the data, and nothing else.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;

use aichat_events::{Line, Piece, Tone, sanitise};
use serde::Serialize;

use crate::failure::Failure;

/// Prints data.
pub(crate) struct Output {
    file: BufWriter<File>,
    terminal: bool,
}

impl Output {
    /// Returns standard output.
    ///
    /// # Errors
    /// Fails where there is none.
    pub(crate) fn stdout() -> Result<Self, Failure> {
        let (file, terminal) = stdout()?;
        Ok(Self { file: BufWriter::new(file), terminal })
    }

    /// Prints text and ends its line.
    ///
    /// # Errors
    /// Fails where it cannot be written.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        match self.terminal {
            true => self.file.write_all(sanitise(text).as_bytes())?,
            false => self.file.write_all(text.as_bytes())?,
        }
        if !text.ends_with('\n') {
            self.file.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Prints text as it is, and waits for whoever reads it without holding up anything else.
    ///
    /// # Errors
    /// Fails where it cannot be written.
    pub(crate) async fn text(&mut self, text: String) -> Result<(), Failure> {
        self.file.flush()?;
        let mut file = self.file.get_ref().try_clone()?;
        let terminal = self.terminal;
        let write = move || match terminal {
            true => file.write_all(sanitise(&text).as_bytes()),
            false => file.write_all(text.as_bytes()),
        };
        let written = tokio::task::spawn_blocking(write).await;
        Ok(written.unwrap_or_else(|_| Err(io::Error::other("the writer ended early")))?)
    }

    /// Tells whether a person looks at it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Prints a line some of whose characters are marked, from which one to before which other. Nothing in the line
    /// steers a terminal but the marks.
    ///
    /// # Errors
    /// Fails where it cannot be written.
    pub(crate) fn marked(&mut self, line: &str, marks: &[(usize, usize)], bold: bool) -> Result<(), Failure> {
        let mut marked = String::with_capacity(line.len());
        for (n, c) in sanitise(line).chars().enumerate() {
            if bold && marks.iter().any(|(start, _)| *start == n) {
                marked.push_str("\x1b[1m");
            }
            marked.push(c);
            if bold && marks.iter().any(|(_, end)| *end == n + 1) {
                marked.push_str("\x1b[0m");
            }
        }
        marked.push('\n');
        Ok(self.file.write_all(marked.as_bytes())?)
    }

    /// Prints a value as one line of JSON.
    ///
    /// # Errors
    /// Fails where it cannot be written.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(&json(value))
    }

    /// Prints the fields of a value as one object that names its schema.
    ///
    /// # Errors
    /// Fails where it cannot be written.
    pub(crate) fn object(&mut self, schema: &'static str, value: &impl Serialize) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Object<'a, T> {
            schema: &'static str,
            #[serde(flatten)]
            value: &'a T,
        }
        self.json(&Object { schema, value })
    }

    /// Prints a list as the one object every list command prints.
    ///
    /// # Errors
    /// Fails where it cannot be written.
    pub(crate) fn list(&mut self, items: &impl Serialize) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct List<'a, T> {
            schema: &'static str,
            items: &'a T,
            next: Option<&'a str>,
        }
        self.json(&List { schema: "aichat.list/1", items, next: None })
    }

    /// Prints rows in columns as wide as their widest cell.
    ///
    /// # Errors
    /// Fails where it cannot be written.
    pub(crate) fn columns<const N: usize>(&mut self, rows: &[[String; N]]) -> Result<(), Failure> {
        let flat = |cell: &str| cell.replace(['\n', '\t', '\r'], " ");
        let mut widths = [0; N];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in rows {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{:width$}", flat(cell))).collect();
            self.line(cells.join("  ").trim_end())?;
        }
        Ok(())
    }

    /// Prints a line whose pieces say what they mean, which colours show.
    ///
    /// # Errors
    /// Fails where it cannot be written.
    pub(crate) fn toned(&mut self, line: &Line, colour: bool) -> Result<(), Failure> {
        if !colour {
            return self.line(&line.text());
        }
        let mut text = String::new();
        for Piece { text: piece, tone } in &line.pieces {
            let code = match tone {
                Tone::Plain => "",
                Tone::Soft => "2",
                Tone::Strong => "1",
                Tone::Good => "32",
                Tone::Warning => "33",
                Tone::Bad => "31",
            };
            let piece = sanitise(piece);
            match code {
                "" => text.push_str(&piece),
                code => text.push_str(&format!("\x1b[{code}m{piece}\x1b[0m")),
            }
        }
        text.push('\n');
        Ok(self.file.write_all(text.as_bytes())?)
    }

    /// Returns when everything is written.
    ///
    /// # Errors
    /// Fails where it cannot be written.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        Ok(self.file.flush()?)
    }
}

/// Returns a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("what this program prints has text for keys")
}

/// Returns standard output, and whether it is a terminal.
pub(crate) fn stdout() -> io::Result<(File, bool)> {
    let stdout = io::stdout();
    Ok((File::from(stdout.as_fd().try_clone_to_owned()?), stdout.is_terminal()))
}
