//! An exchange recorded under a provider, and replayed without the network: the same answer, byte for byte.
//!
//! `cargo run --example record_replay [BASE_URL MODEL]`; a key, if the server wants one, is read from `API_KEY`.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::sync::Arc;

use aichat_message::{Fold, Message};
use aichat_providers::{
    Driver, Endpoint, Error, Exchange, Fault, Http, OpenaiChat, Plan, Profile, Provider, Recording, Replay,
    Request, Tape, Transport,
};
use futures::StreamExt;

const ANSWER: &str = concat!(
    r#"data: {"id":"c1","choices":[{"index":0,"delta":{"content":"It scatters"}}]}"#,
    "\n\n",
    r#"data: {"id":"c1","choices":[{"index":0,"delta":{"content":" blue light."},"finish_reason":"stop"}]}"#,
    "\n\ndata: [DONE]\n\n",
);

/// Asks over this transport and returns the answer's text.
async fn ask(endpoint: Endpoint, model: &str) -> Result<String, Error> {
    let provider = Driver::new(endpoint, OpenaiChat::new(Profile::generic()))?;
    let call = provider.prepare(Request::new(model, vec![Message::user("Why is the sky blue?")]))?;
    let mut stream = provider.stream(call).await?;
    let mut fold = Fold::new();
    while let Some(delta) = stream.next().await {
        fold.apply(&delta?);
    }
    Ok(fold.message().text())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (base_url, model, carrier): (_, _, Arc<dyn Transport>) = match args.as_slice() {
        [base_url, model] => (base_url.clone(), model.clone(), Arc::new(Http::new())),
        [] => {
            let network = Fault::new([Plan::body("text/event-stream", ANSWER).split(7)]);
            ("http://localhost:1/v1".into(), "m".into(), Arc::new(network))
        }
        _ => return Err("usage: record_replay [BASE_URL MODEL]".into()),
    };

    // A recording stands between a provider and whatever carries its requests, and holds up nothing.
    let tape = Tape::new();
    let recording = Arc::new(Recording::new(carrier, tape.clone()));
    let mut endpoint = Endpoint::new("server", &base_url, recording.clone());
    if let Ok(key) = std::env::var("API_KEY") {
        endpoint = endpoint.with_key(key.into());
    }
    let first = ask(endpoint, &model).await?;
    recording.flush().await;
    let kept = serde_json::to_string(&tape.exchanges())?;
    println!("recorded: {first}");

    // What was kept is text, and has no key in it. Later, elsewhere, it answers in the network's place.
    let exchanges: Vec<Exchange> = serde_json::from_str(&kept)?;
    let pieces: usize = exchanges.iter().map(|exchange| exchange.chunks.len()).sum();
    let again = ask(Endpoint::new("server", &base_url, Arc::new(Replay::new(exchanges))), &model).await?;
    println!("replayed: {again}");
    println!("the same: {}, in {pieces} pieces", first == again);
    Ok(())
}
