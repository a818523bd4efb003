//! Benchmark 4: the library alone: an answer of 100,000 chunks, its deltas to a sink, on one thread.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aichat_message::{Delta, Message};
use aichat_mock::{Mock, Workload};
use aichat_providers::{Driver, Endpoint, Http, OpenaiChat, Profile, Provider, Request};
use futures::StreamExt;
use futures::future::LocalBoxFuture;

use crate::Outcome;
use crate::measure::thread_cpu;
use crate::table::at_most;

const LONG: &str = "c100000";
const SHORT: &str = "c1";
const ROUNDS: usize = 9;
const FIRSTS: usize = 301;

/// Where the text of an answer goes.
struct Sink {
    start: Instant,
    first: Option<Duration>,
    bytes: usize,
}

impl Sink {
    /// Takes one fragment.
    fn take(&mut self, fragment: &[u8]) {
        if self.first.is_none() && !fragment.is_empty() {
            self.first = Some(self.start.elapsed());
        }
        self.bytes += fragment.len();
    }
}

/// Asks for a workload and gives what is said to the sink.
type Ask = Box<dyn for<'a> Fn(&'a str, &'a mut Sink) -> LocalBoxFuture<'a, Outcome>>;

/// A client under measurement, made ready: its connections and its TLS roots are there.
struct Client {
    name: &'static str,
    ask: Ask,
}

/// What one answer took of this thread.
#[derive(Clone, Copy)]
struct Cost {
    cpu: Duration,
    first: Duration,
    allocations: usize,
    bytes: usize,
}

/// Runs it.
pub(crate) fn run() -> Outcome {
    let mock = Mock::start()?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shared = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let clients = [
        Client { name: "raw reqwest, bytes", ask: raw(&mock, shared.clone()) },
        Client { name: "aichat", ask: ours(&mock)? },
        #[cfg(feature = "peers")]
        Client { name: "async-openai", ask: peers::async_openai(&mock, shared.clone()) },
        #[cfg(feature = "peers")]
        Client { name: "genai", ask: peers::genai(&mock, shared)? },
        #[cfg(feature = "peers")]
        Client { name: "rig", ask: peers::rig(&mock) },
    ];
    if clients.len() == 2 {
        println!("async-openai, genai, rig: not built in (feature `peers`)");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let longs = runtime.block_on(interleave(&clients, LONG, ROUNDS))?;
    let shorts = runtime.block_on(interleave(&clients, SHORT, FIRSTS))?;

    let work = Workload::parse(LONG).ok_or("the mock does not know its own words")?;
    let text = work.texts("").concat().len();
    println!("{:<22}{:>14}{:>18}{:>18}", "", "CPU ns/chunk", "allocations/chunk", "first token us");
    for ((client, long), short) in clients.iter().zip(&longs).zip(&shorts) {
        let (cpu, allocations) = (per_chunk(long, &work), long.allocations as f64 / work.chunks as f64);
        let counted = match cfg!(feature = "allocations") {
            true => format!("{allocations:.2}"),
            false => "not counted".to_owned(),
        };
        println!("{:<22}{cpu:>14.0}{counted:>18}{:>18.0}", client.name, short.first.as_secs_f64() * 1e6);
        if client.name != clients[0].name && long.bytes != text {
            return Err(format!("{} finds {} bytes of text, not {text}", client.name, long.bytes).into());
        }
    }
    println!();
    for (index, goal) in [(0, 1.4), (2, 0.6), (3, f64::INFINITY), (4, 0.1)] {
        let Some(theirs) = longs.get(index) else { continue };
        let ratio = per_chunk(&longs[1], &work) / per_chunk(theirs, &work);
        at_most(&format!("CPU, aichat / {}", clients[index].name), ratio, goal);
    }
    if cfg!(feature = "allocations") {
        at_most("allocations per chunk", longs[1].allocations as f64 / work.chunks as f64, 1.2);
    }
    let first = shorts[1].first.as_secs_f64() / shorts[0].first.as_secs_f64();
    at_most("first token, aichat / raw reqwest", first, 1.1);
    Ok(())
}

fn per_chunk(cost: &Cost, work: &Workload) -> f64 {
    cost.cpu.as_secs_f64() * 1e9 / work.chunks as f64
}

/// Measures all clients in turns and returns the median of each, column by column; the first turn warms up.
async fn interleave(clients: &[Client], workload: &str, rounds: usize) -> Result<Vec<Cost>, Box<dyn Error>> {
    let mut costs: Vec<Vec<Cost>> = clients.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for (client, costs) in clients.iter().zip(&mut costs) {
            let cost =
                measured(client, workload).await.map_err(|error| format!("{}: {error}", client.name))?;
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    Ok(costs.iter().map(|costs| median(costs)).collect())
}

async fn measured(client: &Client, workload: &str) -> Result<Cost, Box<dyn Error>> {
    let mut sink = Sink { start: Instant::now(), first: None, bytes: 0 };
    let (cpu, allocations) = (thread_cpu()?, allocations());
    (client.ask)(workload, &mut sink).await?;
    Ok(Cost {
        cpu: thread_cpu()? - cpu,
        first: sink.first.ok_or("it said nothing")?,
        allocations: self::allocations() - allocations,
        bytes: sink.bytes,
    })
}

fn median(costs: &[Cost]) -> Cost {
    fn middle<T: Ord + Copy>(costs: &[Cost], of: impl Fn(&Cost) -> T) -> T {
        let mut all: Vec<T> = costs.iter().map(of).collect();
        all.sort_unstable();
        all[all.len() / 2]
    }
    Cost {
        cpu: middle(costs, |cost| cost.cpu),
        first: middle(costs, |cost| cost.first),
        allocations: middle(costs, |cost| cost.allocations),
        bytes: middle(costs, |cost| cost.bytes),
    }
}

#[cfg(feature = "allocations")]
fn allocations() -> usize {
    let stats = crate::ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

#[cfg(not(feature = "allocations"))]
fn allocations() -> usize {
    0
}

fn ours(mock: &Mock) -> Result<Ask, Box<dyn Error>> {
    let endpoint = Endpoint::new("mock", mock.url(), Arc::new(Http::new()));
    let driver = Arc::new(Driver::new(endpoint, OpenaiChat::new(Profile::generic()))?);
    Ok(Box::new(move |model, sink| {
        let driver = Arc::clone(&driver);
        Box::pin(async move {
            let call = driver.prepare(Request::new(model, vec![Message::user("hi")]))?;
            let mut deltas = driver.stream(call).await?;
            while let Some(delta) = deltas.next().await {
                if let Delta::Text { text, .. } = delta? {
                    sink.take(text.as_bytes());
                }
            }
            Ok(())
        })
    }))
}

fn raw(mock: &Mock, client: reqwest::Client) -> Ask {
    let url = format!("{}/chat/completions", mock.url());
    Box::new(move |model, sink| {
        let body =
            format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}],"stream":true}}"#);
        let request = client.post(&url).header("content-type", "application/json").body(body);
        Box::pin(async move {
            let mut chunks = request.send().await?.error_for_status()?.bytes_stream();
            while let Some(chunk) = chunks.next().await {
                sink.take(&chunk?);
            }
            Ok(())
        })
    })
}

