//! A provider of one's own: a doctor by rules, after Weizenbaum's ELIZA, whom the engine talks to like any other.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use aichat_engine::{Engine, ModelRef, Send};
use aichat_message::{Delta, Finish, FinishReason, Message, Protocol, Role, Start};
use aichat_providers::{Call, DeltaStream, Error, Info, Model, Provider};
use aichat_store::Memory;
use async_trait::async_trait;
use futures::{StreamExt, stream};

/// What the patient says, and how the doctor takes it up; `*` is the rest of the sentence, turned around.
const RULES: &[(&str, &str)] = &[
    ("i am ", "How long have you been *?"),
    ("i feel ", "Do you often feel *?"),
    ("my ", "Tell me more about your *."),
    ("because ", "Is that the real reason?"),
];

/// The doctor.
struct Eliza {
    info: Info,
}

impl Eliza {
    fn new() -> Self {
        let protocol = Protocol::Other("eliza".into());
        Self { info: Info { local: true, ..Info::new("eliza", protocol) } }
    }

    /// Answers the last thing the patient said, or comes back to what was said before.
    fn answer(said: &[String]) -> Option<String> {
        let (last, before) = said.split_last()?;
        let last = last.trim_end_matches(['.', '!', '?']).to_lowercase();
        let rule = RULES.iter().find_map(|(key, answer)| {
            let rest = last.strip_prefix(key)?;
            Some(answer.replace('*', &Self::turn_around(rest)))
        });
        let earlier = || Some(format!("Earlier you said: \u{201c}{}\u{201d} Please go on.", before.last()?));
        rule.or_else(earlier).or_else(|| Some("Please go on.".to_owned()))
    }

    fn turn_around(text: &str) -> String {
        let words = text.split(' ').map(|word| match word {
            "i" => "you",
            "my" => "your",
            "me" => "you",
            "you" => "I",
            word => word,
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

#[async_trait]
impl Provider for Eliza {
    fn info(&self) -> &Info {
        &self.info
    }

    // The whole conversation comes with every call: a provider remembers nothing between two of them.
    async fn stream(&self, call: Call) -> Result<DeltaStream, Error> {
        let messages = call.request.messages.iter();
        let said: Vec<_> = messages.filter(|message| message.role == Role::User).map(Message::text).collect();
        let answer = Self::answer(&said)
            .ok_or_else(|| Error::unsupported("the doctor only answers").with_provider(&self.info.name))?;

        // Text in as many increments as one likes, then exactly one finish. No usage: nothing was counted,
        // and what is not reported is recorded as unknown.
        let start = Start { model: Some(call.request.model), ..Start::default() };
        let words = answer.split_inclusive(' ').map(|word| Delta::Text { index: 0, text: word.into() });
        let finish = Delta::Finish(Finish { reason: FinishReason::Stop, raw: None });
        let deltas: Vec<_> = [Delta::Start(start)].into_iter().chain(words).chain([finish]).collect();
        Ok(stream::iter(deltas).map(Ok).boxed())
    }

    async fn models(&self) -> Result<Vec<Model>, Error> {
        let name = Some("The doctor".into());
        Ok(vec![Model { id: "doctor".into(), name, ..Model::default() }])
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::builder(Memory::new()).provider(Eliza::new()).build();
    // The session remembers its model and, turn by turn, the conversation.
    let session = engine.create(None, Some(&ModelRef::new("eliza", "doctor")), None).await?;
    for said in ["I feel my compiler hates me.", "My nights with the borrow checker.", "Never mind."] {
        let outcome = engine.send(Send::to(session.clone(), said)).await?.outcome().await?;
        if let Some(error) = outcome.error {
            return Err(error.into());
        }
    }
    for entry in engine.transcript(&session).await?.entries {
        println!("{:>9}: {}", entry.role.as_str(), entry.message.text());
    }
    engine.shutdown().await?;
    Ok(())
}
