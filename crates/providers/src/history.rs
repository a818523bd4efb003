//! A conversation as one protocol may be sent it: what is another provider's stays behind, calls and results
//! stay paired, ids are legal, neighbours are merged. Every loss has a warning.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde::ser::Serializer;

use aichat_message::{Executor, Extra, Json, Message, OpaqueKind, Origin, Part, PartKind, Role};

use crate::provider::Info;
use crate::request::Request;

/// Begins the name of a message's kept field that stood beside the message, so that it never goes back in one.
pub(crate) const RESPONSE: &str = "response.";

/// What a protocol demands of a conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Who may speak in this protocol: maps each role to the one it is sent as.
    pub(crate) role: fn(Role) -> Role,
    /// Whether standing instructions are sent apart from the conversation.
    pub(crate) system_apart: bool,
    /// Whether neighbours of the same role are one turn.
    pub(crate) merge: bool,
    /// Which ids of tool calls are legal.
    pub(crate) ids: Ids,
    /// Whether the model asked, named first, takes the reasoning of another of the same provider.
    pub(crate) shares: fn(&str, &str) -> bool,
    /// Whether the result of a tool can say that the tool failed.
    pub(crate) failures: bool,
}

/// Which ids of tool calls a protocol takes. Illegal ones are rewritten, the same id to the same one each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// Any text.
    Any,
    /// Letters, digits, `_` and `-`, at most 64.
    Word,
    /// Exactly nine letters or digits.
    Nine,
}

/// What could not be sent as it is, each loss named once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warnings(Vec<String>);

impl Warnings {
    pub(crate) fn add(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.0.contains(&text) {
            self.0.push(text);
        }
    }

    pub(crate) fn into_vec(self) -> Vec<String> {
        self.0
    }
}

/// A conversation ready to be written.
#[derive(Debug)]
pub(crate) struct History<'a> {
    /// The standing instructions, in order, where the protocol wants them apart; empty otherwise.
    pub(crate) system: Vec<Said<'a>>,
    /// The turns, none of them without parts.
    pub(crate) turns: Vec<Turn<'a>>,
}

/// What one side says before the other does.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) role: Role,
    pub(crate) parts: Vec<Said<'a>>,
    /// Unknown fields of the message, where it comes from this very provider and stands alone.
    pub(crate) extra: Option<&'a Extra>,
    /// Whether several messages are this turn, and unknown fields of one of them have no place in it.
    pub(crate) lost: bool,
}

/// One part of a turn.
#[derive(Debug)]
pub(crate) struct Said<'a> {
    pub(crate) part: &'a Part,
    /// Whether this very provider made it: its opaque data and unknown fields go back.
    pub(crate) own: bool,
    /// The place of its message in the request: a turn may be of several.
    pub(crate) message: usize,
    /// The legal id of a call or of the call a result answers; made up where there was none.
    pub(crate) call_id: Cow<'a, str>,
    /// The name of the tool, of a call and of its result.
    pub(crate) tool: &'a str,
    provider: &'a str,
}

impl<'a> Said<'a> {
    /// Returns the opaque data of this kind, if it is this provider's own.
    pub(crate) fn opaque(&self, kind: &OpaqueKind) -> Option<&'a str> {
        let mut all = self.part.opaque.iter().filter(|opaque| self.own && opaque.provider == self.provider);
        all.find(|opaque| opaque.kind == *kind).map(|opaque| opaque.data.as_str())
    }

    /// Returns the part's unknown fields, if they are this provider's own.
    pub(crate) fn extra(&self) -> impl Iterator<Item = (&'a str, &'a Json)> + use<'a> {
        self.own.then(|| self.part.extra.iter()).into_iter().flatten()
    }

    /// Returns the part's id, if it is this provider's own.
    pub(crate) fn id(&self) -> Option<&'a str> {
        self.part.id.as_deref().filter(|_| self.own)
    }

    /// Returns the arguments of a call as a JSON object, byte for byte where they are one.
    pub(crate) fn arguments(&self, warnings: &mut Warnings) -> Json {
        let PartKind::ToolCall { arguments, .. } = &self.part.kind else { return object("{}") };
        match arguments.json() {
            Ok(json) if json.get().trim_start().starts_with('{') => json,
            Ok(json) if json.is_null() => object("{}"),
            _ => {
                warnings.add("arguments that are not a JSON object are sent as the text of one");
                let text = serde_json::to_string(arguments.as_str()).expect("a text is JSON");
                object(&format!("{{\"arguments\":{text}}}"))
            }
        }
    }
}

fn object(text: &str) -> Json {
    Json::new(text).expect("it is written as an object")
}

