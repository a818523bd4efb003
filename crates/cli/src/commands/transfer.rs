//! `sessions export` and `sessions import`: whole sessions on their way out and in.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use aichat_engine::{Engine, Export, ExportForm, Imported, Importer, MAX_LINE, Rejected, Report, recognise};
use aichat_message::{ErrorKind, SessionId};
use futures::StreamExt;
use serde::Serialize;

use super::{Context, adopt};
use crate::args::{self, Format};
use crate::assemble;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

/// How much of a file is looked at to tell whether it is an export, in bytes.
const GLANCE: u64 = 512;

/// Prints sessions in one of their forms.
pub(crate) fn export(context: &Context, args: &args::Export) -> Result<u8, Failure> {
    if args.redact && matches!(args.format, Format::Md | Format::Html) {
        let message = "a page without what was said would be empty";
        return Err(Failure::new(ErrorKind::Usage, message).hint("use --format json or jsonl with --redact"));
    }
    let engine = assemble::reader(context)?;
    let mut output = Output::stdout()?;
    context.runtime()?.block_on(async {
        let ids = chosen(&engine, args).await?;
        match args.format {
            Format::Md => {
                for (n, id) in ids.iter().enumerate() {
                    let text = engine.transcript(id).await?.to_markdown();
                    let gap = if n == 0 { "" } else { "\n" };
                    output.text(format!("{gap}{text}")).await?;
                }
            }
            Format::Html => output.text(engine.page(&ids).await?).await?,
            Format::Json | Format::Jsonl => {
                let json = args.format == Format::Json;
                let form = if json { ExportForm::Json } else { ExportForm::Jsonl };
                let export = Export::of(ids).form(form);
                let mut pieces = engine.export(if args.redact { export.erased() } else { export });
                while let Some(piece) = pieces.next().await {
                    output.text(piece?).await?;
                }
            }
        }
        engine.shutdown().await?;
        output.finish()?;
        Ok(exit::OK)
    })
}

/// Returns the sessions that are asked for, each once.
async fn chosen(engine: &Engine, args: &args::Export) -> Result<Vec<SessionId>, Failure> {
    if args.all {
        let since = args.since.map_or(i64::MIN, |since| since.at(jiff::Timestamp::now()));
        let sessions = engine.list(None).await?.into_iter();
        return Ok(sessions
            .filter(|session| session.updated_us >= since)
            .map(|session| session.id)
            .collect());
    }
    let mut ids = Vec::new();
    for session in &args.sessions {
        let id = engine.resolve(session).await?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// What became of one session of an import.
#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Item {
    /// It is new here.
    TakenIn(Imported),
    /// It was here already, and there is more of it now.
    Extended(Imported),
    /// It was here already.
    Present(Imported),
    /// It was not taken in.
    Refused { id: Option<SessionId>, file: String, line: u64, message: String },
}

/// What became of all.
#[derive(Default, Serialize)]
struct Summary {
    items: Vec<Item>,
    taken_in: u64,
    present: u64,
    refused: u64,
}

/// Takes in every session of some files.
pub(crate) fn import(context: &Context, files: &[PathBuf]) -> Result<u8, Failure> {
    let inputs = files.iter().map(|file| open(file)).collect::<Result<Vec<_>, _>>()?;
    let foreign = inputs.iter().position(|input| matches!(input, Input::Foreign(..)));
    if let (Some(at), true) = (foreign, files.len() > 1) {
        let message = format!("{} is of another tool", files[at].display());
        return Err(Failure::new(ErrorKind::Usage, message).hint("import it by itself"));
    }
    let mut exports = Vec::new();
    for (file, input) in files.iter().zip(inputs) {
        match input {
            Input::Export(input) => exports.push((file, input)),
            Input::Foreign(importer, text) => {
                return adopt::run(context, file, importer.tool(), importer.read(&text)?);
            }
        }
    }
    let engine = assemble::archive(context)?;
    let mut output = Output::stdout()?;
    context.runtime()?.block_on(async {
        let mut summary = Summary::default();
        for (file, input) in exports {
            let mut importing = engine.import_from(input);
            while let Some(done) = importing.next().await {
                let item = match done {
                    Ok(imported) => taken(context, imported),
                    Err(refused) if refused.error.kind() == ErrorKind::Input => {
                        refusal(context, file, &refused)
                    }
                    Err(refused) => return Err(refused.error.into()),
                };
                if let (Some(id), false) = (item.taken(), context.global.json) {
                    output.line(id.as_str())?;
                }
                summary.add(item);
            }
        }
        engine.shutdown().await?;
        let code = told(context, &mut output, &summary)?;
        output.finish()?;
        Ok(code)
    })
}

/// A file that is to be imported.
enum Input {
    /// An export, or nothing that anybody knows.
    Export(Box<dyn Read + Send>),
    /// What another tool kept.
    Foreign(Box<dyn Importer>, String),
}

/// Opens a file, and reads it whole where it does not begin like an export.
fn open(file: &Path) -> Result<Input, Failure> {
    let broken = |error: std::io::Error| Failure::file(ErrorKind::Input, "cannot read", file, &error);
    let mut input: Box<dyn Read + Send> = match file == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(file).map_err(broken)?),
    };
    let mut begun = Vec::new();
    input.by_ref().take(GLANCE).read_to_end(&mut begun).map_err(broken)?;
    let is_export = String::from_utf8_lossy(&begun).contains("aichat.session/");
    if !is_export {
        input.by_ref().take(MAX_LINE as u64).read_to_end(&mut begun).map_err(broken)?;
        if let Ok(text) = std::str::from_utf8(&begun)
            && let Some(importer) = recognise(text)
        {
            return Ok(Input::Foreign(importer, text.to_owned()));
        }
    }
    Ok(Input::Export(Box::new(Cursor::new(begun).chain(input))))
}

