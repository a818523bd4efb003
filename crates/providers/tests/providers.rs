//! The public face of the crate: recordings, the driver's laws, request bodies, the network, retries.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking, as its asserts do")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

#[path = "providers/anthropic.rs"]
mod anthropic;
#[path = "providers/anthropic_requests.rs"]
mod anthropic_requests;
#[path = "providers/azure.rs"]
mod azure;
#[path = "providers/canned.rs"]
mod canned;
#[path = "providers/contract.rs"]
mod contract;
#[path = "providers/doubles.rs"]
mod doubles;
#[path = "providers/followups.rs"]
mod followups;
#[path = "providers/fuzz.rs"]
mod fuzz;
#[path = "providers/gemini.rs"]
mod gemini;
#[path = "providers/gemini_requests.rs"]
mod gemini_requests;
#[path = "providers/histories.rs"]
mod histories;
#[path = "providers/laws.rs"]
mod laws;
#[path = "providers/mock.rs"]
mod mock;
#[path = "providers/moving.rs"]
mod moving;
#[path = "providers/network.rs"]
mod network;
#[path = "providers/ollama.rs"]
mod ollama;
#[path = "providers/openai_chat.rs"]
mod openai_chat;
#[path = "providers/openai_responses.rs"]
mod openai_responses;
#[path = "providers/openai_responses_requests.rs"]
mod openai_responses_requests;
#[path = "providers/recordings.rs"]
mod recordings;
#[path = "providers/repeats.rs"]
mod repeats;
#[path = "providers/requests.rs"]
mod requests;
#[path = "providers/seams.rs"]
mod seams;
#[path = "providers/transports.rs"]
mod transports;