impl<'a> History<'a> {
    /// Returns the conversation of a request as these rules want it.
    pub(crate) fn of(request: &'a Request, info: &'a Info, rules: &Rules, warnings: &mut Warnings) -> Self {
        let pairs = Pairs::of(&request.messages, rules.ids);
        let mut history = Self { system: Vec::new(), turns: Vec::new() };
        for (at, message) in request.messages.iter().enumerate() {
            let origin = message.origin.as_ref().filter(|origin| is_own(origin, info, &request.model));
            let own = origin.is_some();
            let shared = origin.is_none_or(|origin| (rules.shares)(&request.model, &origin.model));
            let parts = message.parts.iter().enumerate();
            let parts: Vec<_> = parts
                .filter_map(|(index, part)| {
                    let pair = pairs.get(at, index);
                    if !shared && matches!(part.kind, PartKind::Reasoning { .. }) {
                        warnings.add("reasoning of another model is not sent");
                        return None;
                    }
                    keep(part, own, pair, warnings).then(|| Said {
                        part,
                        own,
                        message: at,
                        call_id: pair.map_or_else(|| Cow::Borrowed(given_id(part)), |pair| pair.id.clone()),
                        tool: pair.map_or("", |pair| pair.tool),
                        provider: &info.name,
                    })
                })
                .collect();
            let failed =
                |said: &Said<'_>| matches!(said.part.kind, PartKind::ToolResult { is_error: true, .. });
            if !rules.failures && parts.iter().any(failed) {
                warnings.add("that a tool failed is not told to this server");
            }
            if !own && message.parts.iter().any(|part| !part.opaque.is_empty()) {
                warnings.add("opaque data of another provider is not sent");
            }
            history.push(message, own, parts, rules, warnings);
        }
        history
    }

    fn push(
        &mut self,
        message: &'a Message,
        own: bool,
        parts: Vec<Said<'a>>,
        rules: &Rules,
        warnings: &mut Warnings,
    ) {
        if parts.is_empty() {
            return;
        }
        let role = (rules.role)(message.role);
        if rules.system_apart && matches!(role, Role::System | Role::Developer) {
            if !self.turns.is_empty() {
                warnings.add("an instruction in the middle of the conversation is sent at its beginning");
            }
            return self.system.extend(parts);
        }
        let extra = (own && !message.extra.is_empty()).then_some(&message.extra);
        match self.turns.last_mut().filter(|last| rules.merge && last.role == role) {
            Some(last) => {
                last.parts.extend(parts);
                let mut fields = last.extra.take().into_iter().chain(extra).flat_map(Extra::iter);
                last.lost |= fields.any(|(name, _)| !name.starts_with(RESPONSE));
            }
            None => self.turns.push(Turn { role, parts, extra, lost: false }),
        }
    }
}

/// Fields this version does not know, on their way back to who sent them.
#[derive(Default)]
pub(crate) struct Echo<'a>(pub(crate) Vec<(&'a str, &'a Json)>);

impl Echo<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Echo<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// Returns several texts as one, apart from each other.
pub(crate) fn one_text<'a>(texts: &[&'a str]) -> Cow<'a, str> {
    match texts {
        [one] => Cow::Borrowed(*one),
        many => many.join("\n\n").into(),
    }
}

/// Tells whether a message was made by this provider, over this protocol, by a model of the same family.
fn is_own(origin: &Origin, info: &Info, model: &str) -> bool {
    fn vendor(model: &str) -> Option<&str> {
        model.split_once('/').map(|(vendor, _)| vendor)
    }
    origin.provider == info.name
        && origin.protocol == info.protocol
        && match (vendor(model), vendor(&origin.model)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        }
}

/// Tells whether a part goes along.
fn keep(part: &Part, own: bool, pair: Option<&Pair<'_>>, warnings: &mut Warnings) -> bool {
    let loss = match &part.kind {
        PartKind::Reasoning { .. } if !own => "reasoning of another provider is not sent",
        PartKind::Unknown { .. } if !own => "a part that only another provider understands is not sent",
        PartKind::ToolCall { executor: Executor::Server, .. } if !own => {
            "a tool call that another provider ran itself is not sent"
        }
        PartKind::ToolCall { executor: Executor::Client, .. } if pair.is_none() => {
            "a tool call without its result is not sent"
        }
        PartKind::ToolResult { .. } if pair.is_none() && !own => "a tool result without its call is not sent",
        _ => return true,
    };
    warnings.add(loss);
    false
}

fn given_id(part: &Part) -> &str {
    match &part.kind {
        PartKind::ToolCall { call_id, .. } | PartKind::ToolResult { call_id, .. } => call_id,
        _ => "",
    }
}

