//! `aichat-bench [NAME]...`: the benchmarks, each beside its peers; prints ratios and never fails for speed.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod concurrent;
mod delta_extract;
mod lib_stream;
mod measure;
mod oneshot;
mod parties;
mod sse_parse;
mod startup;
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
type Bench = fn() -> Outcome;

const BENCHES: [(&str, Bench); 7] = [
    ("startup", startup::run),
    ("oneshot", oneshot::run),
    ("stream10k", stream10k::run),
    ("lib_stream", lib_stream::run),
    ("sse_parse", sse_parse::run),
    ("delta_extract", delta_extract::run),
    ("concurrent", concurrent::run),
];

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.first().is_some_and(|name| name == measure::WORD) {
        return measure::shim(&names[1..]);
    }
    if let Some(unknown) = names.iter().find(|name| BENCHES.iter().all(|(known, _)| known != name)) {
        println!("no benchmark {unknown}; there are: {}", BENCHES.map(|(name, _)| name).join(", "));
        return ExitCode::from(2);
    }
    for (name, run) in BENCHES {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            println!("\n## {name}\n");
            if let Err(error) = run() {
                println!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
