//! The providers: their keys, the way to each, and whether it takes the key.

use std::time::Duration;

use aichat_message::ErrorKind;
use aichat_providers::{Cause, Finding as Stage, Verdict as Came};
use futures::future::join_all;

use super::super::checkup::advice;
use super::{Findings, Section, Verdict};
use crate::assemble::{Providers, Timeouts};
use crate::commands::Context;
use crate::directory::{Directory, Entry};
use crate::failure::Failure;

/// How long a provider may take.
const WAITS: Timeouts = Timeouts {
    connect: Some(Duration::from_secs(5)),
    first_byte: Some(Duration::from_secs(10)),
    idle: Some(Duration::from_secs(10)),
};
/// How long a server on this machine may take that nobody speaks of.
const PROBE: Timeouts = Timeouts {
    connect: Some(Duration::from_millis(500)),
    first_byte: Some(Duration::from_millis(500)),
    idle: Some(Duration::from_millis(500)),
};

/// Goes the way to every provider that has a key or is configured, to all at once.
pub(super) async fn look(context: &Context, has_paths: bool, directory: &Directory) -> Findings {
    let mut findings = Findings::default();
    if !has_paths {
        findings.note(Section::Providers, "providers", "not tried, for their keys cannot be looked up");
        return findings;
    }
    let providers = match Providers::new(context, directory.clone(), WAITS, false) {
        Ok(providers) => providers,
        Err(failure) => {
            findings.failed(Section::Network, "proxy", failure, "aichat doctor --proxy http://HOST:PORT");
            return findings;
        }
    };
    // A file of keys that cannot be read is told elsewhere.
    let has_key = |entry: &Entry| providers.has_key(entry).unwrap_or(false);
    let entries: Vec<&Entry> =
        directory.entries().iter().filter(|entry| entry.configured || has_key(entry)).collect();
    for found in join_all(entries.iter().map(|entry| attempt(&providers, entry))).await {
        findings.0.extend(found.0);
    }
    if !entries.is_empty() {
        return findings;
    }
    let hurried = providers.within(PROBE);
    let local: Vec<&Entry> = directory.entries().iter().filter(|entry| entry.local).collect();
    let answers = join_all(
        local.iter().map(|entry| async { Some(hurried.find(entry).await.ok()?.models().await.ok()?.len()) }),
    )
    .await;
    match local.iter().zip(answers).find_map(|(entry, models)| Some((entry, models?))) {
        Some((entry, models)) => {
            let what = format!("it runs here, with {models} models; nothing else has a key or is configured");
            findings.ok(Section::Providers, &*entry.name, what);
        }
        None => findings.problem(
            Section::Providers,
            "providers",
            "there is nobody to ask: no key, no configured server, and none runs on this machine",
            "aichat keys set openai",
        ),
    }
    findings
}

async fn attempt(providers: &Providers, entry: &Entry) -> Findings {
    let mut findings = Findings::default();
    let name = &entry.name;
    if entry.base_url.starts_with("http://") && !entry.is_here() && providers.has_key(entry).unwrap_or(false)
    {
        findings.note(Section::Providers, name, "the key goes over the network for everybody to see: http");
        findings.fix(format!("aichat settings set providers.{name}.base_url https://…"));
    }
    let provider = match providers.find(entry).await {
        Ok(provider) => provider,
        Err(failure) if failure.kind() == Some(ErrorKind::Unsupported) => {
            let what = failure.into_report().map(|report| report.message).unwrap_or_default();
            findings.note(Section::Providers, name, what);
            return findings;
        }
        Err(failure) => {
            let fix = match failure.kind() {
                Some(ErrorKind::Auth) => format!("aichat keys set {name}"),
                _ => format!("aichat providers show {name}"),
            };
            findings.failed(Section::Providers, name, failure, fix);
            return findings;
        }
    };
    let stages = providers.reach(entry).await;
    let fix = format!("aichat providers test {name}");
    if let Some(stage) = stages.iter().find(|stage| stage.verdict == Came::Failed) {
        findings.problem(Section::Network, name, said(stage, entry), fix);
        return findings;
    }
    let walked: Vec<String> = stages
        .iter()
        .filter(|stage| stage.verdict == Came::Ok)
        .map(|stage| match stage.took {
            Some(took) => format!("{} {} ms", stage.step, took.as_millis()),
            None => stage.step.to_string(),
        })
        .collect();
    if !walked.is_empty() {
        findings.ok(Section::Network, name, walked.join(", "));
    }
    let listed = tokio::time::timeout(Duration::from_secs(15), provider.models()).await;
    match listed {
        Err(_) => findings.problem(Section::Providers, name, "no list of models within 15 s", fix),
        Ok(Ok(models)) => {
            findings.ok(Section::Providers, name, format!("{} models at {}", models.len(), entry.place()));
        }
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::Unsupported) => {
            let what = format!(
                "it can be reached at {}, and has no list of models to try the key with",
                entry.place()
            );
            findings.add(Section::Providers, Verdict::Note, name, what);
            findings.fix(fix);
        }
        Ok(Err(error)) => {
            let cause = Cause::of(&error);
            let what = advice(cause, entry).map(|advice| format!(" ({advice})")).unwrap_or_default();
            let failure = Failure::new(error.kind(), format!("{error}{what}"));
            let fix = if cause == Cause::Key { format!("aichat keys set {name}") } else { fix };
            findings.failed(Section::Providers, name, failure, fix);
        }
    }
    findings
}

/// Says what is in the way, and what to do about it.
fn said(stage: &Stage, entry: &Entry) -> String {
    let why = stage.error.as_ref().map(|error| error.message().to_owned()).unwrap_or_default();
    let advice = stage.cause.and_then(|cause| advice(cause, entry));
    format!(
        "{} at {}: {why}{}",
        stage.step,
        entry.place(),
        advice.map(|text| format!(" ({text})")).unwrap_or_default()
    )
}
