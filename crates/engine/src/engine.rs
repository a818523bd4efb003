//! The engine: what it is made of, and how it is put together and shut down.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use aichat_catalog::Catalog;
use aichat_events::{Clock, Effects, Entropy, Scribe};
use aichat_message::{ErrorKind, SessionId, WriterId};
use aichat_providers::{Provider, RetryPolicy};
use aichat_store::{Ledger, Store};

use crate::budget::Budget;
use crate::error::Error;
use crate::replay::Adapters;
use crate::schema::{Outline, Validator};
use crate::secrets::Secrets;
use crate::wire::RecordWire;
use crate::work::Work;

/// How many turns may wait to be folded before a sender folds them itself.
const MAX_BACKLOG: usize = 256;
/// How many bytes may wait to be folded before a sender folds them itself.
const MAX_BACKLOG_BYTES: u64 = 16 << 20;

/// Composes providers, a store and the event log. Cheap to clone; clones are the same engine.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) secrets: Secrets,
    pub(crate) retry: RetryPolicy,
    pub(crate) catalog: Catalog,
    pub(crate) budget: Budget,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) effects: Effects,
    pub(crate) folds: bool,
    pub(crate) writer: WriterId,
    pub(crate) record_wire: RecordWire,
    pub(crate) adapters: Option<Arc<dyn Adapters>>,
    pub(crate) watch: Option<Watch>,
    pub(crate) validator: Arc<dyn Validator>,
    pub(crate) running: watch::Sender<Vec<SessionId>>,
}

/// Whoever is told how far long work is.
pub(crate) type Watch = Arc<dyn Fn(Work) + Send + Sync>;

/// Finds providers by the names that sessions and requests use, when they are needed and not before.
pub trait Registry: Send + Sync {
    /// Returns the provider of that name.
    ///
    /// # Errors
    /// Fails with kind `not_found` where there is none, or with why it cannot be used: `auth`, `config`.
    fn provider(&self, name: &str) -> Result<Arc<dyn Provider>, Error>;

    /// Tells whether [`provider`](Self::provider) may take its time, as where somebody has to be asked for a key. It is
    /// then called on a thread for work that blocks.
    fn takes_time(&self, _name: &str) -> bool {
        false
    }
}

impl Registry for HashMap<String, Arc<dyn Provider>> {
    fn provider(&self, name: &str) -> Result<Arc<dyn Provider>, Error> {
        self.get(name)
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no provider named {name}")))
    }
}

/// Puts an [`Engine`] together.
pub struct Builder {
    store: Arc<dyn Store>,
    providers: HashMap<String, Arc<dyn Provider>>,
    registry: Option<Arc<dyn Registry>>,
    secrets: Secrets,
    retry: RetryPolicy,
    catalog: Catalog,
    budget: Budget,
    ledger: Option<Arc<dyn Ledger>>,
    effects: Effects,
    folds: bool,
    record_wire: RecordWire,
    adapters: Option<Arc<dyn Adapters>>,
    watch: Option<Watch>,
    validator: Arc<dyn Validator>,
}

impl Builder {
    /// Adds a provider under the name it gives itself.
    #[must_use]
    pub fn provider(mut self, provider: impl Provider + 'static) -> Self {
        self.providers.insert(provider.info().name.clone(), Arc::new(provider));
        self
    }

    /// Finds providers through `registry` instead of those added one by one.
    #[must_use]
    pub fn registry(mut self, registry: impl Registry + 'static) -> Self {
        self.registry = Some(Arc::new(registry));
        self
    }

