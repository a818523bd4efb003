//! Completion in a shell: what may stand where the cursor is. It asks no network and waits for nobody.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aichat_engine::{Agent, DocumentKind, Engine, Secrets, Summary, Template, Versioned};
use aichat_events::sanitise;
use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::{CompleteEnv, Shell};

use crate::args::{Color, Global, grammar};
use crate::assemble;
use crate::commands::Context;
use crate::directory::Directory;
use crate::env::Env;
use crate::location::Location;
use crate::talk::Talk;

/// The variable by which a completion script asks: it names the shell.
const VARIABLE: &str = "AICHAT_COMPLETE";
/// The script for bash, which takes words apart that must stay whole.
const BASH: &str = include_str!("complete.bash");
/// What sets up completion in a zsh whose user has not, as a fresh one has not.
const ZSH: &str = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }\n";
/// Longest wait for a store that somebody else holds; a person waits for the completion.
const PATIENCE: Duration = Duration::from_secs(1);
/// Most sessions that are looked at.
const SESSIONS: usize = 500;

/// Answers a completion script. Returns false where nobody asked.
pub(crate) fn answer(env: &Env) -> bool {
    if env.text(VARIABLE).is_none() {
        return false;
    }
    let complete = CompleteEnv::with_factory(|| with_values(grammar(), ""))
        .var(VARIABLE)
        .bin("aichat")
        .completer("aichat");
    let here = std::env::current_dir().ok();
    // Whoever types shall not read complaints instead of completions.
    complete.try_complete(std::env::args_os(), here.as_deref()).unwrap_or(true)
}

/// Returns the script that makes a shell ask.
pub(crate) fn script(shell: Shell) -> Vec<u8> {
    if shell == Shell::Bash {
        return BASH.into();
    }
    let mut script = Vec::new();
    let shells = clap_complete::env::Shells::builtins();
    if let Some(completer) = shells.completer(&shell.to_string()) {
        let _ = completer.write_registration(VARIABLE, "aichat", "aichat", "aichat", &mut script);
    }
    if shell == Shell::Zsh {
        // The first line is the mark by which zsh would take the script as a function of its own.
        let second = script.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        script.splice(second..second, ZSH.bytes());
    }
    script
}

/// Gives the arguments what may be their values, by what help calls these.
fn with_values(command: Command, noun: &str) -> Command {
    let value = |arg: Arg| {
        let names = arg.get_value_names().unwrap_or_default();
        let completer = match (noun, names.first().map(|name| name.as_str())) {
            (_, Some("MODEL")) => models(),
            (_, Some("SESSION")) => sessions(),
            (_, Some("PROVIDER")) => providers(),
            (_, Some("AGENT")) | ("agents", Some("NAME")) => documents::<Agent>(),
            (_, Some("TEMPLATE")) | ("templates", Some("NAME")) => documents::<Template>(),
            _ => return arg,
        };
        arg.add(completer)
    };
    command.mut_args(value).mut_subcommands(|it| {
        let noun = if noun.is_empty() { it.get_name().to_owned() } else { noun.to_owned() };
        with_values(it, &noun)
    })
}

/// Completes a model: of providers that are set up, and of others once their name stands there.
fn models() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        let begun = word.to_str().unwrap_or_default();
        let found = || {
            let context = context();
            let (catalog, directory) = (context.catalog().ok()?, context.directory().ok()?);
            let wanted = |name: &str, is_ready: bool| match begun.split_once('/') {
                Some((provider, _)) => provider == name,
                None => name.starts_with(begun) && (is_ready || !begun.is_empty()),
            };
            let providers = directory.entries().iter().filter(|entry| {
                let has_key = entry.key_variables.iter().any(|name| context.env.text(name).is_some());
                wanted(&entry.name, entry.configured || has_key)
            });
            let models = providers.flat_map(|entry| {
                let known = catalog
                    .entries_of(&entry.name)
                    .into_iter()
                    .map(|model| format!("{}/{}", entry.name, model.id));
                known.collect::<Vec<_>>()
            });
            Some(models.collect())
        };
        candidates(begun, found().unwrap_or_default())
    })
}

/// Completes a provider.
fn providers() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        let all = context()
            .directory()
            .map(|all: Directory| all.entries().iter().map(|entry| entry.name.clone()).collect::<Vec<_>>());
        candidates(word.to_str().unwrap_or_default(), all.unwrap_or_default())
    })
}

/// Completes a session: its name, or the id of one that has none.
fn sessions() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        let all = kept(async |engine| {
            let listed = engine.list(Some(SESSIONS)).await.ok()?;
            let name = |it: Summary| it.name.unwrap_or_else(|| it.id.to_string());
            Some(listed.into_iter().map(name).collect())
        });
        candidates(word.to_str().unwrap_or_default(), all)
    })
}

/// Completes an agent or a template.
fn documents<T: DocumentKind>() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        let all = kept(async |engine| {
            let listed: Vec<Versioned<T>> = engine.documents(None).await.ok()?;
            Some(listed.iter().map(|it| it.name().to_owned()).collect())
        });
        candidates(word.to_str().unwrap_or_default(), all)
    })
}

/// Returns what fits; what would steer a terminal does not.
fn candidates(begun: &str, all: Vec<String>) -> Vec<CompletionCandidate> {
    let fits = |it: &String| it.starts_with(begun) && sanitise(it) == it.as_str();
    all.into_iter().filter(fits).map(CompletionCandidate::new).collect()
}

/// Looks into the store, unless that takes longer than anybody would wait.
fn kept(look: impl AsyncFnOnce(&Engine) -> Option<Vec<String>>) -> Vec<String> {
    let found = || {
        let context = context();
        let location = assemble::location(&context).ok()?;
        match &location {
            Location::Directory(path) if !assemble::is_there(path) => return None,
            _ => {}
        }
        let engine = assemble::glance(&context, &location).ok()?;
        let runtime = context.runtime().ok()?;
        let found = runtime.block_on(async { tokio::time::timeout(PATIENCE, look(&engine)).await });
        runtime.shutdown_background();
        found.ok()?
    };
    found().unwrap_or_default()
}

/// Returns what the line that is being typed says of where things are.
fn context() -> Context {
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let env = Arc::new(Env::process());
    let secrets = Secrets::new();
    let talk = Talk::new(true, Color::Never, &env, secrets.clone());
    let global = Global {
        store: value(&words, "--store").and_then(|value| value.into_string().ok()),
        config: value(&words, "--config").map(PathBuf::from),
        proxy: None,
        color: Color::Never,
        json: false,
        quiet: true,
    };
    Context::new(global, env, secrets, talk)
}

/// Returns the value of a flag on a line, `--flag value` or `--flag=value`.
fn value(words: &[OsString], flag: &str) -> Option<OsString> {
    let at = words.iter().position(|word| word.to_str().is_some_and(|word| word.starts_with(flag)))?;
    match words[at].to_str()?.strip_prefix(flag)? {
        "" => words.get(at + 1).cloned(),
        rest => rest.strip_prefix('=').map(OsString::from),
    }
}
