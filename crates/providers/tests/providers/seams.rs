//! The scripted provider and the retry policy.

use std::sync::Arc;
use std::time::Duration;

use aichat_message::{ErrorKind, FinishReason};
use aichat_providers::{
    Attempt, Checkup, Error, Model, Ollama, Provider, Retry, RetryPolicy, Scripted, Step, Turn, Verdict,
};
use futures::StreamExt;

use crate::canned::{Canned, driver, open, play};

fn at(number: u32) -> Attempt {
    Attempt { number, elapsed: Duration::ZERO, jitter: 1.0 }
}

#[test]
fn the_policy_doubles_honours_the_provider_and_gives_up() {
    let policy = RetryPolicy::default();
    let error = || Error::new(ErrorKind::RateLimited, "slow down");
    let seconds = |error: &Error, attempt| policy.next(error, attempt).map(|wait| wait.as_secs_f64());
    assert_eq!([1, 2, 3, 4].map(|n| seconds(&error(), at(n))), [Some(0.5), Some(1.0), Some(2.0), None]);
    assert_eq!(seconds(&error(), Attempt { jitter: 0.0, ..at(1) }), Some(0.25));
    let asked = error().with_retry_after(Some(Duration::from_secs(7)));
    assert_eq!(seconds(&asked, at(1)), Some(7.0));
    assert_eq!(seconds(&error().with_retry_after(Some(Duration::ZERO)), at(1)), Some(0.5));
    assert_eq!(seconds(&asked, Attempt { elapsed: Duration::from_secs(114), ..at(1) }), None);
    assert_eq!(seconds(&error().with_retry_after(Some(Duration::MAX)), at(1)), None);
    for kind in [ErrorKind::Quota, ErrorKind::Billing, ErrorKind::Auth, ErrorKind::InvalidRequest] {
        assert_eq!(seconds(&Error::new(kind, "no"), at(1)), None);
    }
    assert_eq!(RetryPolicy::never().next(&error(), at(1)), None);
    let many = RetryPolicy { max_attempts: u32::MAX, ..policy };
    assert_eq!(many.next(&error(), at(1_000_000)), Some(many.cap));
}

#[tokio::test(start_paused = true)]
async fn retry_opens_again_but_never_repeats_an_open_stream() {
    let busy = || Turn::refused(Error::new(ErrorKind::Overloaded, "busy"));
    let script = Scripted::new([busy(), busy(), Turn::text("at last")]);
    let (fold, error) = play(&Retry::new(script.clone(), RetryPolicy::default(), 1)).await;
    assert!(error.is_none());
    assert_eq!((fold.message().text().as_str(), script.requests().len()), ("at last", 3));

    let broken = Turn::new().say("half").fail(Error::new(ErrorKind::Server, "broke"));
    let script = Scripted::new([broken, Turn::text("never")]);
    let (_, error) = play(&Retry::new(script.clone(), RetryPolicy::default(), 1)).await;
    assert_eq!(error.unwrap().partial().unwrap().text(), "half");
    assert_eq!(script.requests().len(), 1);

    let refused = Turn::refused(Error::new(ErrorKind::Auth, "no"));
    let script = Scripted::new([refused, Turn::text("never")]);
    let retry = Retry::new(script.clone(), RetryPolicy::default(), 1);
    assert_eq!(play(&retry).await.1.unwrap().kind(), ErrorKind::Auth);
    assert_eq!((script.requests().len(), retry.info().name.as_str()), (1, "scripted"));
}

#[tokio::test(start_paused = true)]
async fn a_checkup_asks_nothing_after_a_step_that_failed() {
    let turns =
        [Turn::text("hello"), Turn::refused(Error::new(ErrorKind::Server, "broke")), Turn::text("{}")];
    let script = Scripted::new(turns).with_models(vec![Model { id: "m".to_owned(), ..Model::default() }]);
    let (_, findings) = Checkup::new(&script).run().await;
    let told: Vec<_> = findings.iter().map(|finding| (finding.step, finding.verdict)).collect();
    let rest =
        [(Step::Stream, Verdict::Ok), (Step::Tools, Verdict::Failed), (Step::Schema, Verdict::Skipped)];
    assert_eq!((&told[5..], script.requests().len()), (&rest[..], 2));
}

#[tokio::test(start_paused = true)]
async fn a_checkup_measures_on_the_runtime_s_clock() {
    let slow = || Turn::new().pause(Duration::from_secs(3)).say("hello").stop();
    let script = Scripted::new([slow(), slow(), slow()]).with_models(vec![Model::default()]);
    let (_, findings) = Checkup::new(&script).run().await;
    let took: Vec<_> =
        findings.iter().filter_map(|finding| finding.took).map(|took| took.as_secs()).collect();
    assert_eq!(took, [0, 3, 3, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_script_can_pause_hang_end_early_and_notice_a_drop() {
    let paused = Turn::new().pause(Duration::from_secs(60)).say("late").finish(FinishReason::Length);
    let script = Scripted::new([paused, Turn::new().say("cut"), Turn::new().say("on").hang()]).named("other");
    let (fold, _) = play(&script).await;
    assert_eq!(fold.finish().unwrap().reason, FinishReason::Length);
    assert_eq!(play(&script).await.1.unwrap().kind(), ErrorKind::Truncated);
    assert_eq!(script.dropped(), 0, "a stream that ended was not dropped early");
    let mut stream = open(&script).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    let hangs = tokio::time::timeout(Duration::from_secs(9999), stream.next()).await;
    assert!(hangs.is_err());
    drop(stream);
    assert_eq!(script.dropped(), 1);
    let error = play(&script).await.1.unwrap();
    assert_eq!(error.to_string(), "other/m: the script has no more turns");
}

#[tokio::test]
async fn retry_asks_for_a_model_as_its_provider_does() {
    let canned = Canned::new(200, "application/json", r#"{"model_info":{"llama.context_length":4096}}"#);
    let canned = Arc::new(canned);
    let retry = Retry::new(driver(canned.clone(), Ollama::new()), RetryPolicy::default(), 1);
    assert_eq!(retry.model("any").await.unwrap().context_window, Some(4096));
    assert!(canned.seen.lock().unwrap()[0].uri().path().ends_with("/api/show"));
}
