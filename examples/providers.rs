//! Who answers: one request to a script, or to any server that speaks the OpenAI protocol.
//!
//! `cargo run --example providers [BASE_URL MODEL]`; a key, if the server wants one, is read from `API_KEY`.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::io::Write;
use std::sync::Arc;

use aichat_message::{Delta, Fold, Message};
use aichat_providers::{
    Driver, Endpoint, Http, OpenaiChat, Options, Profile, Provider, Request, Retry, RetryPolicy, Scripted,
};
use futures::StreamExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (provider, model): (Arc<dyn Provider>, _) = match args.as_slice() {
        [base_url, model] => {
            let mut endpoint = Endpoint::new("server", base_url, Arc::new(Http::new()));
            if let Ok(key) = std::env::var("API_KEY") {
                endpoint = endpoint.with_key(key.into());
            }
            let driver = Driver::new(endpoint, OpenaiChat::new(Profile::generic()))?;
            // A provider never retries by itself. Whoever calls it directly, without the engine, wraps it.
            (Arc::new(Retry::new(driver, RetryPolicy::default(), 0)), model.as_str())
        }
        [] => (Arc::new(Scripted::echo()), "echo"),
        _ => return Err("usage: providers [BASE_URL MODEL]".into()),
    };

    let mut request = Request::new(model, vec![Message::user("Name the largest planet.")]);
    request.options = Options { max_tokens: Some(50), ..Options::default() };

    // What will be sent is known before anything is sent.
    let call = provider.prepare(request)?;
    println!("{} <- {}", provider.info().name, String::from_utf8_lossy(&call.body));

    // Whoever it is, the answer is a stream of the same deltas; dropping the stream would cancel the request.
    let mut stream = provider.stream(call).await?;
    let mut fold = Fold::new();
    while let Some(delta) = stream.next().await {
        let delta = delta?;
        if let Delta::Text { text, .. } = &delta {
            print!("{text}");
            std::io::stdout().flush()?;
        }
        fold.apply(&delta);
    }
    println!("\nfinish: {:?}", fold.finish().map(|finish| finish.reason));
    Ok(())
}
