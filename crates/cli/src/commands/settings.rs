//! `settings`: show and change the configuration.

use std::fs;

use aichat_message::ErrorKind;
use serde::Serialize;

use super::Context;
use crate::args;
use crate::config::{self, Config, Section, Setting};
use crate::directory::{Directory, Origin};
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

/// One setting, its value and who says so.
#[derive(Serialize)]
struct Row {
    key: String,
    value: String,
    origin: String,
}

pub(crate) fn run(context: &Context, args: args::Settings) -> Result<u8, Failure> {
    let paths = context.paths()?;
    let mut output = Output::stdout()?;
    match args {
        args::Settings::Show { origin } => {
            let rows = rows(&*context.config()?, context)?;
            match (context.global.json, origin) {
                (true, _) => output.list(&rows)?,
                (false, true) => {
                    let cells = |row: Row| [row.key, row.value, row.origin];
                    output.columns(&rows.into_iter().map(cells).collect::<Vec<_>>())?;
                }
                (false, false) => {
                    output.columns(&rows.into_iter().map(|row| [row.key, row.value]).collect::<Vec<_>>())?;
                }
            }
        }
        args::Settings::Get { key } => {
            config::parse_key(&key)?;
            let rows = rows(&*context.config()?, context)?;
            let Some(row) = rows.into_iter().find(|row| row.key == key) else {
                return Err(Failure::new(ErrorKind::Input, format!("{key} is not set"))
                    .hint(format!("`aichat settings set {key} …` sets it")));
            };
            match context.global.json {
                true => output.object("aichat.setting/1", &row)?,
                false => output.line(&row.value)?,
            }
        }
        args::Settings::Set { key, value } => {
            let path = &paths.config_file;
            let _lock = crate::paths::lock(path)?;
            let text = match fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                Err(error) => return Err(Failure::file(ErrorKind::Config, "cannot read", path, &error)),
            };
            let changed = config::changed(&text, path, &key, &value)?;
            if let Setting::Field { provider, .. } = config::parse_key(&key)?
                && let Err(Failure::Error(report)) =
                    Directory::of(&Config::parse(&changed, path)?, &context.env)
            {
                // A new section is written field by field; until it is whole nobody can use it.
                context.talk.note(&format!("{provider} is not complete yet: {}", report.message));
            }
            crate::paths::replace(path, changed.as_bytes())?;
        }
    }
    output.finish()?;
    Ok(exit::OK)
}

fn rows(config: &Config, context: &Context) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    let top = [("model", &config.model), ("store", &config.store), ("record.wire", &config.record_wire)];
    for (key, setting) in top {
        rows.extend(setting.as_ref().map(|setting| Row {
            key: key.to_owned(),
            value: setting.value.clone(),
            origin: Origin::File(setting.line).to_string(),
        }));
    }
    let budgets = config.budget.iter().map(|(name, budget)| ((*name).to_owned(), budget));
    let providers =
        config.provider_budgets.iter().map(|(name, budget)| (format!("providers.{name}"), budget));
    rows.extend(budgets.chain(providers).map(|(name, budget)| Row {
        key: format!("budget.{name}"),
        value: budget.value.to_string(),
        origin: Origin::File(budget.line).to_string(),
    }));
    let directory = Directory::of(config, &context.env)?;
    for entry in directory.entries().iter().filter(|entry| entry.configured) {
        let section = config.providers.get(&entry.name);
        let mut push = |field: &str, value: String, origin: Origin| {
            let key = format!("providers.{}.{field}", entry.name);
            rows.push(Row { key, value, origin: origin.to_string() });
        };
        let protocol = section.and_then(|section| section.protocol.as_ref());
        push(
            "protocol",
            entry.protocol.to_string(),
            protocol.map_or(Origin::BuiltIn, |protocol| Origin::File(protocol.line)),
        );
        let base_url =
            section.and_then(|section| section.base_url.as_ref()).filter(|_| from_file(&entry.origin));
        push(
            "base_url",
            entry.place(),
            base_url.map_or_else(|| entry.origin.clone(), |url| Origin::File(url.line)),
        );
        for (field, value, line) in section.into_iter().flat_map(plain) {
            push(field, value, Origin::File(line));
        }
    }
    Ok(rows)
}

fn from_file(origin: &Origin) -> bool {
    matches!(origin, Origin::File(_))
}

/// Returns the fields of a section that nothing else can overrule.
fn plain(section: &Section) -> Vec<(&'static str, String, usize)> {
    let text = |name, field: &Option<config::Located<String>>| {
        field.as_ref().map(|field| (name, field.value.clone(), field.line))
    };
    let headers = section.headers.iter().map(|(name, value)| format!("{name}: {}", value.value));
    let headers: Vec<String> = headers.collect();
    [
        text("api_key_env", &section.api_key_env),
        section
            .api_key_command
            .as_ref()
            .map(|command| ("api_key_command", command.value.join(" "), command.line)),
        section.headers.first().map(|(_, first)| ("headers", headers.join("; "), first.line)),
        text("profile", &section.profile),
        section.local.as_ref().map(|local| ("local", local.value.to_string(), local.line)),
        text("api_version", &section.api_version),
    ]
    .into_iter()
    .flatten()
    .collect()
}
