//! Puts the parts together: the only file that names concrete providers, transports and stores.

mod network;
mod recorded;

use std::collections::HashMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aichat_engine::{Budget, Builder, Engine, RecordWire, Registry, Secrets, Step, Work};
use aichat_message::{ErrorKind, Money, Protocol};
use aichat_providers::{
    Adapter, Anthropic, Azure, Driver, Endpoint, Finding, Gemini, Ollama, OpenaiChat, OpenaiResponses,
    Profile, Provider, Redactor, ResponsesProfile, RetryPolicy, Tap,
};
#[cfg(feature = "postgres")]
use aichat_store::Postgres;
use aichat_store::{Memory, Notice, Sled, SledReader, Store};
use secrecy::{ExposeSecret, SecretString};

use self::network::Network;
use self::recorded::Recorded;
use crate::commands::Context;
use crate::config::{Header, Located};
use crate::directory::{Directory, Entry, key_variables};
use crate::env::Env;
use crate::failure::Failure;
use crate::keys::{self, Keys, Source};
use crate::location::{Complaint, Location};
use crate::meter::Meter;
#[cfg(feature = "postgres")]
use crate::pgpass;

/// Variables that may name a proxy.
const PROXY_VARIABLES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// How long to wait for a provider; what is `None` is as the provider's own defaults say.
#[derive(Clone, Copy, Default)]
pub(crate) struct Timeouts {
    pub(crate) connect: Option<Duration>,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) idle: Option<Duration>,
}

/// The providers of this process, made when they are needed. Cheap to clone; clones share what was made.
#[derive(Clone)]
pub(crate) struct Providers(Arc<Inner>);

struct Inner {
    directory: Directory,
    env: Arc<Env>,
    keys: PathBuf,
    secrets: Secrets,
    network: Arc<Network>,
    timeouts: Timeouts,
    keyless: bool,
    open: Mutex<HashMap<String, Arc<dyn Provider>>>,
    /// Held by whoever asks a program for a key: who waits for it can still be stopped.
    asking: tokio::sync::Mutex<()>,
}

impl Providers {
    /// Returns the providers of a directory. `keyless` ones are for looking only: they have no keys and miss none.
    pub(crate) fn new(
        context: &Context,
        directory: Directory,
        timeouts: Timeouts,
        keyless: bool,
    ) -> Result<Self, Failure> {
        // Keys are masked from the start, whether this run needs them or not.
        let named =
            directory.entries().iter().flat_map(|entry| entry.key_variables.iter().map(String::as_str));
        for name in named.chain(key_variables()) {
            if let Some(key) = context.env.text(name) {
                context.secrets.learn(name, key.trim());
            }
        }
        for entry in directory.entries() {
            learn_user_info(&context.secrets, &entry.name, user_info(&entry.base_url));
        }
        let proxy = context.global.proxy.as_deref();
        match proxy {
            Some(proxy) => learn_user_info(&context.secrets, "proxy", user_info(proxy)),
            None => {
                for name in PROXY_VARIABLES {
                    let proxy = context.env.text(name);
                    learn_user_info(&context.secrets, name, proxy.as_deref().and_then(user_info));
                }
            }
        }
        Ok(Self(Arc::new(Inner {
            directory,
            env: Arc::clone(&context.env),
            keys: context.paths()?.keys,
            secrets: context.secrets.clone(),
            network: Arc::new(Network::new(proxy)?),
            timeouts,
            keyless,
            open: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })))
    }

    /// Returns the same providers with other times to wait.
    pub(crate) fn within(&self, timeouts: Timeouts) -> Self {
        let inner = &self.0;
        Self(Arc::new(Inner {
            directory: inner.directory.clone(),
            env: Arc::clone(&inner.env),
            keys: inner.keys.clone(),
            secrets: inner.secrets.clone(),
            network: Arc::clone(&inner.network),
            timeouts,
            keyless: inner.keyless,
            open: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }))
    }

    /// Tells whether there is a key for a provider.
    pub(crate) fn has_key(&self, entry: &Entry) -> Result<bool, Failure> {
        Ok(self.keys().source(entry)?.is_some())
    }

    /// Returns a provider, ready to be asked.
    pub(crate) fn open(&self, entry: &Entry) -> Result<Arc<dyn Provider>, Failure> {
        let mut open = self.0.open.lock().expect("no panic while the providers are held");
        if let Some(provider) = open.get(&entry.name) {
            return Ok(Arc::clone(provider));
        }
        let provider = self.make(entry)?;
        open.insert(entry.name.clone(), Arc::clone(&provider));
        Ok(provider)
    }

