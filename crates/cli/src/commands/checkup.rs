//! `providers test`: what of a provider works, step by step, why the rest does not, and what to do about it.

use std::time::Duration;

use aichat_catalog::{Bucket, Catalog, Modality};
use aichat_engine::Report;
use aichat_message::{ErrorKind, Protocol};
use aichat_providers::{Cause, Checkup, Finding, Model, Step, Verdict};
use futures::future::join_all;
use serde::Serialize;

use super::Context;
use crate::args;
use crate::assemble::{Providers, Timeouts};
use crate::directory::Entry;
use crate::exit;
use crate::failure::{Failure, PROXY, millis};
use crate::keys;
use crate::output::Output;

/// How long a step may take: a model on this machine may have to be loaded first.
const WAITS: Timeouts = Timeouts {
    connect: Some(Duration::from_secs(10)),
    first_byte: Some(Duration::from_secs(120)),
    idle: Some(Duration::from_secs(60)),
};

/// What came of trying one provider.
#[derive(Serialize)]
struct Tried {
    provider: String,
    protocol: String,
    base_url: String,
    model: Option<String>,
    ok: bool,
    steps: Vec<Row>,
}

/// What came of one step.
#[derive(Serialize)]
struct Row {
    step: Step,
    verdict: Verdict,
    took_ms: Option<u64>,
    note: Option<String>,
    cause: Option<Cause>,
    kind: Option<ErrorKind>,
    status: Option<u16>,
    hint: Option<String>,
}

pub(crate) fn run(context: &Context, args: &args::Test) -> Result<u8, Failure> {
    let directory = context.directory()?;
    let providers = Providers::new(context, directory.clone(), WAITS, false)?;
    let mut entries = Vec::new();
    for name in &args.providers {
        entries.push(directory.find(name)?);
    }
    if args.all {
        for entry in directory.entries() {
            if entry.configured && !entry.needs_key || providers.has_key(entry)? {
                entries.push(entry);
            }
        }
        if entries.is_empty() {
            return Err(Failure::new(ErrorKind::Auth, "no provider has a key, and none is configured")
                .hint("run `aichat keys set openai`, or name a provider"));
        }
    }
    let default = context.default_model()?;
    let catalog = context.catalog()?;
    context.talk.note("asking for three short answers each, which costs a few tokens");
    let tried = join_all(entries.iter().map(|entry| {
        let default = default.as_ref().filter(|model| model.provider == entry.name);
        let named = args.model.as_deref().map(|model| {
            // As `send` takes it: what stands before the first slash may be the provider.
            let prefix = format!("{}/", entry.name);
            model.strip_prefix(&*prefix).unwrap_or(model).to_owned()
        });
        let model = named.or_else(|| default.map(|model| model.model.clone()));
        attempt(context, &providers, entry, model, &catalog)
    }));
    let tried = context.attend(async { Ok(tried.await) })?;

    let mut output = Output::stdout()?;
    match context.global.json {
        true => {
            #[derive(Serialize)]
            struct Report<'a> {
                ok: bool,
                providers: &'a [Tried],
            }
            let ok = tried.iter().all(|tried| tried.ok);
            output.object("aichat.provider_test/1", &Report { ok, providers: &tried })?;
        }
        false => {
            for tried in &tried {
                show(tried, &mut output)?;
            }
        }
    }
    output.finish()?;
    let failed = tried.iter().flat_map(|tried| &tried.steps).filter(|row| row.verdict == Verdict::Failed);
    Ok(failed.filter_map(|row| row.kind).map(exit::code).max().unwrap_or(exit::OK))
}

/// Takes every step with one provider.
async fn attempt(
    context: &Context,
    providers: &Providers,
    entry: &Entry,
    model: Option<String>,
    catalog: &Catalog,
) -> Tried {
    let mut tried = Tried {
        provider: entry.name.clone(),
        protocol: entry.protocol.to_string(),
        base_url: entry.place(),
        model: model.clone(),
        ok: false,
        steps: Vec::new(),
    };
    match providers.find(entry).await {
        Ok(provider) => {
            let choose = |models: &[Model]| choose(context, entry, models, catalog);
            let mut checkup =
                Checkup::new(&*provider).with_choice(&choose).after(providers.reach(entry).await);
            if let Some(model) = model {
                checkup = checkup.with_model(model);
            }
            let (asked, findings) = checkup.run().await;
            tried.model = asked;
            tried.steps = findings.into_iter().map(|finding| row(context, entry, finding)).collect();
        }
        // There is no key, or no address.
        Err(failure) => tried.steps = refused(context, failure),
    }
    tried.ok = tried.steps.iter().all(|row| row.verdict != Verdict::Failed);
    tried
}

/// Returns the model to ask: the one used where none is named, if it is there, else the cheapest that is known.
fn choose(context: &Context, entry: &Entry, models: &[Model], catalog: &Catalog) -> Option<String> {
    let usual = entry.default_model.as_ref().filter(|usual| models.iter().any(|model| model.id == **usual));
    let price = |model: &&Model| {
        let found = context.known(catalog, entry, &model.id)?;
        let writes = found.entry.output.is_empty() || found.entry.output.contains(&Modality::Text);
        let rate = found.entry.rate(context.now())?;
        rate.prices.of(Bucket::Output).filter(|_| writes && found.entry.tools != Some(false))
    };
    let cheapest =
        models.iter().filter_map(|model| Some((price(&model)?, model))).min_by_key(|(price, _)| *price);
    usual
        .cloned()
        .or_else(|| cheapest.map(|(_, model)| model.id.clone()))
        .or_else(|| models.first().map(|model| model.id.clone()))
}

