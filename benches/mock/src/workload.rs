//! The workload a model name asks for.

use std::time::Duration;

/// What goes wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An HTTP error of this status with a JSON body.
    Status(u16),
    /// An HTML page with status 502.
    Html,
    /// Status 401 that quotes the authorization header.
    Key,
    /// The connection closes after so many chunks.
    Cut(usize),
    /// The body ends properly after so many chunks, without its terminal marker.
    End(usize),
    /// Nothing more comes after so many chunks.
    Stall(usize),
    /// An error object inside the 200 after so many chunks.
    Error(usize),
    /// The first chunk's text is not UTF-8.
    BadUtf8,
    /// The first chunk's text has this many MiB.
    HugeLine(usize),
}

/// What a model name asks for; the words are listed in the crate's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Workload {
    /// How many chunks the answer has.
    pub chunks: usize,
    /// The pause between two chunks.
    pub delay: Duration,
    /// The least length of a chunk's text in bytes.
    pub length: usize,
    /// The wait before the headers.
    pub wait: Duration,
    /// Whether the answer is the prompt.
    pub echo: bool,
    /// What goes wrong.
    pub fault: Option<Fault>,
    /// How many requests of one prompt the fault strikes; all where `None`.
    pub strikes: Option<usize>,
    /// The seconds of the `retry-after` header of an error.
    pub retry_after: Option<usize>,
}

impl Workload {
    /// Reads a model name, or returns `None` where a word of it is unknown.
    pub fn parse(model: &str) -> Option<Workload> {
        let mut work = Workload {
            chunks: 1,
            delay: Duration::ZERO,
            length: 0,
            wait: Duration::ZERO,
            echo: false,
            fault: None,
            strikes: None,
            retry_after: None,
        };
        for word in model.split('-') {
            let digits = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
            let (name, number) = word.split_at(digits);
            let number = if number.is_empty() { None } else { Some(number.parse::<usize>().ok()?) };
            let micros = number.map(|us| Duration::from_micros(us as u64));
            match (name, number) {
                ("c", Some(n)) => work.chunks = n,
                ("d", Some(_)) => work.delay = micros?,
                ("l", Some(n)) => work.length = n,
                ("t", Some(_)) => work.wait = micros?,
                ("r", Some(n)) => work.retry_after = Some(n),
                ("x", Some(n)) => work.strikes = Some(n),
                ("echo", None) => work.echo = true,
                ("e", Some(n @ 400..=599)) => work.fault = Some(Fault::Status(n as u16)),
                ("ehtml", Some(502)) => work.fault = Some(Fault::Html),
                ("k", None) => work.fault = Some(Fault::Key),
                ("cut", Some(n)) => work.fault = Some(Fault::Cut(n)),
                ("end", Some(n)) => work.fault = Some(Fault::End(n)),
                ("stall", Some(n)) => work.fault = Some(Fault::Stall(n)),
                ("err", Some(n)) => work.fault = Some(Fault::Error(n)),
                _ if word == "badutf8" => work.fault = Some(Fault::BadUtf8),
                ("hugeline", n) => work.fault = Some(Fault::HugeLine(n.unwrap_or(64))),
                _ => return None,
            }
        }
        Some(work)
    }

    /// Returns the texts of the chunks of a faultless answer to `prompt`, in order.
    pub fn texts(&self, prompt: &str) -> Vec<String> {
        if self.echo {
            return cut(prompt, self.chunks.max(1));
        }
        (0..self.chunks)
            .map(|index| {
                let number = index.to_string();
                let padding = self.length.saturating_sub(number.len() + 1);
                format!("{number}{} ", ".".repeat(padding))
            })
            .collect()
    }
}

/// Cuts `text` into at most `count` pieces at character boundaries.
fn cut(text: &str, count: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(chars.len().div_ceil(count).max(1)).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_unknown_ones_refused() {
        let work = Workload::parse("c7-d50-l5-t9-e429-r2-x3").unwrap();
        assert_eq!((work.chunks, work.length, work.retry_after, work.strikes), (7, 5, Some(2), Some(3)));
        assert_eq!((work.delay.as_micros(), work.wait.as_micros()), (50, 9));
        assert_eq!(work.fault, Some(Fault::Status(429)));
        assert_eq!(Workload::parse("hugeline").unwrap().fault, Some(Fault::HugeLine(64)));
        assert_eq!(Workload::parse("badutf8").unwrap().fault, Some(Fault::BadUtf8));
        for model in ["", "gpt-4o", "c", "e200", "c1-", "c99999999999999999999", "k2"] {
            assert_eq!(Workload::parse(model), None, "{model}");
        }
    }

    #[test]
    fn chunks_are_numbered_and_an_echo_is_whole() {
        assert_eq!(Workload::parse("c3").unwrap().texts(""), ["0 ", "1 ", "2 "]);
        assert_eq!(Workload::parse("c2-l4").unwrap().texts(""), ["0.. ", "1.. "]);
        let echo = Workload::parse("echo-c3").unwrap();
        assert_eq!(echo.texts("Grüße 🦀").concat(), "Grüße 🦀");
        assert_eq!(echo.texts("Grüße 🦀").len(), 3);
        assert!(echo.texts("").is_empty());
    }
}
