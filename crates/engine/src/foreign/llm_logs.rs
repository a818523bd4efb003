//! What `llm logs --json` by Simon Willison prints: a JSON array of answers, those of many conversations mixed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aichat_events::{LlmResponseCompleted, Timing};
use aichat_message::{
    Executor, Extra, Finish, FinishReason, Json, Message, Origin, Part, PartKind, Protocol, ReasoningBlock,
    Role, Source, Usage,
};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Foreign, Importer, Said, media_kind};
use crate::error::Error;

/// Every field of an answer that is looked at, or named as lost.
const FIELDS: &[&str] = &[
    "id",
    "model",
    "resolved_model",
    "prompt",
    "system",
    "prompt_json",
    "options_json",
    "response",
    "reasoning",
    "response_json",
    "conversation_id",
    "duration_ms",
    "datetime_utc",
    "input_tokens",
    "output_tokens",
    "token_details",
    "conversation_name",
    "conversation_model",
    "schema_json",
    "prompt_fragments",
    "system_fragments",
    "tools",
    "tool_calls",
    "tool_results",
    "attachments",
];
/// How long a text is that the log shortens, in characters, and how it then ends.
const SHORTENED: (usize, &str) = (100, "...");

/// Reads what `llm logs --json` prints.
pub(crate) struct LlmLogs;

impl Importer for LlmLogs {
    fn tool(&self) -> &'static str {
        "simonw/llm"
    }

    fn recognises(&self, text: &str) -> bool {
        let Some(list) = bare(text).strip_prefix('[') else { return false };
        // Answers may be long; the fields are printed in the order of a table, names before them.
        let Some(entry) = list.trim_start().strip_prefix('{') else { return false };
        ["\"id\"", "\"model\"", "\"conversation_id\"", "\"response\""].iter().all(|name| entry.contains(name))
    }

    fn read(&self, text: &str) -> Result<Vec<Foreign>, Error> {
        let entries: Vec<&RawValue> = serde_json::from_str(bare(text)).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            Error::input(format!("the log is no JSON array: {place}")).with_source(error)
        })?;
        let mut rows = Vec::with_capacity(entries.len());
        let mut places = HashMap::new();
        for (n, raw) in entries.iter().enumerate() {
            let row = Row::read(n, raw).map_err(|error| entry(n, &error))?;
            if let Some(before) = places.insert(row.id.clone(), n) {
                return Err(entry(n, &Error::input(format!("it has the id of entry {}", before + 1))));
            }
            rows.push(row);
        }
        // What was searched for is printed in another order. Ids count up with time.
        rows.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        let mut conversations: Vec<Conversation> = Vec::new();
        let mut known = HashMap::new();
        for row in rows {
            let at = *known.entry(row.conversation.clone()).or_insert_with(|| {
                conversations.push(Conversation::new(&row));
                conversations.len() - 1
            });
            conversations[at].take(&row).map_err(|error| entry(row.n, &error))?;
        }
        Ok(conversations.into_iter().map(Conversation::finish).collect())
    }
}

fn bare(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim_start()
}

fn entry(n: usize, error: &Error) -> Error {
    Error::input(format!("entry {} of the log: {error}", n + 1))
}

/// One answer and what was asked.
struct Row {
    /// Its place in the log, from 0.
    n: usize,
    id: String,
    conversation: String,
    at: Option<i64>,
    fields: Extra,
}

#[derive(Deserialize)]
struct ToolCall {
    name: String,
    arguments: Option<Json>,
    tool_call_id: Option<String>,
    #[serde(default)]
    server_executed: bool,
}

#[derive(Deserialize)]
struct ToolResult {
    name: Option<String>,
    output: Option<Json>,
    tool_call_id: Option<String>,
    exception: Option<String>,
    #[serde(default)]
    server_executed: bool,
    #[serde(default)]
    attachments: Vec<Attachment>,
}

