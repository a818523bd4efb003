//! Puts the parts together: nothing outside of this folder names concrete providers, transports and stores.

mod network;
mod providers;
mod recorded;
mod user_info;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aichat_engine::{Budget, Builder, Engine, RecordWire, Step, Work};
use aichat_message::{ErrorKind, Money};
use aichat_providers::RetryPolicy;
#[cfg(feature = "postgres")]
use aichat_store::Postgres;
use aichat_store::{Memory, Notice, Sled, SledReader, Store};
#[cfg(feature = "postgres")]
use secrecy::ExposeSecret;

use self::recorded::Recorded;
use crate::commands::Context;
use crate::config::Located;
use crate::failure::Failure;
use crate::location::{Complaint, Location};
use crate::meter::Meter;
#[cfg(feature = "postgres")]
use crate::pgpass;

pub(crate) use self::providers::{Providers, Timeouts};

/// Returns where sessions are kept: as the flag says, or the configuration, or in the usual directory.
///
/// # Errors
/// Fails with kind `usage` or `config` where that names no place.
pub(crate) fn location(context: &Context) -> Result<Location, Failure> {
    let paths = context.paths()?;
    if let Some(text) = &context.global.store {
        return named(context, text);
    }
    let config = context.config()?;
    let Some(store) = &config.store else { return Ok(Location::Directory(paths.data)) };
    // The file may be used from anywhere.
    let base = paths.config_file.parent().unwrap_or(Path::new(""));
    Location::parse(&store.value, &paths.data, base).map_err(|Complaint { what, hint }| {
        Failure::new(ErrorKind::Config, format!("store: {what}")).hint(hint)
    })
}

/// Returns the place that an argument names.
///
/// # Errors
/// Fails with kind `usage` where it names none.
pub(crate) fn named(context: &Context, text: &str) -> Result<Location, Failure> {
    let paths = context.paths()?;
    Location::parse(text, &paths.data, Path::new("")).map_err(|Complaint { what, hint }| {
        Failure::new(ErrorKind::Usage, format!("no place to keep sessions in: {what}")).hint(hint)
    })
}

/// Returns the store at a place. Nothing is opened before it is needed.
///
/// # Errors
/// Fails with kind `config` where the password of a database cannot be looked up.
fn open(context: &Context, location: &Location) -> Result<Arc<dyn Store>, Failure> {
    match location {
        Location::Directory(path) => Ok(Arc::new(sled(context, path))),
        #[cfg(feature = "postgres")]
        Location::Database(address) => {
            let mut address = address.clone();
            if let Some(password) = pgpass::find(&context.env, &address)? {
                context.secrets.learn("PGPASSWORD", password.expose_secret());
                address = address.with_password(password);
            }
            Ok(Arc::new(Postgres::at(address)))
        }
    }
}

/// Returns the store at a place for those who only read: where a directory cannot be written, a copy of it is read.
///
/// # Errors
/// Fails as opening it does.
fn reading(context: &Context, location: &Location) -> Result<Arc<dyn Store>, Failure> {
    match location {
        Location::Directory(path) => {
            let usual = context.env.directory("TMPDIR").unwrap_or_else(|| "/tmp".into());
            // A disk that is full is often the one that has the usual directory as well.
            Ok(Arc::new(SledReader::over(sled(context, path), [usual, "/dev/shm".into()])))
        }
        #[cfg(feature = "postgres")]
        database => open(context, database),
    }
}

fn sled(context: &Context, path: &Path) -> Sled {
    let talk = context.talk.clone();
    Sled::observed(path, move |notice: &Notice| match notice {
        Notice::Waiting { .. } | Notice::Copied { .. } => talk.note(&notice.to_string()),
        _ => talk.warning(&notice.to_string()),
    })
}

/// Returns an engine over the store that sessions are kept in. Nothing is opened before it is needed.
pub(crate) fn engine(context: &Context, providers: Providers) -> Result<Engine, Failure> {
    Ok(keeping(context, providers, store(context)?)?.build())
}

