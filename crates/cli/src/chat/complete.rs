//! Completion: of dot commands, and of the models, sessions, agents and files that may follow them. It asks no network.

use std::fs;
use std::path::Path;

use aichat_engine::{Agent, Engine, Versioned};
use aichat_events::sanitise;
use reedline::{Completer, Span, Suggestion};
use tokio::runtime::Handle;

use super::verb::{VERBS, Verb};

/// Most sessions that are looked at.
const SESSIONS: usize = 200;
/// Most completions that are shown.
const SHOWN: usize = 60;

/// Completes what stands before the cursor.
pub(super) struct Words {
    pub(super) engine: Engine,
    pub(super) runtime: Handle,
    /// The models that are known, `provider/model`.
    pub(super) models: Vec<String>,
}

impl Completer for Words {
    fn complete(&mut self, line: &str, pos: usize) -> Vec<Suggestion> {
        let Some(begun) = line.get(..pos).filter(|text| text.starts_with('.') && !text.contains('\n')) else {
            return Vec::new();
        };
        let Some((name, rest)) = begun[1..].split_once(' ') else {
            let verbs = VERBS.iter().filter(|(name, ..)| name.starts_with(&begun[1..]));
            return verbs
                .map(|(name, _, rest, what)| Suggestion {
                    value: format!(".{name}"),
                    description: Some((*what).to_owned()),
                    append_whitespace: !rest.is_empty(),
                    span: Span::new(0, pos),
                    ..Suggestion::default()
                })
                .collect();
        };
        let rest = rest.trim_start();
        let Some((_, verb, ..)) = VERBS.iter().find(|(verb, ..)| *verb == name) else { return Vec::new() };
        let found = match verb {
            Verb::Model | Verb::Retry => self.models(rest),
            Verb::Session => self.sessions(rest),
            Verb::Agent => self.agents(rest),
            Verb::Attach => files(rest),
            Verb::Copy => vec!["code".to_owned()],
            _ => Vec::new(),
        };
        let span = Span::new(pos - rest.len(), pos);
        let is_safe = |value: &String| sanitise(value) == value.as_str();
        let found = found.into_iter().filter(is_safe).take(SHOWN);
        found.map(|value| Suggestion { value, span, ..Suggestion::default() }).collect()
    }
}

impl Words {
    fn models(&self, begun: &str) -> Vec<String> {
        let begun = begun.to_lowercase();
        let fits = |model: &&String| {
            let model = model.to_lowercase();
            model.starts_with(&begun) || model.split('/').any(|part| part.starts_with(&begun))
        };
        self.models.iter().filter(fits).cloned().collect()
    }

    fn sessions(&self, begun: &str) -> Vec<String> {
        let listed = self.runtime.block_on(self.engine.list(Some(SESSIONS))).unwrap_or_default();
        let all = listed.into_iter().map(|session| session.name.unwrap_or_else(|| session.id.to_string()));
        all.filter(|name| name.starts_with(begun)).collect()
    }

    fn agents(&self, begun: &str) -> Vec<String> {
        let listed: Vec<Versioned<Agent>> =
            self.runtime.block_on(self.engine.documents(None)).unwrap_or_default();
        listed.iter().map(|agent| agent.name().to_owned()).filter(|name| name.starts_with(begun)).collect()
    }
}

/// Returns the files whose path begins so, directories with a slash at the end.
fn files(begun: &str) -> Vec<String> {
    let (directory, name) = match begun.rfind('/') {
        Some(at) => begun.split_at(at + 1),
        None => ("", begun),
    };
    let place = if directory.is_empty() { Path::new(".") } else { Path::new(directory) };
    let Ok(entries) = fs::read_dir(place) else { return Vec::new() };
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            let is_wanted = file.starts_with(name) && (name.starts_with('.') || !file.starts_with('.'));
            let slash = if entry.path().is_dir() { "/" } else { "" };
            is_wanted.then(|| format!("{directory}{file}{slash}"))
        })
        .collect();
    found.sort();
    found
}
