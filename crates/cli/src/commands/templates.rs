//! `templates`: prompts with places to fill in, kept under a name.

use std::path::Path;

use aichat_engine::Template;

use super::Context;
use super::documents::{self, Shown};
use crate::args;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::prompt;

pub(crate) fn run(context: &Context, args: args::Templates) -> Result<u8, Failure> {
    let (name, text, description, is_new) = match args {
        args::Templates::Create { name, text, description } => (name, Some(text), description, true),
        args::Templates::Edit { name, text, description } => (name, text, description, false),
        args::Templates::Kept(args) => return documents::run::<Template>(context, args),
    };
    let text = text.map(|text| read(&text)).transpose()?;
    let engine = documents::keeper(context)?;
    let mut output = Output::stdout()?;
    context.runtime()?.block_on(async {
        let before = match is_new {
            true => None,
            false => Some(documents::find::<Template>(&engine, &name, None).await?),
        };
        let mut template = before.as_ref().map(|before| before.read()).transpose()?.unwrap_or_default();
        template.text = text.unwrap_or(template.text);
        if let Some(description) = description {
            template.description = Some(description).filter(|text| !text.is_empty());
        }
        let saved =
            engine.save_document(&name, before.as_ref(), &template).await.map_err(documents::meanwhile)?;
        documents::print(context, &mut output, &saved)?;
        engine.shutdown().await?;
        output.finish()?;
        Ok(exit::OK)
    })
}

/// Returns the text itself, what is in the file after an `@`, or what is on standard input.
fn read(text: &str) -> Result<String, Failure> {
    match text {
        "-" => Ok(documents::read(Path::new("-"))?.trim_end().to_owned()),
        text => prompt::system(text),
    }
}

impl Shown for Template {
    const COMMAND: &'static str = "templates";

    fn row(&self) -> [String; 2] {
        let what = self.description.as_ref().unwrap_or(&self.text);
        [self.parameters().join(", "), what.clone()]
    }

    fn page(&self) -> String {
        let mut page = String::new();
        if let Some(description) = &self.description {
            page.push_str(&format!("description: {description}\n"));
        }
        let parameters = self.parameters();
        if !parameters.is_empty() {
            page.push_str(&format!("parameters: {}\n", parameters.join(", ")));
        }
        page.push_str(&format!("\n{}\n", self.text));
        page
    }
}
