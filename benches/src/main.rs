//! `aichat-bench [NAME]... [SIZE]`: the benchmarks, each beside its peers; prints ratios and never fails for speed.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod concurrent;
mod corpus;
mod delta_extract;
mod lib_stream;
mod measure;
mod oneshot;
mod parties;
mod recording;
mod search;
mod sse_parse;
mod startup;
mod store;
mod stream10k;
mod table;

use std::error::Error;
use std::process::ExitCode;

#[cfg(feature = "allocations")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// What a benchmark ends with.
type Outcome = Result<(), Box<dyn Error>>;

/// A benchmark.
#[derive(Clone, Copy)]
enum Bench {
    /// Always of the same size.
    Fixed(fn() -> Outcome),
    /// Of the size that is asked for, or of this one.
    Sized(fn(usize) -> Outcome, usize),
}

const BENCHES: [(&str, Bench); 10] = [
    ("startup", Bench::Fixed(startup::run)),
    ("oneshot", Bench::Fixed(oneshot::run)),
    ("stream10k", Bench::Fixed(stream10k::run)),
    ("lib_stream", Bench::Fixed(lib_stream::run)),
    ("sse_parse", Bench::Fixed(sse_parse::run)),
    ("delta_extract", Bench::Fixed(delta_extract::run)),
    ("concurrent", Bench::Fixed(concurrent::run)),
    ("store", Bench::Sized(store::run, store::EVENTS)),
    ("search", Bench::Sized(search::run, search::MESSAGES)),
    ("recording", Bench::Fixed(recording::run)),
];

fn main() -> ExitCode {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.first().is_some_and(|name| name == measure::WORD) {
        return measure::shim(&names[1..]);
    }
    if names.first().is_some_and(|name| name == store::WORD) {
        return store::open(&names[1..]);
    }
    let size = names.last().and_then(|last| last.parse().ok());
    if size.is_some() {
        names.pop();
    }
    if let Some(unknown) = names.iter().find(|name| BENCHES.iter().all(|(known, _)| known != name)) {
        println!("no benchmark {unknown}; there are: {}", BENCHES.map(|(name, _)| name).join(", "));
        return ExitCode::from(2);
    }
    for (name, bench) in BENCHES {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            println!("\n## {name}\n");
            let outcome = match bench {
                Bench::Fixed(run) => run(),
                Bench::Sized(run, usual) => run(size.unwrap_or(usual)),
            };
            if let Err(error) = outcome {
                println!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