    /// Returns a provider, ready to be asked; whoever waits can be stopped while a program is asked for its key.
    pub(crate) async fn find(&self, entry: &Entry) -> Result<Arc<dyn Provider>, Failure> {
        if !self.must_ask(entry) {
            return self.open(entry);
        }
        let _turn = self.0.asking.lock().await;
        let (providers, entry) = (self.clone(), entry.clone());
        let found = tokio::task::spawn_blocking(move || providers.open(&entry)).await;
        found.map_err(|_| Failure::new(ErrorKind::Cancelled, "the runtime ended"))?
    }

    /// Tells whether a program has to be asked for the key of a provider before it can be used.
    pub(crate) fn must_ask(&self, entry: &Entry) -> bool {
        // While they are held, somebody is being asked.
        let is_open = self.0.open.try_lock().map(|open| open.contains_key(&entry.name));
        match is_open {
            Ok(true) => false,
            Ok(false) if self.0.keyless => false,
            Ok(false) => matches!(self.keys().source(entry), Ok(Some(Source::Command(_) | Source::Keyring))),
            Err(_) => true,
        }
    }

    fn make(&self, entry: &Entry) -> Result<Arc<dyn Provider>, Failure> {
        if !Network::IS_THERE && !self.0.keyless {
            let what =
                format!("{} cannot be asked: this program was built without an HTTP client", entry.name);
            return Err(Failure::new(ErrorKind::Unsupported, what)
                .hint("build it with the feature `http`, which is on by default"));
        }
        if entry.base_url.is_empty() {
            let failure = Failure::new(ErrorKind::Config, format!("{} has no address", entry.name));
            return Err(failure.hint(match entry.url_variable {
                Some(name) => {
                    format!("set {name}, or run `aichat settings set providers.{}.base_url …`", entry.name)
                }
                None => format!("run `aichat settings set providers.{}.base_url …`", entry.name),
            }));
        }
        let key = if self.0.keyless { None } else { self.keys().find(entry)? };
        match &key {
            Some(key) => self.0.secrets.learn(&entry.name, key.expose_secret()),
            None if entry.needs_key && !self.0.keyless => {
                return Err(Failure::new(ErrorKind::Auth, format!("there is no key for {}", entry.name))
                    .hint(keys::missing(entry)));
            }
            None => {}
        }
        // A token of Entra ID, which Azure takes in another header than a key, is a signed JSON object.
        let is_token = key.as_ref().is_some_and(|key| key.expose_secret().starts_with("eyJ"));
        let mut waits = aichat_providers::Timeouts::default();
        waits.first_byte = self.0.timeouts.first_byte.unwrap_or(waits.first_byte);
        waits.idle = self.0.timeouts.idle.unwrap_or(waits.idle);
        let secrets = self.0.secrets.clone();
        let transport = self.0.network.transport(entry.is_here(), self.0.timeouts.connect);
        let mut endpoint = Endpoint::new(&*entry.name, &*entry.base_url, Arc::new(Tap::new(transport)))
            .with_local(entry.local)
            .with_redactor(Redactor::new(move |bytes| secrets.redactor().redact(bytes)))
            .with_timeouts(waits);
        if let Some(key) = key {
            endpoint = endpoint.with_key(key);
        }
        for (name, value) in &entry.headers {
            endpoint = endpoint.with_header(name.clone(), self.header(entry, name.as_str(), value)?);
        }
        match &entry.protocol {
            Protocol::OpenaiChat => driver(endpoint, chat(entry)),
            Protocol::OpenaiResponses => driver(endpoint, responses(entry)),
            Protocol::Anthropic => driver(endpoint, Anthropic::new()),
            Protocol::Gemini => driver(endpoint, Gemini::new()),
            Protocol::AzureChat => azure(endpoint, entry, is_token, chat(entry)),
            Protocol::AzureResponses => azure(endpoint, entry, is_token, responses(entry)),
            Protocol::Ollama => driver(endpoint, Ollama::new()),
            protocol => Err(Failure::new(
                ErrorKind::Unsupported,
                format!("this version does not speak {protocol}, the protocol of {}", entry.name),
            )
            .hint("`aichat providers list` shows what it speaks")),
        }
    }

    /// Goes the way to a provider step by step, without asking it anything.
    pub(crate) async fn reach(&self, entry: &Entry) -> Vec<Finding> {
        self.0.network.reach(entry.is_here(), self.0.timeouts.connect, &entry.base_url).await
    }

