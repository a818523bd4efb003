//! `agents`: a model, its options and a standing instruction, kept under one name.

use aichat_catalog::Money;
use aichat_engine::{Agent, unset_option};
use aichat_message::ErrorKind;
use aichat_providers::Output as AnswerForm;

use super::Context;
use super::documents::{self, Shown};
use crate::args::{self, AgentFields};
use crate::exit;
use crate::failure::Failure;
use crate::options;
use crate::output::{self, Output};
use crate::prompt;
use crate::schema;

pub(crate) fn run(context: &Context, args: args::Agents) -> Result<u8, Failure> {
    let (name, fields, is_new) = match args {
        args::Agents::Create { name, fields } => (name, fields, true),
        args::Agents::Edit { name, fields } => (name, fields, false),
        args::Agents::Kept(args) => return documents::run::<Agent>(context, args),
    };
    let engine = documents::keeper(context)?;
    let mut output = Output::stdout()?;
    context.runtime()?.block_on(async {
        let before = match is_new {
            true => None,
            false => Some(documents::find::<Agent>(&engine, &name, None).await?),
        };
        let mut agent = before.as_ref().map(|before| before.read()).transpose()?.unwrap_or_default();
        change(context, &mut agent, &fields)?;
        let saved =
            engine.save_document(&name, before.as_ref(), &agent).await.map_err(documents::meanwhile)?;
        documents::print(context, &mut output, &saved)?;
        engine.shutdown().await?;
        output.finish()?;
        Ok(exit::OK)
    })
}

/// Takes over what is given; what is given empty goes.
fn change(context: &Context, agent: &mut Agent, fields: &AgentFields) -> Result<(), Failure> {
    let given = |text: &'_ str| -> Option<String> { (!text.is_empty()).then(|| text.to_owned()) };
    if let Some(text) = &fields.description {
        agent.description = given(text);
    }
    if let Some(text) = &fields.system {
        agent.system = given(&prompt::system(text)?);
    }
    if let Some(text) = &fields.model {
        let directory = context.directory()?;
        let model = given(text).map(|text| context.model(&text, &directory)).transpose()?;
        agent.model = model.map(|model| model.to_string());
    }
    if let Some(text) = &fields.schema {
        agent.output = given(text).map(|text| schema::parse(&text)).transpose()?;
    }
    if let Some(text) = &fields.max_cost {
        agent.max_cost = given(text).map(|text| amount(&text)).transpose()?;
    }
    let (gone, set): (Vec<_>, Vec<_>) =
        fields.option.iter().cloned().partition(|(_, value)| value.is_empty());
    agent.options = options::parse(&set, &context.talk)?.or(&agent.options);
    gone.iter().for_each(|(key, _)| unset_option(&mut agent.options, key));
    Ok(())
}

fn amount(text: &str) -> Result<Money, Failure> {
    let wrong =
        || Failure::new(ErrorKind::Usage, format!("--max-cost {text}: not an amount of USD such as 0.05"));
    text.parse().ok().filter(|amount| *amount > Money::ZERO).ok_or_else(wrong)
}

impl Shown for Agent {
    const COMMAND: &'static str = "agents";

    fn row(&self) -> [String; 2] {
        let what = self.description.as_ref().or(self.system.as_ref());
        [self.model.clone().unwrap_or_default(), what.cloned().unwrap_or_default()]
    }

    fn page(&self) -> String {
        let options = output::json(&self.options);
        let form = self.output.as_ref().map(|form| match form {
            AnswerForm::Schema { schema, .. } => schema.to_string(),
            _ => "JSON".to_owned(),
        });
        let lines = [
            ("description", self.description.clone()),
            ("model", self.model.clone()),
            ("options", Some(options).filter(|options| options != "{}")),
            ("schema", form),
            ("max cost", self.max_cost.map(|cost| format!("{cost} USD"))),
        ];
        let mut page = String::new();
        for (label, value) in lines {
            if let Some(value) = value {
                page.push_str(&format!("{label}: {value}\n"));
            }
        }
        if let Some(system) = &self.system {
            page.push_str(&format!("\n{system}\n"));
        }
        page
    }
}
