//! The commands, and what every one of them is given.

mod adopt;
mod agents;
mod batch;
mod chains;
mod checkup;
mod completions;
mod cost;
mod diff;
mod doctor;
pub(crate) mod documents;
mod events;
mod fork;
mod heads;
mod keys;
mod man;
mod models;
mod otel;
mod paths;
mod preview;
mod providers;
mod replay;
mod schema;
mod search;
mod send;
mod sessions;
mod settings;
mod store;
mod tail;
mod templates;
mod transfer;
mod tree;
pub(crate) mod turn;

use std::ffi::{OsStr, OsString};
use std::sync::{Arc, OnceLock};

use aichat_catalog::{Call, Catalog, Match, Moment};
use aichat_engine::{ModelRef, Report, Secrets, TurnResult, phrase};
use aichat_message::ErrorKind;
use clap::error::ErrorKind as Misuse;
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::args::{self, Cli, Color, Command, Form, Global};
use crate::assemble;
use crate::choice;
use crate::complete;
use crate::config::Config;
use crate::directory::{Directory, Entry};
use crate::env::Env;
use crate::exit;
use crate::failure::Failure;
#[cfg(feature = "postgres")]
use crate::location::Location;
use crate::output::Output;
use crate::panics;
use crate::paths::{Paths, is_absent};
use crate::signals::Signals;
use crate::talk::Talk;
use turn::end_at_once;

/// What a command works with: flags, environment, known secrets, a voice.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) env: Arc<Env>,
    pub(crate) secrets: Secrets,
    pub(crate) talk: Talk,
    /// The configuration, once somebody asked for it: a run has one.
    config: Arc<OnceLock<Arc<Config>>>,
}

impl Context {
    pub(crate) fn new(global: Global, env: Arc<Env>, secrets: Secrets, talk: Talk) -> Self {
        Self { global, env, secrets, talk, config: Arc::default() }
    }

    /// Works out where things are kept.
    pub(crate) fn paths(&self) -> Result<Paths, Failure> {
        Paths::of(&self.env, self.global.config.as_deref())
    }

    /// Returns the configuration, which is read once.
    pub(crate) fn config(&self) -> Result<Arc<Config>, Failure> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let paths = self.paths()?;
        let config = Config::load(&paths.config_file, paths.config_named)?;
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }

    /// Finds out which providers there are.
    pub(crate) fn directory(&self) -> Result<Directory, Failure> {
        Directory::of(&*self.config()?, &self.env)
    }

    /// Returns the models and prices known, those of the file `models.json` beside the configuration first.
    pub(crate) fn catalog(&self) -> Result<Catalog, Failure> {
        let path = self.paths()?.config.join("models.json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if is_absent(&error) => return Ok(Catalog::builtin()),
            Err(error) => return Err(Failure::file(ErrorKind::Config, "cannot read", &path, &error)),
        };
        Catalog::builtin().with_json(&text).map_err(|error| {
            let why = std::error::Error::source(&error).map(|why| format!(": {why}")).unwrap_or_default();
            Failure::new(ErrorKind::Config, format!("{}: {error}{why}", path.display()))
        })
    }

    /// Returns the model that the configuration names where nobody else does.
    pub(crate) fn default_model(&self) -> Result<Option<ModelRef>, Failure> {
        Ok(self.config()?.model.as_ref().and_then(|model| ModelRef::parse(&model.value)))
    }

    /// Finds the model that a text stands for.
    pub(crate) fn model(&self, text: &str, directory: &Directory) -> Result<ModelRef, Failure> {
        choice::model(text, directory, self.default_model()?.as_ref(), || self.catalog())
    }

    /// Returns what is known of a model of a provider, by the provider's address as well as its name.
    pub(crate) fn known(&self, catalog: &Catalog, provider: &Entry, model: &str) -> Option<Match> {
        catalog.find(&Call::new(&provider.name, model, self.now()).to(&provider.base_url))
    }

    /// Returns what time it is, for what has a price by the hour.
    pub(crate) fn now(&self) -> Moment {
        Moment::from_unix_micros(jiff::Timestamp::now().as_microsecond())
    }

    /// Waits for something until somebody asks to stop, in a runtime of its own. Programs that are asked for a key end
    /// then, too.
    pub(crate) fn attend<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let runtime = self.runtime()?;
        let (done, mut signals) = runtime.block_on(async {
            let mut signals = Signals::listen()?;
            let done = tokio::select! {
                biased;
                stop = signals.stop() => Err(Failure::Stopped(stop)),
                done = work => done,
            };
            Ok::<_, Failure>((done, signals))
        })?;
        // What was found may be more than its reader takes, and a signal still ends this; whoever is still waited for is
        // not waited for.
        let watch = move || runtime.block_on(async { end_at_once(signals.stop().await) });
        std::thread::Builder::new().name("aichat-signals".to_owned()).spawn(watch).map_err(|error| {
            Failure::new(ErrorKind::Unsupported, format!("cannot start a thread: {}", phrase(&error)))
        })?;
        done
    }

    /// Starts the runtime of a command that waits for something.
    pub(crate) fn runtime(&self) -> Result<Runtime, Failure> {
        let mut builder = match assemble::location(self) {
            #[cfg(feature = "postgres")]
            // What is held in a database must be renewed even while nobody reads our output.
            Ok(Location::Database(_)) => tokio::runtime::Builder::new_multi_thread(),
            _ => tokio::runtime::Builder::new_current_thread(),
        };
        let runtime = builder.worker_threads(1).enable_all().build().map_err(|error| {
            Failure::new(ErrorKind::Unsupported, format!("cannot start: {}", phrase(&error)))
        })?;
        let guard = runtime.enter();
        crate::signals::survive_file_size_limit()?;
        drop(guard);
        Ok(runtime)
    }
}