    /// Returns the value of a header; looking only, one that is not there is empty.
    fn header(&self, entry: &Entry, header: &str, value: &Header) -> Result<SecretString, Failure> {
        let variable = match value {
            Header::Text(text) => return Ok(SecretString::from(text.as_str())),
            Header::Variable(variable) => variable,
        };
        match self.0.env.text(variable) {
            Some(value) => {
                let value = value.trim();
                self.0.secrets.learn(variable, value);
                // A scheme before the secret is no secret, and words that follow another word are none.
                if let Some((scheme, secret)) = value.split_once(' ')
                    && ["basic", "bearer", "token"].contains(&scheme.to_ascii_lowercase().as_str())
                {
                    self.0.secrets.learn(variable, secret.trim());
                }
                Ok(SecretString::from(value))
            }
            None if self.0.keyless => Ok(SecretString::from("")),
            None => {
                let what =
                    format!("{variable} is not set, and {} wants it in the header {header}", entry.name);
                Err(Failure::new(ErrorKind::Auth, what).hint(format!("set {variable}")))
            }
        }
    }

    fn keys(&self) -> Keys<'_> {
        Keys { env: &self.0.env, file: &self.0.keys }
    }
}

impl Registry for Providers {
    fn provider(&self, name: &str) -> Result<Arc<dyn Provider>, aichat_engine::Error> {
        let provider = self.0.directory.find(name).and_then(|entry| self.open(entry));
        provider.map_err(|failure| match failure.into_report() {
            Some(report) => aichat_engine::Error::new(report.kind, report.message).with_hint(report.hint),
            None => aichat_engine::Error::new(ErrorKind::Cancelled, "interrupted"),
        })
    }

    fn takes_time(&self, name: &str) -> bool {
        self.0.directory.find(name).is_ok_and(|entry| self.must_ask(entry))
    }
}

fn chat(entry: &Entry) -> OpenaiChat {
    let early = entry.api_version.as_deref().is_some_and(|date| date < "2024-09-01");
    let usual = match entry.protocol {
        Protocol::AzureChat if early => Profile::named("azure-early"),
        Protocol::AzureChat => Profile::named("azure"),
        _ => None,
    };
    let named = entry.profile.as_deref().and_then(Profile::named);
    OpenaiChat::new(named.or(usual).unwrap_or_else(|| Profile::for_host(entry.host())))
}

fn responses(entry: &Entry) -> OpenaiResponses {
    let usual = match entry.protocol {
        Protocol::AzureResponses => ResponsesProfile::named("azure"),
        _ => None,
    };
    let named = entry.profile.as_deref().and_then(ResponsesProfile::named);
    OpenaiResponses::new(named.or(usual).unwrap_or_else(|| ResponsesProfile::for_host(entry.host())))
}

fn azure<A: Adapter + 'static>(
    endpoint: Endpoint,
    entry: &Entry,
    is_token: bool,
    spoken: A,
) -> Result<Arc<dyn Provider>, Failure> {
    let azure = match &entry.api_version {
        Some(date) => Azure::dated(spoken, date),
        None => Azure::v1(spoken),
    };
    driver(endpoint, if is_token { azure.with_token() } else { azure })
}

fn driver<A: Adapter + 'static>(endpoint: Endpoint, adapter: A) -> Result<Arc<dyn Provider>, Failure> {
    Ok(Arc::new(Driver::new(endpoint, adapter).map_err(aichat_engine::Error::from)?))
}

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
    proxy.into_iter().for_each(|proxy| learn_user_info(&context.secrets, "proxy", user_info(proxy)));
    Ok(Network::new(proxy)?.transport(is_here, None))
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

/// Returns what stands before the host of an address.
fn user_info(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.rsplit_once('@').map(|(user_info, _)| user_info)
}

/// Learns the user info of an address, whole and its password alone, as written and as the header it becomes says it.
fn learn_user_info(secrets: &Secrets, name: &str, user_info: Option<&str>) {
    let Some(user_info) = user_info else { return };
    let password = user_info.split_once(':').map(|(_, password)| password);
    for text in std::iter::once(user_info).chain(password) {
        secrets.learn(name, text);
        secrets.learn(name, &decoded(text));
    }
}

/// Returns percent-encoded text as it was before.
fn decoded(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        match piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => bytes.extend(std::iter::once(byte).chain(piece.bytes().skip(2))),
            None => bytes.extend(std::iter::once(b'%').chain(piece.bytes())),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