/// A call or a result that has its counterpart.
#[derive(Debug)]
struct Pair<'a> {
    id: Cow<'a, str>,
    tool: &'a str,
}

/// Which calls and results belong together. A result answers a call of the last message before it that calls:
/// by id, or in order where there are no ids. Ids may repeat from turn to turn.
#[derive(Debug, Default)]
struct Pairs<'a>(HashMap<(usize, usize), Pair<'a>>);

/// A call that waits for its result.
struct Open<'a> {
    place: (usize, usize),
    id: &'a str,
    tool: &'a str,
}

impl<'a> Pairs<'a> {
    fn get(&self, message: usize, part: usize) -> Option<&Pair<'a>> {
        self.0.get(&(message, part))
    }

    fn of(messages: &'a [Message], ids: Ids) -> Self {
        let (mut pairs, mut open) = (Self::default(), Vec::<Open<'a>>::new());
        let mut legal = Legal::new(ids, messages.iter().flat_map(|message| &message.parts).map(given_id));
        for (at, message) in messages.iter().enumerate() {
            if message.role == Role::Assistant {
                // Calls of an earlier answer had their chance.
                open.clear();
            }
            for (index, part) in message.parts.iter().enumerate() {
                match &part.kind {
                    PartKind::ToolCall { call_id, name, executor: Executor::Client, .. } => {
                        open.push(Open { place: (at, index), id: call_id, tool: name });
                    }
                    PartKind::ToolResult { call_id, .. } => {
                        let Some(call) = open.iter().position(|call| call.id == call_id) else { continue };
                        let call = open.remove(call);
                        let id = legal.id(call.id);
                        pairs.0.insert(call.place, Pair { id: id.clone(), tool: call.tool });
                        pairs.0.insert((at, index), Pair { id, tool: call.tool });
                    }
                    _ => {}
                }
            }
        }
        pairs
    }
}

/// Ids as the target takes them.
struct Legal<'a> {
    rule: Ids,
    /// Legal ids, which stay as they are.
    taken: HashSet<&'a str>,
    rewritten: HashMap<&'a str, String>,
    made_up: usize,
}

impl<'a> Legal<'a> {
    fn new(rule: Ids, given: impl Iterator<Item = &'a str>) -> Self {
        let taken = given.filter(|id| rule.allows(id)).collect();
        Self { rule, taken, rewritten: HashMap::new(), made_up: 0 }
    }

    fn id(&mut self, id: &'a str) -> Cow<'a, str> {
        if self.rule.allows(id) {
            return Cow::Borrowed(id);
        }
        if let Some(known) = self.rewritten.get(id) {
            return Cow::Owned(known.clone());
        }
        let made = loop {
            self.made_up += 1;
            let made = match self.rule {
                Ids::Nine => format!("call{:05}", self.made_up),
                Ids::Any | Ids::Word => format!("call_{}", self.made_up),
            };
            if !self.taken.contains(made.as_str()) {
                break made;
            }
        };
        if !id.is_empty() {
            self.rewritten.insert(id, made.clone());
        }
        Cow::Owned(made)
    }
}

impl Ids {
    fn allows(self, id: &str) -> bool {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        match self {
            Self::Any => !id.is_empty(),
            Self::Word => !id.is_empty() && id.len() <= 64 && id.bytes().all(word),
            Self::Nine => id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        }
    }
}

#[cfg(test)]
mod tests {
    use aichat_message::Protocol;

    use super::*;

    const PLAIN: Rules = Rules {
        role: |role| role,
        system_apart: false,
        merge: false,
        ids: Ids::Any,
        shares: |_, _| true,
        failures: true,
    };

    fn info() -> Info {
        Info::new("here", Protocol::Anthropic)
    }

    fn answer(provider: &str, parts: Vec<Part>) -> Message {
        let protocol = Protocol::Anthropic;
        let origin = Origin { provider: provider.into(), protocol, model: "m".into(), response_id: None };
        Message { origin: Some(origin), ..Message::new(Role::Assistant, parts) }
    }

    /// Returns each turn as its role and its parts, and the warnings.
    fn told(messages: Vec<Message>, rules: Rules) -> (Vec<String>, Vec<String>) {
        let (request, info, mut warnings) = (Request::new("m", messages), info(), Warnings::default());
        let history = History::of(&request, &info, &rules, &mut warnings);
        let part = |said: &Said<'_>| match &said.part.kind {
            PartKind::Text { text, .. } => text.clone(),
            PartKind::Reasoning { .. } => "reasoning".to_owned(),
            PartKind::ToolCall { .. } => format!("call {} {}", said.call_id, said.tool),
            PartKind::ToolResult { .. } => format!("result {} {}", said.call_id, said.tool),
            _ => "?".to_owned(),
        };
        let turns = history.turns.iter().map(|turn| {
            let parts: Vec<_> = turn.parts.iter().map(part).collect();
            format!("{}: {}", turn.role.as_str(), parts.join(", "))
        });
        (turns.collect(), warnings.into_vec())
    }

