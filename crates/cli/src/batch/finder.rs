//! What the flags of a batch say of all its lines, and what the lines name.

use std::collections::HashMap;

use aichat_engine::{Agent, Form, ModelRef, Send, Template, Versioned};
use aichat_message::Message;

use super::line::{LookUp, Recipe};
use crate::args;
use crate::assemble::{self, Providers};
use crate::commands::Context;
use crate::commands::documents::find;
use crate::directory::Directory;
use crate::failure::Failure;
use crate::options;
use crate::prompt;
use crate::schema;

/// Finds what lines name.
pub(crate) struct Finder {
    pub(crate) context: Context,
    pub(crate) directory: Directory,
    pub(crate) providers: Providers,
    pub(crate) has_fallbacks: bool,
}

impl Finder {
    /// Returns what lines are made into messages with.
    ///
    /// # Errors
    /// Fails where the flags name what is not there, or say what cannot be.
    pub(crate) fn recipe(self, args: &args::Batch) -> Result<Recipe, Failure> {
        let context = &self.context;
        let agent = args.asked.agent.as_deref().map(|name| self.agent(name)).transpose()?;
        let template = args.asked.template.as_deref().map(|name| self.template(name)).transpose()?;
        let own = agent.as_ref().map(Versioned::read).transpose()?.and_then(|agent| agent.model);
        let model = match (&args.asked.model, own) {
            (Some(text), _) => Some(self.model(text)?),
            // The engine takes the agent's.
            (None, Some(_)) => None,
            (None, None) => context.default_model()?,
        };
        let fallbacks = args.asked.fallback.iter().map(|text| context.model(text, &self.directory));
        let usual = Send {
            agent,
            model,
            fallbacks: fallbacks.collect::<Result<_, _>>()?,
            system: args.asked.system.as_deref().map(prompt::system).transpose()?,
            message: Message::user(""),
            form: match &args.schema {
                Some(text) => Form::Of(schema::parse(text)?),
                None => Form::Kept,
            },
            allow_unpriced: args.asked.allow_unpriced,
            stream: !args.asked.no_stream,
            ..Send::new(ModelRef::new("", ""), "")
        };
        // What is wrong with them, and what is passed on as it is, is said once.
        options::parse(&args.asked.option, &context.talk)?;
        Ok(Recipe {
            usual,
            template,
            params: args.asked.param.clone(),
            options: args.asked.option.clone(),
            look_up: Box::new(self),
            agents: HashMap::new(),
            templates: HashMap::new(),
            models: HashMap::new(),
        })
    }
}

impl LookUp for Finder {
    fn model(&self, text: &str) -> Result<ModelRef, Failure> {
        let model = self.context.model(text, &self.directory)?;
        // What is wrong with a provider is said before anything is asked, unless others may stand in for it. A
        // program is asked for its key once Ctrl-C can stop that.
        let entry = self.directory.find(&model.provider)?;
        if !self.has_fallbacks && !self.providers.must_ask(entry) {
            self.providers.open(entry)?;
        }
        Ok(model)
    }

    fn agent(&self, name: &str) -> Result<Versioned<Agent>, Failure> {
        let engine = assemble::archive(&self.context)?;
        self.context.runtime()?.block_on(find(&engine, name, None))
    }

    fn template(&self, name: &str) -> Result<Template, Failure> {
        let engine = assemble::archive(&self.context)?;
        let found: Versioned<Template> = self.context.runtime()?.block_on(find(&engine, name, None))?;
        Ok(found.read()?)
    }
}
