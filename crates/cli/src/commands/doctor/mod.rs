//! `doctor`: what is in order, what is not, and the command that mends it. It changes nothing.

mod config;
mod providers;
mod store;
mod surroundings;

use std::fmt;

use aichat_engine::Report;
use aichat_events::Redactor;
use serde::Serialize;

use super::Context;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::plural::plural;

/// What there is to say of one thing.
#[derive(Serialize)]
struct Finding {
    section: Section,
    /// What it is about.
    subject: String,
    verdict: Verdict,
    message: String,
    /// What to run.
    fix: Option<String>,
}

/// What is looked at, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Section {
    Paths,
    Config,
    Keys,
    Store,
    Network,
    Providers,
    Terminal,
}

/// How good or bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Note,
    Problem,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paths => "paths",
            Self::Config => "configuration",
            Self::Keys => "keys",
            Self::Store => "store",
            Self::Network => "network",
            Self::Providers => "providers",
            Self::Terminal => "terminal",
        })
    }
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }
}

/// Everything that was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        section: Section,
        verdict: Verdict,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) {
        let (subject, message) = (subject.into(), message.into());
        self.0.push(Finding { section, subject, verdict, message, fix: None });
    }

    fn ok(&mut self, section: Section, subject: impl Into<String>, message: impl Into<String>) {
        self.add(section, Verdict::Ok, subject, message);
    }

    fn note(&mut self, section: Section, subject: impl Into<String>, message: impl Into<String>) {
        self.add(section, Verdict::Note, subject, message);
    }

    fn problem(
        &mut self,
        section: Section,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(section, Verdict::Problem, subject, message);
        self.fix(fix);
    }

    /// Says how the last finding is mended.
    fn fix(&mut self, fix: impl Into<String>) {
        if let Some(last) = self.0.last_mut() {
            last.fix = Some(fix.into());
        }
    }

    /// Takes a failure as a problem; what would help goes with it.
    fn failed(
        &mut self,
        section: Section,
        subject: impl Into<String>,
        failure: Failure,
        fix: impl Into<String>,
    ) {
        let Some(Report { message, hint, .. }) = failure.into_report() else { return };
        let message = hint.map(|hint| format!("{message} ({hint})")).unwrap_or(message);
        self.problem(section, subject, message, fix);
    }
}

pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    let mut findings = Findings::default();
    let paths = surroundings::paths(context, &mut findings);
    let (directory, is_read) = config::look(context, paths.as_ref(), &mut findings);
    let looks = futures::future::join(
        providers::look(context, paths.is_some(), &directory),
        store::look(context, paths.as_ref(), is_read),
    );
    let (found, kept) = context.attend(async { Ok(looks.await) })?;
    config::keys(context, paths.as_ref(), &directory, &mut findings);
    findings.0.extend(kept.0);
    surroundings::proxies(context, &mut findings);
    let (network, asked): (Vec<Finding>, Vec<Finding>) =
        found.0.into_iter().partition(|finding| finding.section == Section::Network);
    findings.0.extend(network.into_iter().chain(asked));
    surroundings::terminal(context, &mut findings);
    let redactor = context.secrets.redactor();
    findings.0.iter_mut().for_each(|finding| finding.mask(&redactor));
    tell(context, &findings.0)
}

impl Finding {
    fn mask(&mut self, redactor: &Redactor) {
        for text in [&mut self.subject, &mut self.message].into_iter().chain(&mut self.fix) {
            *text = redactor.redact_str(text).into_owned();
        }
    }
}

fn tell(context: &Context, findings: &[Finding]) -> Result<u8, Failure> {
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (problems, notes) = (count(Verdict::Problem), count(Verdict::Note));
    let mut output = Output::stdout()?;
    if context.global.json {
        #[derive(Serialize)]
        struct Told<'a> {
            ok: bool,
            findings: &'a [Finding],
        }
        output.object("aichat.doctor/1", &Told { ok: problems == 0, findings })?;
    } else {
        let width = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
        let mut section = None;
        for Finding { section: at, subject, verdict, message, fix } in findings {
            if section.replace(*at) != Some(*at) {
                output.line(&at.to_string())?;
            }
            let message = message.replace('\n', " ");
            output.line(&format!("  {:7}  {subject:width$}  {message}", verdict.as_str()))?;
            if let Some(fix) = fix {
                output.line(&format!("           run: {fix}"))?;
            }
        }
        let (problems, notes) = (problems as u64, notes as u64);
        output.line(&match (problems, notes) {
            (0, 0) => "all is well".to_owned(),
            (0, notes) => format!("all is well, with {}", plural(notes, "note")),
            (problems, 0) => plural(problems, "problem"),
            (problems, notes) => format!("{}, {}", plural(problems, "problem"), plural(notes, "note")),
        })?;
    }
    output.finish()?;
    Ok(if problems == 0 { exit::OK } else { exit::OTHER })
}