    #[test]
    fn what_is_another_provider_s_stays_behind_and_is_named() {
        let thought = || Part {
            opaque: vec![aichat_message::Opaque {
                provider: "here".into(),
                kind: OpaqueKind::Signature,
                data: "s".into(),
            }],
            ..Part::reasoning()
        };
        let unknown = Part::new(PartKind::Unknown { type_name: "x".into(), raw: object("{}") });
        let own = answer("here", vec![thought(), Part::text("a"), unknown.clone()]);
        assert_eq!(told(vec![own], PLAIN), (vec!["assistant: reasoning, a, ?".into()], vec![]));
        let other = answer("there", vec![thought(), Part::text("a"), unknown]);
        let (turns, warnings) = told(vec![other], PLAIN);
        assert_eq!(turns, ["assistant: a"]);
        assert_eq!(warnings.len(), 3, "{warnings:?}");
    }

    #[test]
    fn calls_and_results_stay_paired() {
        let call = |id| Part::tool_call(id, "f", "{}");
        let result = |id| Part::tool_result(id, "r");
        let tool = |parts| Message::new(Role::Tool, parts);
        let messages = vec![
            tool(vec![result("before")]),
            answer("here", vec![call("a"), call("lost"), call("")]),
            tool(vec![result("a"), result("")]),
            answer("there", vec![call("a")]),
            tool(vec![result("a"), result("a")]),
            answer("there", vec![Part::text("done")]),
            tool(vec![result("lost")]),
        ];
        let (turns, warnings) = told(messages, PLAIN);
        assert_eq!(
            turns,
            [
                "assistant: call a f, call call_1 f",
                "tool: result a f, result call_1 f",
                "assistant: call a f",
                "tool: result a f",
                "assistant: done",
            ]
        );
        assert_eq!(
            warnings,
            ["a tool result without its call is not sent", "a tool call without its result is not sent"]
        );
    }

    #[test]
    fn illegal_ids_are_rewritten_and_do_not_collide() {
        let ids = ["call_1", "a|b", "ünï", "a|b"];
        let messages = ids.iter().flat_map(|id| {
            let call = answer("there", vec![Part::tool_call(*id, "f", "")]);
            [call, Message::new(Role::Tool, vec![Part::tool_result(*id, "r")])]
        });
        let (turns, _) = told(messages.collect(), Rules { ids: Ids::Word, ..PLAIN });
        let ids: Vec<_> = turns.iter().map(|turn| turn.split(' ').nth(2).unwrap()).collect();
        assert_eq!(ids, ["call_1", "call_1", "call_2", "call_2", "call_3", "call_3", "call_2", "call_2"]);
        assert!(Ids::Nine.allows("abc123DEF") && !Ids::Nine.allows("abc-23DEF"));
    }

    #[test]
    fn neighbours_are_merged_and_instructions_set_apart() {
        let role = |role| if role == Role::Tool { Role::User } else { role };
        let rules = Rules { role, system_apart: true, merge: true, ..PLAIN };
        let system = |text| Message::new(Role::System, vec![Part::text(text)]);
        let messages = vec![
            system("one"),
            Message::user("a"),
            answer("there", vec![Part::reasoning()]),
            Message::user("b"),
            system("two"),
            answer("there", vec![Part::text("c")]),
            answer("here", vec![Part::text("d")]),
        ];
        let (turns, warnings) = told(messages, rules);
        assert_eq!(turns, ["user: a, b", "assistant: c, d"]);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }

    #[test]
    fn arguments_become_an_object() {
        let said = |text: &str| {
            let part = Part::tool_call("a", "f", text);
            let said =
                Said { part: &part, own: true, message: 0, call_id: "a".into(), tool: "f", provider: "here" };
            said.arguments(&mut Warnings::default()).get().to_owned()
        };
        assert_eq!(
            said(r#"{"z":1e3, "a":12345678901234567890123}"#),
            r#"{"z":1e3, "a":12345678901234567890123}"#
        );
        assert_eq!((said(""), said("null")), ("{}".to_owned(), "{}".to_owned()));
        assert_eq!(said("{\"a\": \"cut"), r#"{"arguments":"{\"a\": \"cut"}"#);
    }
}
