//! Cases of answers that break: cut, reset, stalled, damaged, dropped, failed by the provider.

use aichat_message::ErrorKind;
use futures::StreamExt;
use tokio::time::Instant;

use super::answers::places;
use super::play::{ask, open, play};
use super::{Subject, TIMEOUTS};
use crate::error::Timeout;
use crate::fault::{Fault, Plan};

/// Most places at which one sample is made to stall.
const STALLS: usize = 64;

/// An answer whose body ends before its protocol's marker is truncated and keeps what had come; it is never
/// called complete with something missing.
pub async fn a_cut_answer_is_truncated(subject: &Subject) {
    for sample in subject.complete(false) {
        let whole = subject.play(sample, |plan| plan).await;
        for at in [0].into_iter().chain(places(sample.body().len())) {
            let cut = subject.play(sample, |plan| plan.cut(at)).await;
            let at = format!("{} cut at {at}", sample.name);
            cut.assert_broken_off(&whole, |error| error.kind() == ErrorKind::Truncated, &at);
        }
    }
}

/// So is one whose connection breaks.
pub async fn a_broken_connection_is_truncated(subject: &Subject) {
    for sample in subject.complete(false) {
        let whole = subject.play(sample, |plan| plan).await;
        for at in [0].into_iter().chain(places(sample.body().len())) {
            let reset = subject.play(sample, |plan| plan.reset(at)).await;
            let at = format!("{} reset at {at}", sample.name);
            reset.assert_broken_off(&whole, |error| error.kind() == ErrorKind::Truncated, &at);
        }
    }
}

/// A stream that stands still fails with an idle time-out after the limit, and keeps what had come.
pub async fn a_stall_is_an_idle_timeout(subject: &Subject) {
    for sample in subject.complete(false) {
        let whole = subject.play(sample, |plan| plan).await;
        let len = sample.body().len();
        for at in (1..len).step_by(len / STALLS + 1) {
            let began = Instant::now();
            let stalled = subject.play(sample, |plan| plan.stall(at)).await;
            let at = format!("{} stalled at {at}", sample.name);
            assert!(began.elapsed() <= TIMEOUTS.idle.mul_f32(1.1), "{at}: {:?}", began.elapsed());
            stalled.assert_broken_off(&whole, |error| error.timeout() == Some(Timeout::Idle), &at);
        }
    }
}

/// A server that says nothing at all, before its status or after it, is a first-byte time-out.
pub async fn silence_is_a_first_byte_timeout(subject: &Subject) {
    for plan in [Plan::silent(), subject.complete(true)[0].plan().stall(0)] {
        let began = Instant::now();
        let silent = subject.ask(plan).await;
        assert_eq!((silent.kind(), silent.timeout()), (Some(ErrorKind::Timeout), Some(Timeout::FirstByte)));
        assert!(began.elapsed() <= TIMEOUTS.first_byte.mul_f32(1.1), "{:?}", began.elapsed());
    }
}

/// An error inside an answer of status 200 opens a stream and ends it, with what had come before.
pub async fn an_error_in_an_accepted_answer_ends_it(subject: &Subject) {
    let failing: Vec<_> = subject.accepted().filter(|sample| !sample.is_complete()).collect();
    assert!(!failing.is_empty(), "the subject has no sample of an error inside an accepted answer");
    for sample in failing {
        let outcome = subject.play(sample, |plan| plan.append("\n\n")).await;
        assert!(outcome.opened, "{}: the stream is not opened", sample.name);
        sample.assert_ends(None, outcome.error.as_ref());
        assert!(outcome.error.is_some_and(|error| !error.message().is_empty()), "{}", sample.name);
    }
}

/// A damaged byte may change what is said and may be an error; it is no panic and no second end.
pub async fn a_flipped_byte_is_survived(subject: &Subject) {
    for sample in subject.accepted() {
        for at in places(sample.body().len()) {
            for mask in [0x01, 0x80] {
                subject.play(sample, |plan| plan.flip(at, mask)).await;
            }
        }
    }
}

/// A stream that is over stays over, however often it is asked.
pub async fn a_stream_says_nothing_after_its_end(subject: &Subject) {
    for sample in subject.accepted() {
        let provider = subject.provider(&Fault::new([sample.plan()]));
        let Ok(mut stream) = open(&*provider, &sample.request).await else {
            panic!("{}: an accepted answer is not opened", sample.name);
        };
        while stream.next().await.is_some() {}
        for _ in 0..3 {
            assert!(stream.next().await.is_none(), "{}", sample.name);
        }
    }
}

/// Dropping a stream, or the future that opens one, drops the exchange; so does its end.
pub async fn a_dropped_stream_drops_its_body(subject: &Subject) {
    let sample = subject.complete(true)[0];
    let fault = Fault::new([sample.plan().stall(sample.body().len() / 2)]);
    let provider = subject.provider(&fault);
    let Ok(stream) = open(&*provider, &sample.request).await else { panic!("the answer is not opened") };
    assert_eq!(fault.under_way(), 1);
    drop(stream);
    assert_eq!(fault.under_way(), 0, "a dropped stream goes on");

    let fault = Fault::new([Plan::silent()]);
    let provider = subject.provider(&fault);
    let request = ask();
    let opening = tokio::time::timeout(TIMEOUTS.first_byte / 2, open(&*provider, &request));
    assert!(opening.await.is_err());
    assert_eq!((fault.requests().len(), fault.under_way()), (1, 0), "a dropped call goes on");

    let fault = Fault::new([sample.plan().hold_open()]);
    let outcome = play(&*subject.provider(&fault), &sample.request).await;
    assert!(outcome.error.is_none());
    assert_eq!(fault.under_way(), 0, "an answer that is over keeps its connection");
}