/// Parses the arguments, runs the command they name and returns the exit code.
pub(crate) fn run(args: &[OsString], secrets: Secrets) -> u8 {
    let env = Arc::new(Env::process());
    if complete::answer(&env) {
        return exit::OK;
    }
    let cli = match args::parse(args) {
        Ok(cli) => cli,
        Err(error) => return misused(&error, args, &env, secrets),
    };
    let talk = Talk::new(cli.global.quiet, cli.global.color, &env, secrets.clone());
    let shape = Shape::of(&cli);
    let context = Context::new(cli.global, env, secrets, talk);
    let done = match cli.command {
        Command::Send(args) => send::run(&context, &args),
        #[cfg(feature = "chat")]
        Command::Chat(args) => crate::chat::run(&context, &args),
        Command::Batch(args) => batch::run(&context, &args),
        Command::Sessions(args) => sessions::run(&context, args),
        Command::Agents(args) => agents::run(&context, args),
        Command::Templates(args) => templates::run(&context, args),
        Command::Cost(args) => cost::run(&context, args),
        Command::Events(args) => events::run(&context, args),
        #[cfg(feature = "inspect")]
        Command::Inspect { session } => crate::inspect::run(&context, session.as_deref()),
        Command::Models(args) => models::run(&context, args),
        Command::Keys(args) => keys::run(&context, args),
        Command::Providers(args) => providers::run(&context, args),
        Command::Settings(args) => settings::run(&context, args),
        Command::Store(args) => store::run(&context, args),
        Command::Doctor => doctor::run(&context),
        Command::Paths => paths::run(&context),
        Command::Schema => schema::run(),
        Command::Completions { shell } => completions::run(shell),
        Command::Man { command, output } => man::run(&command, output.as_deref()),
    };
    done.unwrap_or_else(|failure| report(failure, shape, &context.talk, &context.secrets))
}

/// Tells programs of a panic, of which its hook has told people, and returns the exit code.
pub(crate) fn fell(args: &[OsString], said: &str, secrets: &Secrets) -> u8 {
    let shape = Shape::guess(args);
    let failure = Failure::new(ErrorKind::Unsupported, format!("internal error: {said}"));
    if let Some(report) = failure.hint(panics::HINT).into_report().filter(|_| shape != Shape::Words) {
        // Where it cannot be written, standard error has it.
        let _ = print(report, shape, secrets);
    }
    exit::OTHER
}

/// How a failure is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// To a person, on standard error.
    Words,
    /// As an error object.
    Error,
    /// As the result object of a turn, in this form.
    Result(Form),
}

impl Shape {
    fn of(cli: &Cli) -> Self {
        match &cli.command {
            Command::Send(args) => match send::form(args.output_format, cli.global.json) {
                Form::Text => Self::Words,
                form => Self::Result(form),
            },
            _ if cli.global.json => Self::Error,
            _ => Self::Words,
        }
    }

