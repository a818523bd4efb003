//! The engine embedded: a prompt goes out, the answer streams in, and the session remembers where the time went.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use aichat_engine::{Engine, ModelRef, Progress, Send};
use aichat_events::Timeline;
use aichat_message::Delta;
use aichat_providers::{Driver, Endpoint, Http, OpenaiChat, Profile, Scripted};
use aichat_store::Sled;
use futures::StreamExt;
use std::{io::Write, sync::Arc};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let builder = |path: &String| Engine::builder(Sled::at(path));
    let (engine, model) = match args.as_slice() {
        // A directory alone: a script answers, so that this runs anywhere.
        [path] => (builder(path).provider(Scripted::echo()), ModelRef::new("scripted", "echo")),
        // An address and a model: any server that speaks the OpenAI protocol.
        [path, url, model] => {
            let endpoint = Endpoint::new("server", url, Arc::new(Http::new()));
            let driver = Driver::new(endpoint, OpenaiChat::new(Profile::generic()))?;
            (builder(path).provider(driver), ModelRef::new("server", model))
        }
        _ => return Err("usage: engine DIRECTORY [BASE_URL MODEL]".into()),
    };
    let engine = engine.build();
    let mut turn = engine.send(Send::new(model, "Why is the sky blue?")).await?;
    while let Some(progress) = turn.next().await {
        if let Progress::Delta(Delta::Text { text, .. }) = progress {
            print!("{text}");
            std::io::stdout().flush()?;
        }
    }
    let outcome = turn.outcome().await?;
    println!("\n\n{}", Timeline::of(&engine.events(&outcome.session).await?).render(80));
    engine.shutdown().await?;
    outcome.error.map_or(Ok(()), |error| Err(error.into()))
}