fn row(context: &Context, entry: &Entry, finding: Finding) -> Row {
    let redactor = context.secrets.redactor();
    let error = finding.error.as_ref();
    let said = error.map(|error| redactor.redact_str(error.message()).into_owned());
    let failed = finding.verdict == Verdict::Failed;
    let note = match (finding.note, said) {
        (Some(note), Some(said)) => Some(format!("{note}: {said}")),
        (note, said) => note.or(said),
    };
    Row {
        step: finding.step,
        verdict: finding.verdict,
        took_ms: finding.took.map(millis),
        note,
        cause: finding.cause,
        // A page where an answer should be is no answer that may come later.
        kind: error.filter(|_| failed).map(|error| match finding.cause {
            Some(Cause::WrongPath) => ErrorKind::NotFound,
            _ => error.kind(),
        }),
        status: error.and_then(aichat_providers::Error::status),
        hint: finding.cause.and_then(|cause| advice(cause, entry)),
    }
}

fn refused(context: &Context, failure: Failure) -> Vec<Row> {
    let report: Option<Report> =
        failure.into_report().map(|report| report.masked(&context.secrets.redactor()));
    let blank = |step, verdict| Row {
        step,
        verdict,
        took_ms: None,
        note: None,
        cause: None,
        kind: None,
        status: None,
        hint: None,
    };
    let rows = Step::ALL.into_iter().map(|step| match (step, &report) {
        (Step::Key, Some(report)) => Row {
            note: Some(report.message.clone()),
            cause: Some(if report.kind == ErrorKind::Config { Cause::Config } else { Cause::Key }),
            kind: Some(report.kind),
            hint: report.hint.clone(),
            ..blank(step, Verdict::Failed)
        },
        _ => Row { note: Some("not tried".to_owned()), ..blank(step, Verdict::Skipped) },
    });
    rows.collect()
}

/// Returns what to do about a cause.
pub(super) fn advice(cause: Cause, entry: &Entry) -> Option<String> {
    let name = &entry.name;
    let address = match entry
        .url_variable
        .filter(|variable| entry.origin == crate::directory::Origin::Variable(variable))
    {
        Some(variable) => variable.to_owned(),
        None => format!("providers.{name}.base_url"),
    };
    Some(match cause {
        Cause::Dns => format!("check the host in {address}, and whether this machine resolves names at all"),
        Cause::Refused if entry.is_here() => format!("start the server, or check the port in {address}"),
        Cause::Refused => {
            format!("check host and port in {address}, and whether a proxy is needed (--proxy)")
        }
        Cause::Unreachable => "check the network, or go through a proxy: --proxy URL".to_owned(),
        Cause::Reset => "try again; something between here and the server may close connections".to_owned(),
        Cause::Certificate => {
            format!(
                "add the authority that signed it to this system's trusted ones, or check the host in {address}"
            )
        }
        Cause::Tls => format!("the server may want http:// instead of https:// in {address}"),
        Cause::NotHttp => format!("check the port in {address}; the server may want https://"),
        Cause::Proxy => PROXY.to_owned(),
        Cause::Timeout => {
            "try again; a firewall may drop what is sent, or the model is still being loaded".to_owned()
        }
        Cause::Key => keys::missing(entry),
        Cause::Permission => {
            format!("the key may not do this; `aichat keys which {name}` shows which one was used")
        }
        Cause::Billing | Cause::Quota => format!("check plan and billing of your account at {name}"),
        Cause::RateLimit | Cause::Overload => "try again in a moment".to_owned(),
        Cause::WrongPath => format!("check the path in {address}: {}", expected(&entry.protocol)),
        Cause::NoModel => match entry.protocol {
            Protocol::Ollama => "run `ollama pull MODEL`, or name another with -m".to_owned(),
            Protocol::AzureChat | Protocol::AzureResponses => {
                "name a deployment of yours with -m; a model alone does not answer".to_owned()
            }
            _ => format!("`aichat models list {name}` lists what {name} offers; name one with -m"),
        },
        Cause::Server => "try again; the provider has a problem of its own".to_owned(),
        Cause::Protocol => {
            format!("is it {} that the server speaks? providers.{name}.protocol says so", entry.protocol)
        }
        Cause::Config => format!("check {address} and the headers of {name}"),
        _ => return None,
    })
}

/// Returns where a protocol is spoken.
fn expected(protocol: &Protocol) -> &'static str {
    match protocol {
        Protocol::OpenaiChat | Protocol::OpenaiResponses => "it usually ends in /v1",
        Protocol::Anthropic => "it is what stands before /v1/messages",
        Protocol::Gemini => "it is what stands before /v1beta/models",
        Protocol::Ollama => "it is what stands before /api/chat",
        _ => "it is the resource's, or ends in /openai/v1",
    }
}

fn show(tried: &Tried, output: &mut Output) -> Result<(), Failure> {
    let model = tried.model.as_deref().unwrap_or("no model");
    output.line(&format!("{} ({}) at {}, {model}", tried.provider, tried.protocol, tried.base_url))?;
    let cells = |row: &Row| {
        let took = row.took_ms.map(|took| format!("{took} ms")).unwrap_or_default();
        let cause = row.cause.map(|cause| format!("{cause}: ")).unwrap_or_default();
        let note = row.note.as_deref().unwrap_or_default();
        [format!("  {}", row.step), row.verdict.to_string(), took, format!("{cause}{note}")]
    };
    output.columns(&tried.steps.iter().map(cells).collect::<Vec<_>>())?;
    for hint in tried.steps.iter().filter_map(|row| row.hint.as_deref()) {
        output.line(&format!("  hint: {hint}"))?;
    }
    Ok(())
}