#[cfg(feature = "peers")]
mod peers {
    use std::error::Error;

    use aichat_mock::Mock;
    use async_openai::config::OpenAIConfig;
    use async_openai::types::chat::{ChatCompletionRequestUserMessage, CreateChatCompletionRequest};
    use futures::StreamExt;
    use genai::adapter::AdapterKind;
    use genai::chat::{ChatMessage, ChatRequest, ChatStreamEvent};
    use genai::resolver::{AuthData, Endpoint, ServiceTargetResolver};
    use genai::{ModelIden, ServiceTarget};
    use rig_core::completion::CompletionRequest;
    use rig_core::providers::openai;
    use rig_core::streaming::{Item, StreamEvent};

    use super::Ask;

    pub(super) fn async_openai(mock: &Mock, http: reqwest::Client) -> Ask {
        let config = OpenAIConfig::new().with_api_base(mock.url()).with_api_key("sk-bench");
        let client = async_openai::Client::build(http, config);
        Box::new(move |model, sink| {
            let client = client.clone();
            Box::pin(async move {
                let request = CreateChatCompletionRequest {
                    model: model.to_owned(),
                    messages: vec![ChatCompletionRequestUserMessage::from("hi").into()],
                    ..Default::default()
                };
                let mut chunks = client.chat().create_stream(request).await?;
                while let Some(chunk) = chunks.next().await {
                    for choice in chunk?.choices {
                        if let Some(text) = choice.delta.content {
                            sink.take(text.as_bytes());
                        }
                    }
                }
                Ok(())
            })
        })
    }

    pub(super) fn genai(mock: &Mock, http: reqwest::Client) -> Result<Ask, Box<dyn Error>> {
        let url = format!("{}/", mock.url());
        let target = move |target: ServiceTarget| {
            Ok(ServiceTarget {
                endpoint: Endpoint::from_owned(url.clone()),
                auth: AuthData::from_single("sk-bench"),
                model: ModelIden::new(AdapterKind::OpenAI, target.model.model_name),
            })
        };
        let client = genai::Client::builder()
            .with_reqwest(http)
            .with_service_target_resolver(ServiceTargetResolver::from_resolver_fn(target))
            .build()?;
        Ok(Box::new(move |model, sink| {
            let client = client.clone();
            Box::pin(async move {
                let request = ChatRequest::new(vec![ChatMessage::user("hi")]);
                let mut events = client.exec_chat_stream(model, request, None).await?.stream;
                while let Some(event) = events.next().await {
                    if let ChatStreamEvent::Chunk(chunk) = event? {
                        sink.take(chunk.content.as_bytes());
                    }
                }
                Ok(())
            })
        }))
    }

    pub(super) fn rig(mock: &Mock) -> Ask {
        let client = openai::OpenAIConfig::new("sk-bench").with_base_url(mock.url()).client();
        Box::new(move |model, sink| {
            let model = client.chat(model);
            Box::pin(async move {
                let mut items = model.stream(CompletionRequest::new("hi"))?;
                while let Some(item) = items.next().await {
                    if let Item::Event(StreamEvent::Text { text, .. }) = item? {
                        sink.take(text.as_bytes());
                    }
                }
                Ok(())
            })
        })
    }
}
