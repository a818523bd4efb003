//! The session files of `aichat` 0.30 by sigoden: YAML, one conversation a file, without ids or times.

use aichat_message::{Message, Origin, Part, PartKind, Protocol, Role, Source};

use super::yaml::{self, Node, Value};
use super::{Foreign, Importer, Said, media_kind};
use crate::error::Error;

/// Settings of a session that were in force when it was saved.
const SETTINGS: &[&str] =
    &["temperature", "top_p", "use_tools", "save_session", "compress_threshold", "role_name"];

/// Reads session files of `aichat` by sigoden.
pub(crate) struct AichatYaml;

impl Importer for AichatYaml {
    fn tool(&self) -> &'static str {
        "sigoden/aichat"
    }

    fn recognises(&self, text: &str) -> bool {
        let mut lines = bare(text).lines();
        let has = |line: &str| line.starts_with("messages:");
        // The model is the first field, and no setting before the messages has a list in it.
        lines.find(|line| !line.starts_with('#') && !line.trim().is_empty() && *line != "---").is_some_and(
            |first| {
                first.starts_with("model:")
                    && lines.any(|line| has(line) || line.starts_with("compressed_messages:"))
            },
        )
    }

    fn read(&self, text: &str) -> Result<Vec<Foreign>, Error> {
        let root = yaml::parse(bare(text))?;
        let (origin, mut foreign) = (origin(root.field("the session", "model")?)?, Foreign::default());
        for (name, node) in root.map("the session")? {
            match name.as_str() {
                "model" | "messages" | "compressed_messages" | "agent_instructions" => {}
                _ if node.is_null() => {}
                name if SETTINGS.contains(&name) => {
                    foreign.lost.push(format!("{name}: {}", node.text(name)?));
                }
                "agent_variables" => {
                    let names: Vec<&str> = node.map(name)?.iter().map(|(name, _)| name.as_str()).collect();
                    foreign.lost.push(format!("agent_variables: {}", names.join(", ")));
                }
                "data_urls" => {
                    let files = node.map(name)?.len();
                    foreign.lost.push(format!("data_urls: where {files} of the attachments came from"));
                }
                name => foreign.lost.push(format!("{name}, which is not known here")),
            }
        }
        let mut reader = Reader { origin, foreign };
        if let Ok(compressed) = root.field("the session", "compressed_messages") {
            let compressed = compressed.list("compressed_messages")?;
            compressed.iter().try_for_each(|message| reader.message(message))?;
            let count = compressed.len();
            let what = format!("compressed_messages: that the first {count} messages were no longer sent");
            reader.foreign.lost.push(what);
        }
        let messages = root.field("the session", "messages")?.list("messages")?;
        messages.iter().try_for_each(|message| reader.message(message))?;
        Ok(vec![reader.foreign])
    }
}

fn bare(text: &str) -> &str {
    text.trim_start_matches('\u{feff}')
}

/// Reads `client:model`.
fn origin(model: &Node) -> Result<Origin, Error> {
    let text = model.text("model")?;
    let (provider, model) = text.split_once(':').unwrap_or(("aichat", text));
    let protocol = Protocol::Other("sigoden/aichat".into());
    Ok(Origin { provider: provider.to_owned(), protocol, model: model.to_owned(), response_id: None })
}

struct Reader {
    origin: Origin,
    foreign: Foreign,
}

impl Reader {
    fn message(&mut self, node: &Node) -> Result<(), Error> {
        let role = node.field("the message", "role")?;
        let content = node.field("the message", "content")?;
        match role.text("role")? {
            "system" => self.say(Role::System, parts(content)?),
            "user" => self.say(Role::User, parts(content)?),
            "assistant" => self.say(Role::Assistant, parts(content)?),
            "tool" => return self.tools(content),
            other => return Err(yaml::at(role.line, &format!("there is no role {other:?}"))),
        }
        for (name, _) in node.map("the message")? {
            if !["role", "content"].contains(&name.as_str()) {
                self.lose(format!("{name} of a message, which is not known here"));
            }
        }
        Ok(())
    }

    /// Reads calls and their results, which the tool keeps in one message.
    fn tools(&mut self, content: &Node) -> Result<(), Error> {
        let (mut calls, mut results) = (Vec::new(), Vec::new());
        match content.field("the message of tools", "text")? {
            text if text.is_null() => {}
            text => calls.extend(Some(text.text("text")?).filter(|text| !text.is_empty()).map(Part::text)),
        }
        for result in content.field("the message of tools", "tool_results")?.list("tool_results")? {
            let call = result.field("the result", "call")?;
            let name = call.field("the call", "name")?.text("name")?.to_owned();
            let id = call.map("call")?.iter().find(|(name, id)| name == "id" && !id.is_null());
            let call_id = id.map_or(Ok(""), |(_, id)| id.text("id"))?.to_owned();
            let arguments = call.field("the call", "arguments")?.json().get().to_owned();
            let output = result.field("the result", "output")?;
            let text = match &output.value {
                Value::Scalar { text, plain: false } => text.clone(),
                _ => output.json().get().to_owned(),
            };
            calls.push(Part::tool_call(call_id.clone(), name.clone(), arguments));
            results.push(Part::new(PartKind::ToolResult {
                call_id,
                name: Some(name),
                content: vec![Part::text(text)],
                is_error: false,
            }));
        }
        if content.field("the message of tools", "sequence")?.text("sequence")? == "true" {
            self.lose("sequence: in how many rounds tools were called before an answer".to_owned());
        }
        self.say(Role::Assistant, calls);
        self.say(Role::Tool, results);
        Ok(())
    }

    fn say(&mut self, role: Role, parts: Vec<Part>) {
        let mut message = Message::new(role, parts);
        message.origin = (role == Role::Assistant).then(|| self.origin.clone());
        self.foreign.said.push(Said::new(message));
    }

    fn lose(&mut self, what: String) {
        if !self.foreign.lost.contains(&what) {
            self.foreign.lost.push(what);
        }
    }
}

/// Reads a text, or a list of texts and images.
fn parts(content: &Node) -> Result<Vec<Part>, Error> {
    match &content.value {
        Value::List(list) => list.iter().map(part).collect(),
        _ => Ok(vec![Part::text(content.text("content")?)]),
    }
}

fn part(node: &Node) -> Result<Part, Error> {
    match node.field("the part", "type")?.text("type")? {
        "text" => Ok(Part::text(node.field("the part", "text")?.text("text")?)),
        "image_url" => {
            let url = node.field("the part", "image_url")?.field("image_url", "url")?.text("url")?;
            Ok(image(url))
        }
        other => Ok(Part::new(PartKind::Unknown { type_name: other.to_owned(), raw: node.json() })),
    }
}

fn image(url: &str) -> Part {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    let (source, mime) = match inline {
        Some((mime, data)) => (Source::Base64(data.to_owned()), Some(mime.to_owned())),
        None => (Source::Url(url.to_owned()), None),
    };
    let media = media_kind(mime.as_deref().unwrap_or("image/"));
    Part::new(PartKind::Media { media, source, mime: mime.filter(|mime| !mime.is_empty()), name: None })
}
