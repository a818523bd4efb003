//! Benchmark 5: SSE framing alone, from memory, cut in chunks of several sizes.

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Duration;

use aichat_providers::{SseDecoder, SseEvent};
use bytes::Bytes;

use crate::Outcome;
use crate::measure::thread_cpu;
use crate::table::{at_least, at_most};

const CORPUS: usize = 100 << 20;
const CHUNKS: [usize; 5] = [1, 220, 1_460, 16_384, 65_536];

/// How many events a decoder found, and how much data was in them.
type Found = (u64, u64);

/// A decoder under measurement: it is given the bytes and the size of the chunks they come in.
struct Party {
    name: &'static str,
    decode: fn(&Bytes, usize) -> Found,
}

/// Runs it.
pub(crate) fn run() -> Outcome {
    let parties = [
        Party { name: "aichat", decode: ours },
        #[cfg(feature = "peers")]
        Party { name: "sse-stream", decode: peers::sse_stream },
        #[cfg(feature = "peers")]
        Party { name: "eventsource-stream", decode: peers::eventsource_stream },
    ];
    if parties.len() == 1 {
        println!("sse-stream, eventsource-stream: not built in (feature `peers`)");
    }
    let events = events(CORPUS);
    let long = Bytes::from(events);
    // One byte at a time is slow for everyone.
    let short = long.slice(..CORPUS / 10);

    println!("{:<22}{}", "MB per CPU second, by", CHUNKS.map(|size| format!("{size:>10}")).concat());
    let mut speeds = Vec::new();
    for size in CHUNKS {
        let corpus = if size == 1 { &short } else { &long };
        speeds.push(compare(&parties, corpus, size, 9)?);
    }
    for (index, party) in parties.iter().enumerate() {
        let row: String = speeds.iter().map(|column| format!("{:>10.0}", column[index])).collect();
        println!("{:<22}{row}", party.name);
    }
    println!();
    if parties.len() > 1 {
        for (size, column) in CHUNKS.iter().zip(&speeds) {
            at_least(&format!("speed, aichat / sse-stream, chunks of {size}"), column[0] / column[1], 2.0);
        }
    }
    let ours_only: Vec<f64> = speeds[1..].iter().map(|column| column[0]).collect();
    let best = ours_only.iter().copied().fold(0.0, f64::max);
    let worst = ours_only.iter().copied().fold(f64::INFINITY, f64::min);
    at_most("best / worst chunk size, 220 B up", best / worst, 1.3);

    let line = |mib: usize| Bytes::from([b"data: ", "x".repeat(mib << 20).as_bytes(), b"\n\n"].concat());
    let (half, whole) = (line(4), line(8));
    let (half, whole) =
        (compare(&parties[..1], &half, 1_024, 25)?[0], compare(&parties[..1], &whole, 1_024, 25)?[0]);
    println!("one line in 1 KiB pieces: {half:.0} MB/s at 4 MiB, {whole:.0} MB/s at 8 MiB");
    at_most("time per byte, 8 MiB / 4 MiB", half / whole, 1.3);
    allocations(&long);
    Ok(())
}

/// Returns whole events of about 220 bytes, `size` bytes or a little less.
fn events(size: usize) -> Vec<u8> {
    let event = |index: usize| {
        format!(
            "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\",\"system_fingerprint\":\"fp_bench\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{index:06} \"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n"
        )
    };
    let mut out = Vec::with_capacity(size);
    for index in 0.. {
        let event = event(index % 1_000_000);
        if out.len() + event.len() > size {
            break;
        }
        out.extend_from_slice(event.as_bytes());
    }
    out
}

/// Returns the speed of each party in MB/s: the median of `rounds`, taken in turns.
fn compare(
    parties: &[Party],
    corpus: &Bytes,
    size: usize,
    rounds: usize,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut times = vec![Vec::new(); parties.len()];
    let mut expected = None;
    for _ in 0..rounds {
        for (party, times) in parties.iter().zip(&mut times) {
            let start = thread_cpu()?;
            let found = (party.decode)(corpus, size);
            times.push(thread_cpu()? - start);
            if *expected.get_or_insert(found) != found {
                return Err(format!("{} finds {found:?}, others {expected:?}", party.name).into());
            }
        }
    }
    let speed = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        corpus.len() as f64 / 1e6 / times[times.len() / 2].as_secs_f64()
    };
    Ok(times.iter_mut().map(speed).collect())
}

fn ours(corpus: &Bytes, size: usize) -> Found {
    let mut decoder = SseDecoder::new();
    let mut found = (0, 0);
    for chunk in corpus.chunks(size) {
        let count = |event: SseEvent<'_>| {
            if let SseEvent::Message { data, .. } = event {
                found = (found.0 + 1, found.1 + data.len() as u64);
            }
            ControlFlow::Continue(())
        };
        decoder.push(chunk, count).expect("the corpus is in order");
    }
    found
}

#[cfg(feature = "allocations")]
fn allocations(corpus: &Bytes) {
    let region = stats_alloc::Region::new(crate::ALLOCATOR);
    let (events, _) = ours(corpus, 1_460);
    let count = region.change().allocations + region.change().reallocations;
    println!("{count} allocations for {events} events");
}

#[cfg(not(feature = "allocations"))]
fn allocations(_: &Bytes) {
    println!("allocations: not counted (feature `allocations`)");
}

#[cfg(feature = "peers")]
mod peers {
    use bytes::Bytes;
    use eventsource_stream::Eventsource;
    use futures::{FutureExt, Stream, StreamExt, stream};
    use sse_stream::SseStream;

    use super::Found;

    pub(super) fn sse_stream(corpus: &Bytes, size: usize) -> Found {
        count(SseStream::from_bytes_stream(chunks(corpus, size)), |event| {
            event.expect("the corpus is in order").data.map_or(0, |data| data.len())
        })
    }

    pub(super) fn eventsource_stream(corpus: &Bytes, size: usize) -> Found {
        count(chunks(corpus, size).eventsource(), |event| event.expect("the corpus is in order").data.len())
    }

    fn chunks(
        corpus: &Bytes,
        size: usize,
    ) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Unpin + use<> {
        let whole = corpus.clone();
        let starts = (0..whole.len()).step_by(size);
        stream::iter(starts.map(move |start| Ok(whole.slice(start..whole.len().min(start + size)))))
    }

    fn count<T>(events: impl Stream<Item = T>, length: impl Fn(T) -> usize) -> Found {
        let sum = events.fold((0, 0), |(events, bytes), event| {
            std::future::ready((events + 1, bytes + length(event) as u64))
        });
        sum.now_or_never().expect("a stream from memory never waits")
    }
}