/// Returns an engine for many prompts, before which nobody sits: it waits as long as providers ask.
pub(crate) fn patient(context: &Context, providers: Providers, keeps: bool) -> Result<Engine, Failure> {
    let retry =
        RetryPolicy { max_attempts: 8, max_total: Duration::from_secs(900), ..RetryPolicy::default() };
    let builder = match keeps {
        true => keeping(context, providers, store(context)?)?,
        false => forgetting(context, providers)?,
    };
    Ok(builder.retry(retry).build())
}

fn keeping(context: &Context, providers: Providers, store: Arc<dyn Store>) -> Result<Builder, Failure> {
    let record = match &context.config()?.record_wire {
        Some(record) if record.value == "off" => RecordWire::Off,
        Some(record) if record.value == "errors" => RecordWire::Errors,
        _ => RecordWire::On,
    };
    let builder = equip(Engine::over(store), context).record_wire(record).budget(budget(context)?);
    Ok(builder.catalog(context.catalog()?).registry(providers))
}

/// Returns an engine that is asked what it would do: where there is no store, none is made for that.
pub(crate) fn onlooker(context: &Context, providers: Providers) -> Result<Engine, Failure> {
    match location(context)? {
        Location::Directory(path) if !is_there(&path) => forgetful(context, providers),
        place => Ok(keeping(context, providers, reading(context, &place)?)?.build()),
    }
}

/// Returns what may be spent.
fn budget(context: &Context) -> Result<Budget, Failure> {
    let config = context.config()?;
    let amount = |name: &str| config.budget.get(name).map(Located::owned);
    let (turn, session, day) = (amount("send"), amount("session"), amount("day"));
    let provider = |(name, budget): (&String, &Located<Money>)| (name.clone(), budget.owned());
    Ok(Budget { turn, session, day, providers: config.provider_budgets.iter().map(provider).collect() })
}

/// Returns an engine that asks nobody and folds nothing: for looking at what is there, however often.
pub(crate) fn observer(context: &Context) -> Result<Engine, Failure> {
    observer_of(context, &location(context)?)
}

/// Returns an engine that only looks at a place.
pub(crate) fn observer_of(context: &Context, location: &Location) -> Result<Engine, Failure> {
    Ok(equip(Engine::over(reading(context, location)?), context).looking().build())
}

/// Returns an engine for a glance at a place, and nothing that takes longer: no copy is made.
pub(crate) fn glance(context: &Context, location: &Location) -> Result<Engine, Failure> {
    Ok(equip(Engine::over(open(context, location)?), context).looking().build())
}

/// Tells whether there is a store in a directory.
pub(crate) fn is_there(path: &Path) -> bool {
    Sled::at(path).exists()
}

/// Returns what carries telemetry to a collector, here or elsewhere.
#[cfg(feature = "otel")]
pub(crate) fn collector(
    context: &Context,
    is_here: bool,
) -> Result<Arc<dyn aichat_providers::Transport>, Failure> {
    let proxy = context.global.proxy.as_deref();
    proxy.into_iter().for_each(|proxy| user_info::learn(&context.secrets, "proxy", proxy));
    Ok(network::Network::new(proxy)?.transport(is_here, None))
}

/// Returns an engine that asks nobody: for what is there already. It prices the calls of those who could not.
pub(crate) fn archive(context: &Context) -> Result<Engine, Failure> {
    Ok(equip(Engine::over(store(context)?), context).catalog(context.catalog()?).build())
}

