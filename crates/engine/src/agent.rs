//! Agents: a model, its options and a standing instruction under one name, and what a turn takes from one.

use serde::{Deserialize, Serialize};

use aichat_catalog::Money;
use aichat_events::AgentRef;
use aichat_message::Role;
use aichat_providers::{Options, Output};

use crate::answer::Form;
use crate::context::Context;
use crate::document::{DocumentKind, Versioned};
use crate::engine::Engine;
use crate::error::Error;
use crate::project::Summary;
use crate::turn::{ModelRef, Send};

/// What answers under a name; a document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Agent {
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The standing instruction that its turns begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The model, `provider/model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Sampling and limits.
    #[serde(skip_serializing_if = "is_default")]
    pub options: Options,
    /// What form its answers shall have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// The most that a turn shall cost, in USD. It is kept and shown; the engine does not hold a turn to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<Money>,
}

fn is_default(options: &Options) -> bool {
    *options == Options::default()
}

impl DocumentKind for Agent {
    const KIND: &'static str = "agent";
    const FORMAT: u32 = 1;

    fn fault(&self) -> Option<String> {
        if let Some(model) = self.model.as_deref().filter(|model| ModelRef::parse(model).is_none()) {
            return Some(format!("its model {model:?} is not of the form provider/model"));
        }
        let cost = self.max_cost.filter(|cost| *cost <= Money::ZERO)?;
        Some(format!("a turn cannot cost at most {cost} USD"))
    }
}

impl Versioned<Agent> {
    /// Tells whether it says which model answers.
    pub fn names_a_model(&self) -> bool {
        self.read().is_ok_and(|agent| agent.model.is_some())
    }
}

/// The agent of a turn.
pub(crate) struct Acting {
    pub(crate) agent: Agent,
    pub(crate) named: AgentRef,
    /// Whether this turn was given to it, rather than continued with it.
    given: bool,
}

impl Engine {
    /// Returns the agent of a turn: the one that the caller gives it to, or the one in whose version the session
    /// went on last. A warning says where that version is not in this store.
    pub(crate) async fn acting(
        &self,
        send: &Send,
        summary: Option<&Summary>,
    ) -> Result<(Option<Acting>, Option<String>), Error> {
        if let Some(version) = &send.agent {
            let named = AgentRef {
                name: version.name().to_owned(),
                version: version.version(),
                hash: version.hash(),
            };
            return Ok((Some(Acting { agent: version.read()?, named, given: true }), None));
        }
        let Some(named) = summary.and_then(|summary| summary.agent.clone()) else { return Ok((None, None)) };
        let found: Option<Versioned<Agent>> = self.at(&named.name, named.version).await?;
        match found.filter(|version| version.hash() == named.hash) {
            Some(version) => Ok((Some(Acting { agent: version.read()?, named, given: false }), None)),
            None => {
                let AgentRef { name, version, .. } = named;
                let what = format!("agent {name:?}, version {version}, is not kept here");
                Ok((None, Some(format!("{what}; the session goes on without its options"))))
            }
        }
    }
}

impl Acting {
    /// Fills in what the caller left open, where a turn follows `context`.
    pub(crate) fn complete(&self, send: &mut Send, context: &Context) {
        send.options = std::mem::take(&mut send.options).or(&self.agent.options);
        let is_answered = context.messages.iter().any(|message| message.role == Role::Assistant);
        if let (Form::Kept, Some(output)) = (&send.form, &self.agent.output)
            && (self.given || !is_answered)
        {
            send.form = Form::Of(output.clone());
        }
        send.max_cost = send.max_cost.or(self.agent.max_cost);
        if !self.given {
            return;
        }
        if send.model.is_none() {
            send.model = self.agent.model.as_deref().and_then(ModelRef::parse);
        }
        // What stands already need not be said again.
        let stands = context.messages.iter().rev().find(|message| message.role == Role::System);
        let stands = stands.map(|message| message.text());
        if send.system.is_none() && self.agent.system != stands {
            send.system.clone_from(&self.agent.system);
        }
    }
}
