//! The request after a recorded answer: what we would send against what the recorded client really sent.

use std::path::Path;
use std::sync::Arc;

use aichat_message::{Json, Message, Origin, Role, ToolSpec};
use aichat_providers::{Provider, Request, Transport};
use serde_json::{Value, json};

use crate::canned::play;
use crate::recordings::{Recording, fixtures, in_folder, spoken};

/// Makes the provider that answers in a folder.
pub(crate) type Connect = fn(Arc<dyn Transport>) -> Box<dyn Provider>;

/// What two requests may differ in, in words, and a step that makes them alike.
pub(crate) type Step = (&'static str, fn(&mut Value));

/// How the requests of a protocol are read back, which only this test does.
pub(crate) struct Writing {
    /// The name of the protocol in the table of recordings.
    pub(crate) protocol: &'static str,
    /// Folders with known follow-ups, and the provider that answers there.
    pub(crate) folders: &'static [(&'static str, Connect)],
    /// The field that holds the conversation.
    pub(crate) list: &'static str,
    /// Fields beside it that are read by `head` and `tools`; all others are passed through.
    pub(crate) fields: &'static [&'static str],
    /// Reads instructions that stand outside the conversation.
    pub(crate) head: fn(&Value) -> Vec<Message>,
    /// Reads the tools.
    pub(crate) tools: fn(&Value) -> Vec<ToolSpec>,
    /// Reads one entry of the conversation.
    pub(crate) read: fn(&Value) -> Message,
    /// Tells whether an entry is, or belongs to, an answer.
    pub(crate) is_answer: fn(&Value) -> bool,
    /// What two requests may differ in and still say the same.
    pub(crate) alike: &'static [Step],
}

const WRITINGS: &[Writing] = &[
    crate::openai_chat::WRITING,
    crate::openai_responses::WRITING,
    crate::anthropic::WRITING,
    crate::gemini::WRITING,
    crate::ollama::WRITING,
];

/// How many follow-ups the folders hold, so that none is skipped unnoticed.
const KNOWN: usize = 52;

#[tokio::test]
async fn the_next_request_is_the_recorded_one() {
    let Some(root) = fixtures() else { return eprintln!("skipped: no folder of recordings") };
    let (mut seen, mut wrong) = (0, Vec::new());
    for writing in WRITINGS {
        for (folder, provider) in writing.folders {
            for recording in in_folder(spoken(writing.protocol), &root.join(Path::new(folder))) {
                if !recording.data["next_request_body"].is_null() {
                    seen += 1;
                    wrong.extend(differ(writing, *provider, &recording).await);
                }
            }
        }
    }
    assert_eq!(seen, KNOWN);
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n\n"));
}

async fn differ(writing: &Writing, provider: Connect, recording: &Recording) -> Option<String> {
    let provider = provider(Arc::new(recording.canned()));
    let (fold, error) = play(&*provider).await;
    assert!(error.is_none(), "{}: {error:?}", recording.name);
    let mut want = recording.data["next_request_body"].clone();
    let entries = want[writing.list].as_array().unwrap();
    let before = match recording.data["request"]["body"][writing.list].as_array() {
        Some(asked) => asked.len(),
        None => {
            let last = entries.iter().rposition(writing.is_answer).expect("an answer");
            entries[..last].iter().rposition(|entry| !(writing.is_answer)(entry)).map_or(0, |at| at + 1)
        }
    };
    let after = before + entries[before..].iter().take_while(|entry| (writing.is_answer)(entry)).count();
    let info = provider.info();
    let origin = || Origin {
        provider: info.name.clone(),
        protocol: info.protocol.clone(),
        model: want["model"].as_str().unwrap_or("m").to_owned(),
        response_id: fold.started().response_id.clone(),
    };
    let own = |mut message: Message| {
        message.origin = (message.role == Role::Assistant).then(origin);
        message
    };
    let mut messages = (writing.head)(&want);
    messages.extend(entries[..before].iter().map(|entry| own((writing.read)(entry))));
    messages.push(own(fold.message()));
    messages.extend(entries[after..].iter().map(|entry| own((writing.read)(entry))));

    let mut request = Request::new(want["model"].as_str().unwrap_or("m"), messages);
    request.tools = (writing.tools)(&want);
    request.stream = want["stream"] == json!(true);
    for (name, value) in want.as_object().unwrap() {
        let ours = ["model", "stream", writing.list].contains(&name.as_str());
        if !ours && !writing.fields.contains(&name.as_str()) {
            request.options.other.push(name, Json::from_value(value).unwrap());
        }
    }
    let call = provider.prepare(request).unwrap();
    let mut sent: Value = serde_json::from_slice(&call.body).unwrap();
    for (_, step) in writing.alike {
        step(&mut sent);
        step(&mut want);
    }
    (sent != want)
        .then(|| format!("{}\nsent {sent}\nwant {want}\nwarned {:?}", recording.name, call.warnings))
}

/// Does something to each entry of a list, if there is one.
pub(crate) fn each(object: &mut Value, list: &str, mut f: impl FnMut(&mut Value)) {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(&mut f);
}

/// Removes a field that has this value.
pub(crate) fn remove_if(object: &mut Value, name: &str, value: &Value) {
    if object.get(name) == Some(value) {
        object.as_object_mut().unwrap().remove(name);
    }
}