/// Tells whether there is nothing in a directory that could be a store, or no such directory; of what cannot be looked
/// at, the store says why.
fn is_missing(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(_) => !is_there(path),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Returns an engine for looking at what is there, also where nothing can be written: where there is no store, none is
/// made for that.
///
/// # Errors
/// Fails with kind `input` where the store that was named is not there: that is a slip of the pen.
pub(crate) fn reader(context: &Context) -> Result<Engine, Failure> {
    of_what_is_there(context, reading)
}

/// Returns an engine for changing what is there: where there is no store, none is made for that.
///
/// # Errors
/// Fails as [`reader`] does.
pub(crate) fn editor(context: &Context) -> Result<Engine, Failure> {
    of_what_is_there(context, open)
}

fn of_what_is_there(
    context: &Context,
    open: impl FnOnce(&Context, &Location) -> Result<Arc<dyn Store>, Failure>,
) -> Result<Engine, Failure> {
    match location(context)? {
        Location::Directory(path) if is_missing(&path) => {
            if path != context.paths()?.data {
                let what = format!("there is no store in {}", path.display());
                return Err(Failure::new(ErrorKind::Input, what)
                    .hint("`aichat paths` shows where sessions are kept; the first turn makes a store"));
            }
            Ok(equip(Engine::builder(Memory::new()), context).catalog(context.catalog()?).build())
        }
        place => Ok(equip(Engine::over(open(context, &place)?), context).catalog(context.catalog()?).build()),
    }
}

/// Returns an engine that remembers nothing. What it spends counts where a day's budget is set, and is written down
/// nowhere else.
pub(crate) fn forgetful(context: &Context, providers: Providers) -> Result<Engine, Failure> {
    Ok(forgetting(context, providers)?.build())
}

fn forgetting(context: &Context, providers: Providers) -> Result<Builder, Failure> {
    let mut builder = equip(Engine::builder(Memory::new()), context).record_wire(RecordWire::Off);
    let budget = budget(context)?;
    if budget.day.is_some() || !budget.providers.is_empty() {
        builder = builder.ledger(store(context)?.ledger());
    }
    let builder = builder.budget(budget);
    Ok(builder.catalog(context.catalog()?).registry(providers))
}

/// Gives an engine what every engine of this program has: somebody waits in front of it, so retries are few.
fn equip(builder: Builder, context: &Context) -> Builder {
    let retry = RetryPolicy { max_attempts: 3, max_total: Duration::from_secs(10), ..RetryPolicy::default() };
    let builder =
        builder.secrets(context.secrets.clone()).retry(retry).adapters(Recorded).watch(watch(context));
    #[cfg(feature = "json-schema")]
    let builder = builder.validator(aichat_engine::JsonSchema);
    builder
}

/// Shows how far long work is. What is exported to a terminal shows that by itself.
fn watch(context: &Context) -> impl Fn(Work) + Send + Sync + 'static {
    let meter = Meter::new(context.talk.clone());
    let on_screen = std::io::stdout().is_terminal();
    move |work| match work.over {
        true => meter.clear(),
        false if work.step == Step::Export && on_screen => {}
        false => meter.tell(work.step.as_str(), work.done, work.of),
    }
}

fn store(context: &Context) -> Result<Arc<dyn Store>, Failure> {
    open(context, &location(context)?)
}

/// Returns engines that ask nobody over two places, to copy from one to the other.
///
/// # Errors
/// Fails with kind `input` where there is nothing to copy from, or something that is no store where it shall go, and
/// with kind `usage` where both are the same place.
pub(crate) fn pair(context: &Context, from: &Location, to: &Location) -> Result<[Engine; 2], Failure> {
    if let Location::Directory(path) = from
        && !Sled::at(path).exists()
    {
        let what = format!("there is no store in {}", path.display());
        return Err(Failure::new(ErrorKind::Input, what).hint("name the directory that sessions are kept in"));
    }
    if let Location::Directory(path) = to
        && !Sled::at(path).exists()
        && std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
    {
        let what = format!("{} holds something else than a store", path.display());
        return Err(Failure::new(ErrorKind::Input, what).hint("name a new or empty directory, or a store"));
    }
    if from.is(to) {
        return Err(Failure::new(ErrorKind::Usage, "a store cannot be copied to itself"));
    }
    Ok([reading(context, from)?, open(context, to)?].map(|store| equip(Engine::over(store), context).build()))
}