/// Says what did not come with a session.
fn taken(context: &Context, imported: Imported) -> Item {
    let id = &imported.session;
    if imported.erased > 0 {
        let (erased, of) = (imported.erased, imported.events);
        context.talk.warning(&format!("session {id}: {erased} of {of} events came without what was in them"));
    }
    if !imported.missing_blobs.is_empty() {
        let (count, first) = (imported.missing_blobs.len(), &imported.missing_blobs[0]);
        context.talk.warning(&format!("session {id}: {count} attachments are missing, among them {first}"));
    }
    match imported.added {
        0 => Item::Present(imported),
        added if added == imported.events => Item::TakenIn(imported),
        _ => Item::Extended(imported),
    }
}

fn refusal(context: &Context, file: &Path, refused: &Rejected) -> Item {
    let file = match file == Path::new("-") {
        true => "standard input".to_owned(),
        false => file.display().to_string(),
    };
    let item = Item::Refused {
        id: refused.session.clone(),
        line: refused.line,
        message: refused.error.to_string(),
        file,
    };
    context.talk.warning(&format!("refused: {}", item.complaint().unwrap_or_default()));
    item
}

impl Item {
    fn taken(&self) -> Option<&SessionId> {
        match self {
            Self::TakenIn(imported) | Self::Extended(imported) | Self::Present(imported) => {
                Some(&imported.session)
            }
            Self::Refused { .. } => None,
        }
    }

    /// Says where and why a session was refused.
    fn complaint(&self) -> Option<String> {
        let Self::Refused { id, file, line, message } = self else { return None };
        let session = id.as_ref().map(|id| format!("session {id}: ")).unwrap_or_default();
        Some(format!("{file}, line {line}: {session}{message}"))
    }
}

impl Summary {
    fn add(&mut self, item: Item) {
        *match &item {
            Item::TakenIn(_) | Item::Extended(_) => &mut self.taken_in,
            Item::Present(_) => &mut self.present,
            Item::Refused { .. } => &mut self.refused,
        } += 1;
        self.items.push(item);
    }
}

/// Says what became of all, and returns the exit code.
fn told(context: &Context, output: &mut Output, summary: &Summary) -> Result<u8, Failure> {
    let Summary { taken_in, present, refused, .. } = summary;
    context.talk.note(&format!("{taken_in} taken in, {present} here already, {refused} refused"));
    let Some(first) = summary.items.iter().find_map(Item::complaint) else {
        if context.global.json {
            output.object("aichat.import/1", summary)?;
        }
        return Ok(exit::OK);
    };
    let message = match refused {
        1 => first,
        refused => format!("{refused} of {} sessions were refused; the first: {first}", summary.items.len()),
    };
    let failure = Failure::new(ErrorKind::Input, message);
    if !context.global.json {
        return Err(failure);
    }
    #[derive(Serialize)]
    struct Failed<'a> {
        error: Option<Report>,
        #[serde(flatten)]
        summary: &'a Summary,
    }
    let code = failure.code();
    let error = failure.into_report().map(|report| report.masked(&context.secrets.redactor()));
    output.object("aichat.error/1", &Failed { error, summary })?;
    Ok(code)
}