    /// Masks these secrets in everything recorded.
    #[must_use]
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// Retries by this policy; without it, as [`RetryPolicy::default`] says.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Prices calls by `catalog`; without it, by the built-in table.
    #[must_use]
    pub fn catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = catalog;
        self
    }

    /// Keeps what goes over the network for these calls, through a [`Tap`](aichat_providers::Tap); without it, for all.
    #[must_use]
    pub fn record_wire(mut self, record: RecordWire) -> Self {
        self.record_wire = record;
        self
    }

    /// Writes requests once more, and replays turns, with what these make; without it, neither can be done.
    #[must_use]
    pub fn adapters(mut self, adapters: impl Adapters + 'static) -> Self {
        self.adapters = Some(Arc::new(adapters));
        self
    }

    /// Tells `watch` how far long work is, whenever something of it is done; it must return at once.
    #[must_use]
    pub fn watch(mut self, watch: impl Fn(Work) + Send + Sync + 'static) -> Self {
        self.watch = Some(Arc::new(watch));
        self
    }

    /// Holds answers to their schemas by `validator`; without it, by [`Outline`].
    #[must_use]
    pub fn validator(mut self, validator: impl Validator + 'static) -> Self {
        self.validator = Arc::new(validator);
        self
    }

    /// Keeps to these budgets; without them nothing is limited.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Draws on this ledger; without it, on that of the store.
    #[must_use]
    pub fn ledger(mut self, ledger: Arc<dyn Ledger>) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// Tells the time by `clock`.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.effects.clock = Arc::new(clock);
        self
    }

    /// Draws ids, salts and jitter from `entropy`.
    #[must_use]
    pub fn entropy(mut self, entropy: impl Entropy + 'static) -> Self {
        self.effects.entropy = Arc::new(entropy);
        self
    }

    /// Folds nothing when something is read: what waits is shown as it would be folded.
    #[must_use]
    pub fn looking(mut self) -> Self {
        self.folds = false;
        self
    }

    /// Returns the engine.
    pub fn build(self) -> Engine {
        let writer = WriterId::from_bits(self.effects.bits());
        Engine(Arc::new(Inner {
            ledger: self.ledger.unwrap_or_else(|| self.store.ledger()),
            budget: self.budget,
            store: self.store,
            registry: self.registry.unwrap_or_else(|| Arc::new(self.providers)),
            secrets: self.secrets,
            retry: self.retry,
            catalog: self.catalog,
            effects: self.effects,
            folds: self.folds,
            writer,
            record_wire: self.record_wire,
            adapters: self.adapters,
            watch: self.watch,
            validator: self.validator,
            running: watch::Sender::new(Vec::new()),
        }))
    }
}

impl Engine {
    /// Begins to put an engine together over a store.
    pub fn builder(store: impl Store + 'static) -> Builder {
        Self::over(Arc::new(store))
    }

    /// Begins to put an engine together over a store of a kind that is known when the program runs.
    pub fn over(store: Arc<dyn Store>) -> Builder {
        Builder {
            store,
            providers: HashMap::new(),
            registry: None,
            secrets: Secrets::new(),
            retry: RetryPolicy::default(),
            catalog: Catalog::builtin(),
            budget: Budget::default(),
            ledger: None,
            effects: Effects::default(),
            folds: true,
            record_wire: RecordWire::default(),
            adapters: None,
            watch: None,
            validator: Arc::new(Outline),
        }
    }

    /// Waits until every turn has written its end, the dropped ones included, folds what waits where that has
    /// become much, and lets go of the store.
    ///
    /// # Errors
    /// Fails with kind `store` where the fold failed; nothing is lost by that.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let mut running = self.0.running.subscribe();
        // The sender lives in this engine, so waiting can only end by the condition.
        let _ = running.wait_for(Vec::is_empty).await;
        let (turns, bytes) = self.0.store.backlog().await?;
        if self.0.folds && (turns > MAX_BACKLOG || bytes > MAX_BACKLOG_BYTES) {
            self.fold().await?;
        }
        Ok(self.0.store.release().await?)
    }

    /// Does something with the store and lets go of it, whatever came of it.
    pub(crate) async fn using_store<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let done = work.await;
        self.0.store.release().await?;
        done
    }

    /// Finds a provider; nothing else is held up where that takes its time.
    pub(crate) async fn provider(&self, name: &str) -> Result<Arc<dyn Provider>, Error> {
        let registry = &self.0.registry;
        if !registry.takes_time(name) {
            return registry.provider(name);
        }
        let (registry, name) = (Arc::clone(registry), name.to_owned());
        let found = tokio::task::spawn_blocking(move || registry.provider(&name)).await;
        found.map_err(|_| Error::new(ErrorKind::Cancelled, "the runtime ended"))?
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    /// Returns a scribe for events of a session outside any turn.
    pub(crate) fn scribe(&self, session: &SessionId) -> Scribe {
        let engine = &self.0;
        Scribe::new(
            engine.effects.clone(),
            engine.writer.clone(),
            session.clone(),
            &engine.secrets.redactor(),
        )
    }
}