#[derive(Deserialize)]
struct Attachment {
    r#type: Option<String>,
    path: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Fragment {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Tool {
    name: Option<String>,
}

/// What is read of a provider's own answer, where it has such fields.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    id: Option<String>,
    finish_reason: Option<String>,
    stop_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    #[serde(alias = "input_tokens_details")]
    prompt_tokens_details: Option<Subsets>,
    #[serde(alias = "output_tokens_details")]
    completion_tokens_details: Option<Subsets>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Subsets {
    cached_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

impl Row {
    fn read(n: usize, raw: &RawValue) -> Result<Self, Error> {
        let fields: Extra = serde_json::from_str(raw.get())
            .map_err(|error| Error::input("it is no object").with_source(error))?;
        let mut row = Self { n, id: String::new(), conversation: String::new(), at: None, fields };
        row.id = row.need("id")?;
        row.conversation = row.get("conversation_id")?.unwrap_or_else(|| row.id.clone());
        row.at = row.get::<String>("datetime_utc")?.map(|text| micros(&text)).transpose()?;
        Ok(row)
    }

    /// Returns a field that may be missing.
    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let value = self.fields.get(name).filter(|value| !value.is_null());
        let wrong = |error| Error::input(format!("{name} is not what it should be")).with_source(error);
        value.map(|value| value.to().map_err(wrong)).transpose()
    }

    fn need<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        self.get(name)?.ok_or_else(|| Error::input(format!("it has no {name}")))
    }

    fn list<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, Error> {
        Ok(self.get(name)?.unwrap_or_default())
    }

    /// Returns how the answer ended and what it took.
    fn response(&self, calls: bool) -> Result<LlmResponseCompleted, Error> {
        let raw: Raw = self.get::<Json>("response_json")?.and_then(|json| json.to().ok()).unwrap_or_default();
        let word = raw.finish_reason.or(raw.stop_reason);
        let reason = match word.as_deref() {
            Some("stop" | "end_turn" | "stop_sequence" | "STOP") => FinishReason::Stop,
            Some("length" | "max_tokens" | "MAX_TOKENS") => FinishReason::Length,
            Some("tool_calls" | "tool_use") => FinishReason::ToolCalls,
            Some("content_filter" | "SAFETY") => FinishReason::ContentFilter,
            Some("refusal") => FinishReason::Refusal,
            None if calls => FinishReason::ToolCalls,
            _ => FinishReason::Other,
        };
        let usage = Usage {
            input_tokens: self.get("input_tokens")?,
            output_tokens: self.get("output_tokens")?,
            ..self.details()?
        };
        let total_us = self.duration()?.unwrap_or(0);
        Ok(LlmResponseCompleted {
            model: match self.get("resolved_model")? {
                Some(resolved) => Some(resolved),
                None => self.get("model")?,
            },
            response_id: raw.id,
            request_id: None,
            finish: Finish { reason, raw: word },
            usage: (usage != Usage::default()).then_some(usage),
            timing: Timing { total_us, ..Timing::default() },
            rate_limits: Vec::new(),
        })
    }

    /// Returns how long the answer took, in microseconds.
    fn duration(&self) -> Result<Option<u64>, Error> {
        Ok(self.get::<u64>("duration_ms")?.map(|ms| ms.saturating_mul(1_000)))
    }

    /// Returns the counts beside the totals; a text with JSON in it, where there are any.
    fn details(&self) -> Result<Usage, Error> {
        let wrong = || Error::input("token_details is not what it should be");
        let Some(raw) = self.get::<Json>("token_details")? else { return Ok(Usage::default()) };
        let raw = match raw.to::<String>() {
            Ok(text) => Json::new(text).map_err(|_| wrong())?,
            Err(_) => raw,
        };
        // Nothing is kept raw that is nested deeper than a parser goes.
        raw.to::<serde_json::Value>().map_err(|_| wrong())?;
        let details: Details = raw.to().unwrap_or_default();
        Ok(Usage {
            cache_read_tokens: details.prompt_tokens_details.and_then(|subsets| subsets.cached_tokens),
            reasoning_tokens: details.completion_tokens_details.and_then(|subsets| subsets.reasoning_tokens),
            raw: Json::new(compact(raw.get())).ok(),
            ..Usage::default()
        })
    }
}

/// Returns JSON without the white space that only laid it out.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let stays = |c: &char| {
        let is_layout = !in_string && c.is_ascii_whitespace();
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        !is_layout
    };
    json.chars().filter(stays).collect()
}

/// Reads a time in UTC, whether it says so or not.
fn micros(text: &str) -> Result<i64, Error> {
    let time = text.parse::<Timestamp>().or_else(|_| {
        text.parse::<DateTime>().and_then(|time| time.to_zoned(TimeZone::UTC)).map(|time| time.timestamp())
    });
    let time = time.map_err(|error| Error::input("datetime_utc is no time").with_source(error))?;
    Ok(time.as_microsecond())
}