    /// Guesses the shape from arguments that could not be parsed.
    fn guess(args: &[OsString]) -> Self {
        let args: Vec<&str> =
            args.iter().take_while(|arg| *arg != "--").filter_map(|arg| arg.to_str()).collect();
        let named =
            args.iter().enumerate().find_map(|(index, arg)| match arg.strip_prefix("--output-format") {
                Some("") => args.get(index + 1).copied(),
                Some(rest) => rest.strip_prefix('='),
                None => None,
            });
        let form = match named {
            Some("json") => Form::Json,
            Some("stream-json") => Form::StreamJson,
            _ if args.contains(&"--json") => Form::Json,
            _ => return Self::Words,
        };
        let grammar = args::grammar();
        match args.iter().skip(1).find(|arg| grammar.find_subcommand(arg).is_some()) {
            Some(&"send") => Self::Result(form),
            _ => Self::Error,
        }
    }
}

/// Tells a failure and returns its exit code.
fn report(failure: Failure, shape: Shape, talk: &Talk, secrets: &Secrets) -> u8 {
    let code = failure.code();
    let Some(report) = failure.into_report() else { return code };
    match shape {
        Shape::Words if report.kind == ErrorKind::Cancelled => talk.note(&report.message),
        Shape::Words => talk.error(&report),
        Shape::Error | Shape::Result(_) => {
            if let Err(unprinted) = print(report.clone(), shape, secrets) {
                let code = unprinted.code();
                // Whoever went away is not talked to; to others it is told where it can be.
                if let Some(unprinted) = unprinted.into_report() {
                    talk.error(&report);
                    if unprinted.message != report.message {
                        talk.error(&unprinted);
                    }
                }
                return code;
            }
        }
    }
    code
}

fn print(report: Report, shape: Shape, secrets: &Secrets) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Object {
        schema: &'static str,
        error: Report,
    }
    let redactor = secrets.redactor();
    let mut output = Output::stdout()?;
    match shape {
        Shape::Result(form) => {
            let result = TurnResult::failed(report, &redactor);
            output.json(&if form == Form::StreamJson { result.into_line() } else { result })?;
        }
        _ => output.json(&Object { schema: "aichat.error/1", error: report.masked(&redactor) })?,
    }
    output.finish()
}

/// Prints help where it was asked for; tells what is wrong with the arguments otherwise.
fn misused(error: &clap::Error, args: &[OsString], env: &Env, secrets: Secrets) -> u8 {
    let text = error.render().to_string();
    let show = || {
        let mut output = Output::stdout()?;
        output.line(&text)?;
        output.finish()
    };
    let quiet = args.iter().any(|arg| arg == OsStr::new("-q") || arg == OsStr::new("--quiet"));
    let talk = Talk::new(quiet, Color::Auto, env, secrets.clone());
    if matches!(error.kind(), Misuse::DisplayHelp | Misuse::DisplayVersion) {
        return show().map_or_else(|failure| report(failure, Shape::Words, &talk, &secrets), |()| exit::OK);
    }
    let usage = Failure::new(ErrorKind::Usage, said(&text));
    match Shape::guess(args) {
        Shape::Words => {
            talk.raw(&text);
            usage.code()
        }
        shape => report(usage.hint("--help shows how it is meant"), shape, &talk, &secrets),
    }
}

/// Returns what a rendered usage error says, without its label and what follows.
fn said(text: &str) -> String {
    let first = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = first.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_guessed_from_arguments_that_make_no_sense() {
        let guess = |line: &str| Shape::guess(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(guess("aichat send --nonsense"), Shape::Words);
        assert_eq!(guess("aichat send --nonsense --json"), Shape::Result(Form::Json));
        assert_eq!(guess("aichat --json send --nonsense"), Shape::Result(Form::Json));
        assert_eq!(guess("aichat send --output-format=stream-json -Z"), Shape::Result(Form::StreamJson));
        assert_eq!(guess("aichat send --output-format json -Z"), Shape::Result(Form::Json));
        assert_eq!(guess("aichat --store place send --nonsense --json"), Shape::Result(Form::Json));
        assert_eq!(guess("aichat sessions list --json -Z"), Shape::Error);
        assert_eq!(guess("aichat --json -Z"), Shape::Error);
        assert_eq!(guess("aichat send -Z -- --json"), Shape::Words);
    }
}
