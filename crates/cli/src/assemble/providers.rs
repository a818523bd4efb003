//! The providers of this process: each is made when it is needed, with its key, its headers and its quirks.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aichat_engine::{Registry, Secrets};
use aichat_message::{ErrorKind, Protocol};
use aichat_providers::{
    Adapter, Anthropic, Azure, Driver, Endpoint, Finding, Gemini, Ollama, OpenaiChat, OpenaiResponses,
    Profile, Provider, Redactor, ResponsesProfile, Tap,
};
use secrecy::{ExposeSecret, SecretString};

use super::network::Network;
use super::user_info;
use crate::commands::Context;
use crate::config::Header;
use crate::directory::{Directory, Entry, key_variables};
use crate::env::Env;
use crate::failure::Failure;
use crate::keys::{self, Keys, Source};

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
            user_info::learn(&context.secrets, &entry.name, &entry.base_url);
        }
        let proxy = context.global.proxy.as_deref();
        match proxy {
            Some(proxy) => user_info::learn(&context.secrets, "proxy", proxy),
            None => {
                for name in PROXY_VARIABLES {
                    if let Some(proxy) = context.env.text(name) {
                        user_info::learn(&context.secrets, name, &proxy);
                    }
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
