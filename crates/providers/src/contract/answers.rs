//! Cases of answers that come through: whole, in pieces, with noise between and after.

use std::time::Duration;

use tokio::time::Instant;

use super::sample::Sample;
use super::{Subject, TIMEOUTS};
use crate::fault::Plan;

/// Most places at which one sample is split, cut or reset.
const PLACES: usize = 4096;

/// Most bytes of one sample that are decoded for that.
const WORK: usize = 32 << 20;

/// Every sample is understood as stated: text, reasoning, calls, usage, end or error.
pub async fn a_whole_answer_is_understood(subject: &Subject) {
    subject.complete(true);
    for sample in &subject.samples {
        let (name, outcome) = (&sample.name, subject.play(sample, |plan| plan).await);
        sample.assert_ends(outcome.finish.as_ref().map(|finish| finish.reason), outcome.error.as_ref());
        assert_eq!(outcome.opened, sample.is_accepted(), "{name}: the status decides before the stream");
        let same = |what: &str, got: &str, stated: &Option<String>| {
            assert!(stated.as_ref().is_none_or(|stated| got == stated), "{name}: {what} is {got:?}");
        };
        same("the text", &outcome.message.text(), &sample.text);
        same("the reasoning", &outcome.reasoning(), &sample.reasoning);
        if let Some(calls) = &sample.calls {
            assert_eq!(&outcome.calls(), calls, "{name}");
        }
        if let Some(stated) = sample.usage {
            let usage = outcome.usage.unwrap_or_default();
            assert_eq!((usage.input_tokens, usage.output_tokens), stated, "{name}");
        }
    }
}

/// An answer split in two, at any byte, is the same answer.
pub async fn no_split_changes_an_answer(subject: &Subject) {
    for sample in subject.accepted() {
        let whole = subject.play(sample, |plan| plan).await;
        for at in places(sample.body().len()) {
            let split = subject.play(sample, |plan| plan.split(at)).await;
            assert_eq!(split.said(), whole.said(), "{} split at {at}", sample.name);
        }
    }
}

/// An answer in pieces of one byte, or of a few, is the same answer.
pub async fn no_size_of_pieces_changes_an_answer(subject: &Subject) {
    for sample in subject.accepted() {
        let whole = subject.play(sample, |plan| plan).await;
        for size in [1, 7, 220] {
            let split = subject.play(sample, |plan| plan.pieces(size)).await;
            assert_eq!(split.said(), whole.said(), "{} in pieces of {size}", sample.name);
        }
    }
}

/// Keep-alives between the frames are no content, and hold off the idle limit.
pub async fn keep_alives_change_nothing(subject: &Subject) {
    let nearly = TIMEOUTS.idle.mul_f32(0.8);
    for sample in subject.complete(true) {
        let whole = subject.play(sample, |plan| plan).await;
        let (noise, frames) = (if sample.is_lines() { "\n" } else { ": keep-alive\n\n" }, frames(sample));
        let noisy = |plan| frames.iter().fold(plan, |plan: Plan, at| plan.insert(*at, noise));
        assert_eq!(subject.play(sample, noisy).await.said(), whole.said(), "{}", sample.name);
        // Once an answer is over but for its trailers, those are not waited for so long.
        if let [first, _, _, ..] = frames[..] {
            let slow = subject.play(sample, |plan| {
                (0..4).fold(plan, |plan, _| plan.pause(first, nearly).insert(first, noise))
            });
            assert_eq!(slow.await.said(), whole.said(), "{}: keep-alives are taken for a stall", sample.name);
        }
    }
}

/// Whatever comes after an end that the protocol marks is not read. Where only the end of the body ends an
/// answer, nothing is promised but that the text stays.
pub async fn what_comes_after_the_end_is_ignored(subject: &Subject) {
    for sample in subject.complete(true) {
        let whole = subject.play(sample, |plan| plan).await;
        let began = Instant::now();
        subject.play(sample, |plan| plan.hold_open()).await;
        let marked = began.elapsed().is_zero();
        for garbage in ["garbage\n\n", "data: {\"garbage\n\n", "{\"garbage\n", "\0\u{7f}"] {
            let after = subject.play(sample, |plan| plan.append(garbage)).await;
            match marked {
                true => assert_eq!(after.said(), whole.said(), "{} and {garbage:?}", sample.name),
                false => assert_eq!(after.message.text(), whole.message.text(), "{}", sample.name),
            }
        }
    }
}

/// A server that leaves the connection open after the end does not keep the caller waiting.
pub async fn an_open_socket_after_the_end_is_not_waited_for(subject: &Subject) {
    // A last frame that lacks its end is whole only when the body ends.
    for sample in subject.complete(true).into_iter().filter(|sample| ends_a_frame(sample, sample.body())) {
        let whole = subject.play(sample, |plan| plan).await;
        let began = Instant::now();
        let open = subject.play(sample, |plan| plan.hold_open()).await;
        assert_eq!(open.said(), whole.said(), "{}", sample.name);
        assert!(began.elapsed() < Duration::from_secs(3), "{}: {:?}", sample.name, began.elapsed());
    }
}

/// Returns the places inside a body of this length: all of a small one, of a larger one evenly spread ones and
/// its last bytes.
pub(super) fn places(len: usize) -> Vec<usize> {
    let most = (WORK / len.max(1)).clamp(64, PLACES);
    if len <= most {
        return (1..len).collect();
    }
    // An odd step meets every phase of frames of equal length.
    let (step, tail) = ((2 * len / most) | 1, len - most / 2);
    (1..tail).step_by(step).chain(tail..len).collect()
}

/// Returns where the frames of a streamed sample end, the last one's end left out.
fn frames(sample: &Sample) -> Vec<usize> {
    let body = sample.body();
    (1..body.len()).filter(|at| ends_a_frame(sample, &body[..*at])).collect()
}

fn ends_a_frame(sample: &Sample, bytes: &[u8]) -> bool {
    let ends: &[&[u8]] = if sample.is_lines() { &[b"\n"] } else { &[b"\n\n", b"\r\n\r\n", b"\r\r"] };
    ends.iter().any(|end| bytes.ends_with(end))
}
