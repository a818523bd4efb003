//! A store of one's own under the engine: a session is kept, listed, rebuilt from its log and carried to another.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

mod shelf;

use aichat_engine::{Document, Engine, Export, ModelRef, Send};
use aichat_providers::Scripted;

use shelf::Shelf;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::builder(Shelf::new()).provider(Scripted::echo()).build();
    let model = ModelRef::new("scripted", "echo");
    let session = engine.send(Send::new(model, "Keep this.")).await?.outcome().await?.session;
    engine.rename(&session, Some("kept")).await?;

    // What can be listed is a projection of the log: it may be thrown away and made anew at any time.
    let rebuilt = engine.rebuild().await?;
    println!("rebuilt {} session", rebuilt.sessions);
    for summary in engine.list(None).await? {
        println!("{}: {} messages", summary.name.unwrap_or_default(), summary.messages);
    }

    // An export carries every event byte for byte, whatever store it comes from and goes to.
    let export = Export::of([session.clone()]);
    let lines = engine.export(export.clone()).text().await?;
    let other = Engine::builder(Shelf::new()).provider(Scripted::echo()).build();
    other.import(&Document::parse(&lines)?).await?;
    println!("carried over: {}", other.export(export).text().await? == lines);
    println!("chain holds:  {}", other.verify(&session).await?.fault.is_none());
    other.shutdown().await?;
    engine.shutdown().await?;
    Ok(())
}
