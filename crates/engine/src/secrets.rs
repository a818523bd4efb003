//! The secrets this process knows, and the redactor that masks them wherever something is written or shown.

use std::fmt;
use std::sync::{Arc, Mutex};

use aichat_events::Redactor;

/// The secrets a process has resolved so far. Clones share them; a secret is learnt before it is first used.
#[derive(Clone)]
pub struct Secrets(Arc<Mutex<Known>>);

struct Known {
    values: Vec<(String, String)>,
    /// Made when it is first needed: it takes longer to make than a prompt takes to read.
    redactor: Option<Arc<Redactor>>,
}

impl Secrets {
    /// Returns no secrets.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Known { values: Vec::new(), redactor: None })))
    }

    /// Learns a secret: from now on its value is masked as `‹secret:NAME›` in everything recorded.
    pub fn learn(&self, name: &str, value: &str) {
        let mut known = self.0.lock().expect("no panic while the secrets are held");
        if known.values.iter().any(|(_, v)| v == value) {
            return;
        }
        known.values.push((name.to_owned(), value.to_owned()));
        known.redactor = None;
    }

    /// Returns the redactor of the secrets known by now.
    pub fn redactor(&self) -> Arc<Redactor> {
        let mut known = self.0.lock().expect("no panic while the secrets are held");
        let Known { values, redactor } = &mut *known;
        Arc::clone(redactor.get_or_insert_with(|| Arc::new(Redactor::new(values.iter().cloned()))))
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