/// A conversation that is being put together.
struct Conversation {
    foreign: Foreign,
    system: String,
    losses: BTreeMap<&'static str, Loss>,
}

/// What got lost of one kind: how often, and what it was called.
#[derive(Default)]
struct Loss {
    count: usize,
    names: BTreeSet<String>,
}

impl Conversation {
    fn new(row: &Row) -> Self {
        let foreign = Foreign { id: Some(row.conversation.clone()), ..Foreign::default() };
        Self { foreign, system: String::new(), losses: BTreeMap::new() }
    }

    fn take(&mut self, row: &Row) -> Result<(), Error> {
        if let Some(name) = row.get("conversation_name")? {
            self.foreign.name = Some(name);
        }
        let model: String = row.need("model")?;
        let system = row.get::<String>("system")?.unwrap_or_default();
        let system = self.assemble(system, &row.list("system_fragments")?, Place::System);
        // Older versions log an instruction with the first prompt only, newer ones with each.
        if !system.is_empty() && system != self.system {
            self.say(row, "system", Message::system(system.as_str()));
            self.system = system;
        }
        let (server, results): (Vec<ToolResult>, Vec<ToolResult>) =
            row.list("tool_results")?.into_iter().partition(|result: &ToolResult| result.server_executed);
        let answers_calls = !results.is_empty();
        if answers_calls {
            let parts = results.into_iter().map(|result| self.result(result)).collect();
            self.say(row, "tool", Message::new(Role::Tool, parts));
        }
        let prompt = row.get::<String>("prompt")?.unwrap_or_default();
        let prompt = self.assemble(prompt, &row.list("prompt_fragments")?, Place::Prompt);
        let attachments: Vec<Attachment> = row.list("attachments")?;
        if !prompt.is_empty() || !attachments.is_empty() || !answers_calls {
            let text = (!prompt.is_empty()).then(|| Part::text(prompt));
            let media = attachments.into_iter().map(|attachment| self.attachment(attachment));
            let parts = text.into_iter().chain(media.collect::<Vec<_>>()).collect();
            self.say(row, "user", Message::new(Role::User, parts));
        }
        self.answer(row, &model, server)?;
        self.leave_behind(row)
    }

    fn answer(&mut self, row: &Row, model: &str, server: Vec<ToolResult>) -> Result<(), Error> {
        let mut parts = Vec::new();
        if let Some(text) = row.get::<String>("reasoning")?.filter(|text| !text.is_empty()) {
            parts.push(Part::new(PartKind::Reasoning { blocks: vec![ReasoningBlock::Text(text)] }));
        }
        if let Some(text) = row.get::<String>("response")?.filter(|text| !text.is_empty()) {
            parts.push(Part::text(text));
        }
        let calls: Vec<ToolCall> = row.list("tool_calls")?;
        let response = row.response(!calls.is_empty())?;
        parts.extend(calls.into_iter().map(|call| {
            Part::new(PartKind::ToolCall {
                call_id: call.tool_call_id.unwrap_or_default(),
                name: call.name,
                arguments: call.arguments.map_or(String::new(), |json| compact(json.get())).into(),
                executor: if call.server_executed { Executor::Server } else { Executor::Client },
            })
        }));
        parts.extend(server.into_iter().map(|result| self.result(result)));
        let (provider, name) = model.split_once('/').unwrap_or(("llm", model));
        let mut message = Message::new(Role::Assistant, parts);
        message.origin = Some(Origin {
            provider: provider.to_owned(),
            protocol: Protocol::Other("simonw/llm".into()),
            model: name.to_owned(),
            response_id: response.response_id.clone(),
        });
        let took = row.duration()?.and_then(|us| i64::try_from(us).ok()).unwrap_or(0);
        let at = row.at.map(|at| at.saturating_add(took));
        let said = Said { message, id: Some(row.id.clone()), at, response: Some(response) };
        self.foreign.said.push(said);
        Ok(())
    }

    fn say(&mut self, row: &Row, what: &str, message: Message) {
        let id = Some(format!("{}/{what}", row.id));
        self.foreign.said.push(Said { message, id, at: row.at, response: None });
    }

