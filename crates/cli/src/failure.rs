//! What a command fails with: what there is to tell, the exit code, and what would help.

use std::io;
use std::time::Duration;

use aichat_engine::{ModelRef, Reason, Report, phrase};
use aichat_message::ErrorKind;

use crate::exit;
use crate::signals::Stop;

/// Why a command did not do what was asked.
pub(crate) enum Failure {
    /// There is something to tell.
    Error(Box<Report>),
    /// Whoever read the output went away; nothing is said about it.
    BrokenPipe,
    /// Somebody asked to stop.
    Stopped(Stop),
}

impl Failure {
    /// Returns a failure of this kind. `message` is one lower-case phrase without a period.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Error(Box::new(Report::new(kind, message)))
    }

    /// Says who was to be asked, unless that is said already.
    pub(crate) fn about(mut self, model: &ModelRef) -> Self {
        if let Self::Error(report) = &mut self {
            report.model.get_or_insert_with(|| model.clone());
        }
        self
    }

    /// Says where in a file of many it went wrong.
    pub(crate) fn at(mut self, place: &str) -> Self {
        if let Self::Error(report) = &mut self {
            report.message = format!("{place}: {}", report.message);
        }
        self
    }

    /// Adds what would help.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Error(report) = &mut self {
            report.hint = Some(hint.into());
        }
        self
    }

    /// Returns a failure to read or write something that was named by the person.
    pub(crate) fn file(kind: ErrorKind, what: &str, path: &std::path::Path, error: &io::Error) -> Self {
        Self::new(kind, format!("{what} {}: {}", path.display(), phrase(error)))
    }

    /// Returns what went wrong, where there is something to tell.
    pub(crate) fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Error(report) => Some(report.kind),
            Self::BrokenPipe | Self::Stopped(_) => None,
        }
    }

    /// Returns the exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Error(report) => exit::code(report.kind),
            Self::BrokenPipe => exit::BROKEN_PIPE,
            Self::Stopped(stop) => stop.code(),
        }
    }

    /// Returns what there is to tell.
    pub(crate) fn into_report(self) -> Option<Report> {
        match self {
            Self::Error(report) => Some(*report),
            Self::BrokenPipe => None,
            Self::Stopped(_) => Some(Report::new(ErrorKind::Cancelled, "interrupted")),
        }
    }
}

/// Returns the report of a failed call of this model with what would help, unless that is said already.
pub(crate) fn advised(mut report: Report, model: Option<&ModelRef>) -> Report {
    report.model = model.cloned().or(report.model);
    if report.hint.is_none() {
        report.hint = advice(&report, model.map(|model| model.provider.as_str()));
    }
    report
}

impl From<aichat_engine::Error> for Failure {
    fn from(error: aichat_engine::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&aichat_engine::Error> for Failure {
    fn from(error: &aichat_engine::Error) -> Self {
        Self::Error(Box::new(advised(Report::from(error), None)))
    }
}

impl From<io::Error> for Failure {
    /// Takes a failure to write the output.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::new(ErrorKind::Store, format!("cannot write the output: {}", phrase(&error))),
        }
    }
}

/// What to do about a proxy.
pub(crate) const PROXY: &str = "check the proxy: --proxy, or what HTTPS_PROXY, HTTP_PROXY or ALL_PROXY says; NO_PROXY \
    names hosts that need none";

/// Returns whole milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn advice(report: &Report, provider: Option<&str>) -> Option<String> {
    let name = provider.unwrap_or("PROVIDER");
    Some(match report.kind {
        ErrorKind::Auth => match crate::directory::key_variable(name) {
            Some(variable) => format!("run `aichat keys set {name}`, or set {variable}"),
            None => format!("run `aichat keys set {name}`"),
        },
        ErrorKind::Permission => {
            format!("the key for {name} may not do this; `aichat keys which {name}` shows which one was used")
        }
        ErrorKind::Billing | ErrorKind::Quota => format!("check plan and billing of your account at {name}"),
        ErrorKind::Budget if report.reason == Some(Reason::Unpriced) => {
            "pass --allow-unpriced, or give it a price in models.json beside the configuration".to_owned()
        }
        ErrorKind::Budget => {
            "ask for less with -o max_tokens=N, or raise the budget: --max-cost, `aichat settings set budget.day`; \
             `aichat cost` shows what was spent"
                .to_owned()
        }
        ErrorKind::RateLimited | ErrorKind::Overloaded => match report.retry_after_ms {
            Some(wait) => format!("try again in {} s", wait.div_ceil(1000)),
            None => "try again in a moment".to_owned(),
        },
        ErrorKind::Server | ErrorKind::Decode => {
            format!("try again; `aichat providers test {name}` shows whether {name} answers properly")
        }
        ErrorKind::Truncated => "try again; what had arrived is kept in the session".to_owned(),
        ErrorKind::Timeout => {
            "try again, or wait longer with --timeout-connect, --timeout-first-byte or --timeout-idle"
                .to_owned()
        }
        ErrorKind::NotFound => format!("`aichat models list {name}` lists what {name} offers"),
        ErrorKind::Transport if report.message.contains("the proxy ") => PROXY.to_owned(),
        ErrorKind::Transport => {
            format!("check the network and the address; `aichat providers test {name}` tries it")
        }
        ErrorKind::ContextTooLong => "send less, or choose a model with a larger context window".to_owned(),
        ErrorKind::TooLarge => "send less".to_owned(),
        ErrorKind::InvalidRequest => "--dry-run shows what is sent".to_owned(),
        ErrorKind::Store if report.reason == Some(Reason::Login) => {
            "set PGPASSWORD to the user's password, or keep it in ~/.pgpass".to_owned()
        }
        ErrorKind::Store if report.reason == Some(Reason::NoCopy) => {
            "set TMPDIR to a directory that has room for it".to_owned()
        }
        ErrorKind::Store => {
            "`aichat paths` shows where sessions are kept; --store names another place".to_owned()
        }
        ErrorKind::Config if report.status.is_some_and(|status| (300..400).contains(&status)) => {
            format!("set providers.{name}.base_url to the address that the server redirects to")
        }
        ErrorKind::Config if report.reason == Some(Reason::Address) => {
            format!("mend providers.{name}.base_url; `aichat settings show --origin` says where it is from")
        }
        ErrorKind::Busy => "pass --wait to wait for the other turn".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_pipe_is_no_error_to_report() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.code(), exit::BROKEN_PIPE);
    }
}
