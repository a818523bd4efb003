//! The secrets this process knows, and the redactor that masks them wherever something is written or shown.

use std::fmt;
use std::sync::{Arc, RwLock};

use aichat_events::Redactor;

/// The secrets a process has resolved so far. Clones share them; a secret is learnt before it is first used.
#[derive(Clone)]
pub struct Secrets(Arc<RwLock<Known>>);

struct Known {
    values: Vec<(String, String)>,
    redactor: Arc<Redactor>,
}

impl Secrets {
    /// Returns no secrets.
    pub fn new() -> Self {
        Self(Arc::new(RwLock::new(Known { values: Vec::new(), redactor: Arc::new(Redactor::none()) })))
    }

    /// Learns a secret: from now on its value is masked as `‹secret:NAME›` in everything recorded.
    pub fn learn(&self, name: &str, value: &str) {
        let mut known = self.0.write().expect("no panic while the secrets are held");
        if known.values.iter().any(|(_, v)| v == value) {
            return;
        }
        known.values.push((name.to_owned(), value.to_owned()));
        known.redactor = Arc::new(Redactor::new(known.values.iter().cloned()));
    }

    /// Returns the redactor of the secrets known by now.
    pub fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.0.read().expect("no panic while the secrets are held").redactor)
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}