    /// Puts a text together with its fragments, unless they are in it, as they are in what newer versions print.
    fn assemble(&mut self, text: String, fragments: &[Fragment], place: Place) -> String {
        let contents: Vec<&str> = fragments.iter().filter_map(|f| f.content.as_deref()).collect();
        if contents.is_empty() {
            return text;
        }
        self.lose("which texts came from fragments", None);
        let (length, end) = SHORTENED;
        let begins = |content: &str| {
            let is_short = content.chars().count() == length;
            content.strip_suffix(end).filter(|_| is_short).map(str::to_owned)
        };
        let known =
            |content: &&str| text.contains(begins(content).as_deref().unwrap_or_else(|| content.trim()));
        if contents.iter().all(known) {
            return text;
        }
        for _ in contents.iter().filter(|content| begins(content).is_some()) {
            self.lose("the ends of fragments, since the log was printed without --expand", None);
        }
        match place {
            Place::Prompt => [contents, vec![text.as_str()]].concat().join("\n"),
            Place::System => {
                let texts = contents.into_iter().chain([text.as_str()]).map(str::trim);
                texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
            }
        }
    }

    fn result(&mut self, result: ToolResult) -> Part {
        let output = result.output.map(|json| json.to::<String>().unwrap_or_else(|_| json.get().to_owned()));
        let attachments: Vec<Part> =
            result.attachments.into_iter().map(|attachment| self.attachment(attachment)).collect();
        Part::new(PartKind::ToolResult {
            call_id: result.tool_call_id.unwrap_or_default(),
            name: result.name,
            content: output.map(Part::text).into_iter().chain(attachments).collect(),
            is_error: result.exception.is_some(),
        })
    }

    /// Returns an attachment. The log tells of a file and does not hold it: what it tells is kept in its place.
    fn attachment(&mut self, attachment: Attachment) -> Part {
        let Attachment { r#type: mime, path, url } = attachment;
        if let Some(url) = url {
            let media = media_kind(mime.as_deref().unwrap_or_default());
            return Part::new(PartKind::Media { media, source: Source::Url(url), mime, name: None });
        }
        self.lose("the bytes of attachments", mime.clone());
        let raw = Json::from_value(&Absent { r#type: mime, path }).expect("fields are text");
        Part::new(PartKind::Unknown { type_name: "llm.attachment".to_owned(), raw })
    }

    /// Names what of an answer has no place here.
    fn leave_behind(&mut self, row: &Row) -> Result<(), Error> {
        for (name, _) in row.get::<Extra>("options_json")?.unwrap_or_default().iter() {
            self.lose_once("options of answers", name);
        }
        if row.get::<Json>("schema_json")?.is_some() {
            self.lose("schemas of answers", None);
        }
        for tool in row.list::<Tool>("tools")? {
            self.lose_once("definitions of tools", tool.name.as_deref().unwrap_or_default());
        }
        if row.get::<Json>("prompt_json")?.is_some() {
            self.lose("raw requests", None);
        }
        if row.get::<Json>("response_json")?.is_some() {
            self.lose("raw responses, but for their id and the reason of their end", None);
        }
        // Where texts are shortened, fields that would not be are left out.
        if ["options_json", "response_json"].iter().all(|name| row.fields.get(name).is_none()) {
            self.lose("the ends of long texts, since the log was printed with --truncate", None);
        }
        for (name, _) in row.fields.iter().filter(|(name, _)| !FIELDS.contains(name)) {
            self.lose_once("fields not known here", name);
        }
        Ok(())
    }

    fn lose(&mut self, what: &'static str, name: Option<String>) {
        let loss = self.losses.entry(what).or_default();
        loss.count += 1;
        loss.names.extend(name);
    }

    fn lose_once(&mut self, what: &'static str, name: &str) {
        if self.losses.get(what).is_none_or(|loss| !loss.names.contains(name)) {
            self.lose(what, Some(name.to_owned()));
        }
    }

    fn finish(mut self) -> Foreign {
        for (what, Loss { count, names }) in self.losses {
            let names: Vec<String> = names.into_iter().collect();
            let colon = if names.is_empty() { "" } else { ": " };
            self.foreign.lost.push(format!("{what} ({count}){colon}{}", names.join(", ")));
        }
        self.foreign
    }
}

/// Which text fragments are put before.
#[derive(Clone, Copy)]
enum Place {
    Prompt,
    System,
}

/// What a log tells of an attachment that it does not hold.
#[derive(Serialize)]
struct Absent {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}
