//! What agents and templates have in common: they are listed, shown, deleted, exported and imported as documents.

use aichat_engine::{Agent, DocumentKind, Engine, ModelRef, Piece, Template, Versioned, nearest};
use aichat_message::ErrorKind;

use super::{Context, sessions};
use crate::args::{self, Kept};
use crate::assemble::{self, Providers, Timeouts};
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

/// How a document is shown to people.
pub(crate) trait Shown: DocumentKind {
    /// The command for its kind.
    const COMMAND: &'static str;

    /// Returns what a list says of it besides its name.
    fn row(&self) -> [String; 2];

    /// Returns all of it.
    fn page(&self) -> String;
}

/// What a turn takes from documents.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) agent: Option<Versioned<Agent>>,
    pub(super) template: Option<Vec<Piece>>,
}

impl Chosen {
    /// Looks up what the flags name. The store is not opened where they name nothing.
    pub(super) fn of(context: &Context, args: &args::Turn) -> Result<Self, Failure> {
        if args.asked.agent.is_none() && args.asked.template.is_none() {
            return Ok(Self::default());
        }
        let engine = assemble::reader(context)?;
        context.runtime()?.block_on(async {
            let agent = match &args.asked.agent {
                Some(name) => Some(find(&engine, name, None).await?),
                None => None,
            };
            let template = match &args.asked.template {
                Some(name) => {
                    let template = find::<Template>(&engine, name, None).await?.read()?;
                    let filled = template.fill(&args.asked.param).map_err(Failure::from);
                    let hint = "write -p KEY=VALUE for each of its parameters";
                    Some(filled.map_err(|failure| {
                        failure.hint(format!("{hint}; `aichat templates show {name}` shows them"))
                    })?)
                }
                None => None,
            };
            Ok(Self { agent, template })
        })
    }

    /// Returns the model of the agent.
    pub(super) fn model(&self) -> Result<Option<ModelRef>, Failure> {
        let agent = self.agent.as_ref().map(Versioned::read).transpose()?;
        Ok(agent.and_then(|agent| ModelRef::parse(agent.model.as_deref()?)))
    }
}

/// Returns an engine that keeps documents, and masks the keys of the environment in them.
pub(super) fn keeper(context: &Context) -> Result<Engine, Failure> {
    Providers::new(context, context.directory()?, Timeouts::default(), true)?;
    assemble::archive(context)
}

/// Does what is done with every kind of document alike.
pub(super) fn run<T: Shown>(context: &Context, args: Kept) -> Result<u8, Failure> {
    let imported = match &args {
        Kept::Import { file } => Some(read(file)?),
        _ => None,
    };
    let engine = match &args {
        Kept::Import { .. } => keeper(context)?,
        Kept::Delete { .. } => assemble::editor(context)?,
        _ => assemble::reader(context)?,
    };
    let mut output = Output::stdout()?;
    context.runtime()?.block_on(async {
        match args {
            Kept::List(limit) => list::<T>(context, &mut output, &engine.documents(limit.limit).await?)?,
            Kept::Show { name, history: true, .. } => {
                let versions = engine.document_history::<T>(&name).await;
                let versions = versions.map_err(Failure::from);
                history(context, &mut output, &found::<T, _>(&engine, &name, versions).await?)?;
            }
            Kept::Show { name, version, .. } => {
                show::<T>(context, &mut output, &find(&engine, &name, version).await?)?;
            }
            Kept::Delete { name } => {
                let latest = find::<T>(&engine, &name, None).await?;
                let deleted = engine.delete_document(&latest).await.map_err(meanwhile)?;
                print(context, &mut output, &deleted)?;
            }
            Kept::Export { name } => output.json(&find::<T>(&engine, &name, None).await?)?,
            Kept::Import { .. } => {
                let text = imported.unwrap_or_default();
                let taken = engine.import_document::<T>(&text).await.map_err(meanwhile)?;
                print(context, &mut output, &taken)?;
            }
        }
        engine.shutdown().await?;
        output.finish()?;
        Ok(exit::OK)
    })
}

/// Returns a document, or says which name was probably meant.
pub(crate) async fn find<T: Shown>(
    engine: &Engine,
    name: &str,
    version: Option<u64>,
) -> Result<Versioned<T>, Failure> {
    let document = engine.document(name, version).await.map_err(Failure::from);
    match version {
        None => found::<T, _>(engine, name, document).await,
        Some(_) => document.map_err(|failure| match failure.kind() {
            Some(ErrorKind::Input) => {
                failure.hint(format!("`aichat {} show {name} --history` lists its versions", T::COMMAND))
            }
            _ => failure,
        }),
    }
}

async fn found<T: Shown, F>(engine: &Engine, name: &str, found: Result<F, Failure>) -> Result<F, Failure> {
    match found {
        Err(failure) if failure.kind() == Some(ErrorKind::Input) => {
            let all = engine.documents::<T>(None).await?;
            Err(failure.hint(match nearest(name, all.iter().map(Versioned::name)) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("`aichat {} list` lists them", T::COMMAND),
            }))
        }
        found => found,
    }
}

/// Says what to do where somebody else was faster.
pub(super) fn meanwhile(error: aichat_engine::Error) -> Failure {
    let failure = Failure::from(error);
    match failure.kind() {
        Some(ErrorKind::Busy) => failure.hint("run it again: nothing was changed"),
        _ => failure,
    }
}

/// Prints a version, its name and number where a person asks.
pub(super) fn print<T>(
    context: &Context,
    output: &mut Output,
    version: &Versioned<T>,
) -> Result<(), Failure> {
    match context.global.json {
        true => output.json(version),
        false if version.is_deleted() => output.line(version.name()),
        false => output.line(&format!("{}, version {}", version.name(), version.version())),
    }
}

fn list<T: Shown>(context: &Context, output: &mut Output, all: &[Versioned<T>]) -> Result<(), Failure> {
    if context.global.json {
        return output.list(&all);
    }
    let row = |one: &Versioned<T>| {
        let [first, second] = match one.read() {
            Ok(content) => content.row(),
            Err(error) => [String::new(), error.to_string()],
        };
        let second = second.lines().next().unwrap_or_default().chars().take(60).collect();
        [one.name().to_owned(), format!("version {}", one.version()), first, second]
    };
    output.columns(&all.iter().map(row).collect::<Vec<_>>())
}

fn history<T: Shown>(context: &Context, output: &mut Output, all: &[Versioned<T>]) -> Result<(), Failure> {
    if context.global.json {
        return output.list(&all);
    }
    let row = |one: &Versioned<T>| {
        let what = if one.is_deleted() { "deleted" } else { "" };
        [format!("version {}", one.version()), sessions::time(one.saved_us()), what.to_owned()]
    };
    output.columns(&all.iter().map(row).collect::<Vec<_>>())
}

fn show<T: Shown>(context: &Context, output: &mut Output, version: &Versioned<T>) -> Result<(), Failure> {
    if context.global.json {
        return output.json(version);
    }
    let page = version.read()?.page();
    let time = sessions::time(version.saved_us());
    output.line(&format!("{}, version {}, {time}", version.name(), version.version()))?;
    output.line(&page)
}

/// Returns the text of a file, or of standard input where it is `-`.
pub(super) fn read(file: &std::path::Path) -> Result<String, Failure> {
    match file == std::path::Path::new("-") {
        true => crate::stdin::read(std::io::stdin(), crate::stdin::Patience::ENDLESS, || ())
            .and_then(crate::stdin::text),
        false => crate::prompt::text_of(file),
    }
}
