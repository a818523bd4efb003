//! Timelines: where the time went, as data and as text.

use aichat_events::{
    Interruption, LlmRequestRetried, LlmResponseFailed, LlmResponseFirstChunk, LlmResponseInterrupted,
    RowKind, SecretCount, SecretRedacted, Timeline, Timing, TurnFailed, TurnInterrupted, TurnRecovered,
    WarningRaised, columns,
};
use aichat_message::ErrorKind;

use crate::log::Log;

fn retried() -> Log {
    let mut log = Log::new();
    log.at(1_000).ask(1, None, "Why?");
    log.at(1_100).request(1);
    log.at(1_300).add(&LlmRequestRetried {
        attempt: 1,
        delay_ms: 500,
        kind: ErrorKind::RateLimited,
        message: "slow down\x1b[2J\nplease, there are many of you today".into(),
        status: Some(429),
    });
    log.at(1_800).request(2);
    log.at(2_000).first_chunk(200);
    log.at(3_000).responded(Some((12, 34))).say(1, "Because.", false);
    log.add(&SecretRedacted { counts: vec![SecretCount { name: "openai".into(), count: 2 }] });
    log.at(3_001).complete(1);
    log
}

#[test]
fn a_waterfall_shows_queue_attempts_waits_and_the_stream() {
    let mut log = retried();
    log.turn = None;
    log.at(3_500).add(&WarningRaised { text: "outside of any turn".into() });
    log.at(4_000).ask(2, Some(3), "And?");
    log.at(4_001).request(1).add(&WarningRaised { text: "odd".into() });
    log.at(4_002).add(&LlmResponseFailed {
        kind: ErrorKind::Transport,
        message: "connection refused".into(),
        status: None,
        code: None,
        request_id: None,
        retryable: true,
        retry_after_ms: None,
        usage: None,
        timing: None,
        kept: None,
    });
    log.add(&TurnFailed { kind: ErrorKind::Transport, message: "connection refused".into(), answer: None });
    let text = Timeline::of(&log.events).render(100);
    for width in 40..120 {
        let drawn = Timeline::of(&log.events).render(width);
        assert!(drawn.lines().all(|line| columns(line) <= width), "{width}: {drawn}");
    }
    let wide = Timeline::of(&log.events).render(300);
    assert!(wide.contains("slow down␛[2J please, there are many of you today\n"), "{wide}");
    insta::assert_snapshot!(text, @r"
    trn_040g2081040g2081  2026-01-01T00:00:01Z  completed 2.00 s  openai/gpt  tokens: 12 in, 34 out
      cost: unknown (1 call unpriced)
      queue         │█                                      │  100.0 ms  from 0 us
      request       │ ████                                  │  200.0 ms  from 100.0 ms
      retry         │     ◆                                 │@ 300.0 ms
        attempt 1 rate_limited, waits 500.0 ms: slow down␛[2J please, there are many of you today
      wait          │     ██████████                        │  500.0 ms  from 300.0 ms
      first content │               ████                    │  200.0 ms  from 800.0 ms
      stream        │                   ███████████████████ │    1.00 s  from 1.00 s
      redaction     │                                      ◆│@   2.00 s  openai ×2

    trn_081040g2081040g2  2026-01-01T00:00:04Z  failed 2.0 ms  openai/gpt
      tokens: unknown in, unknown out
      queue         │███████████████████                    │    1.0 ms  from 0 us
      warning       │                   ◆                   │@   1.0 ms  odd
      request       │                   ████████████████████│    1.0 ms  from 1.0 ms
      failure       │                                      ◆│@   2.0 ms  transport: connection refused
    ");
    insta::assert_snapshot!(Timeline::of(&log.events).render(40), @r"
    trn_040g2081040g2081
      2026-01-01T00:00:01Z  completed 2.00 s
      openai/gpt  tokens: 12 in, 34 out
      cost: unknown (1 call unpriced)
    queue         │█             │  100.0 ms
    request       │██            │  200.0 ms
    retry         │  ◆           │@ 300.0 ms
      attempt 1 rate_limited, waits 500.0
      ms: slow down␛[2J please, there are
      many of you today
    wait          │  ███         │  500.0 ms
    first content │     █        │  200.0 ms
    stream        │      ███████ │    1.00 s
    redaction     │             ◆│@   2.00 s
      openai ×2

    trn_081040g2081040g2
      2026-01-01T00:00:04Z  failed 2.0 ms
      openai/gpt
      tokens: unknown in, unknown out
    queue         │███████       │    1.0 ms
    warning       │       ◆      │@   1.0 ms
      odd
    request       │       ███████│    1.0 ms
    failure       │             ◆│@   2.0 ms
      transport: connection refused
    ");
}

#[test]
fn a_request_leaves_when_its_first_content_says_and_the_first_byte_comes_before_that() {
    let mut log = Log::new();
    log.at(0).ask(1, None, "Why?");
    log.at(100).request(1);
    log.at(500).add(&LlmResponseFirstChunk { first_byte_us: Some(150_000), first_content_us: 300_000 });
    log.at(1_000).responded(None).complete(1);
    insta::assert_snapshot!(Timeline::of(&log.events).render(80), @r"
    trn_040g2081040g2081  2026-01-01T00:00:00Z  completed 1.00 s  openai/gpt
      tokens: unknown in, unknown out  cost: unknown (1 call unpriced)
      queue         │█████                       │  200.0 ms  from 0 us
      first byte    │     ████                   │  150.0 ms  from 200.0 ms
      first content │         █████              │  150.0 ms  from 350.0 ms
      stream        │              ██████████████│  500.0 ms  from 500.0 ms
    ");
}

#[test]
fn wide_characters_are_counted_as_they_are_shown() {
    let mut log = Log::new();
    log.at(0).ask(1, None, "Why?").request(1).add(&WarningRaised { text: "漢字".repeat(60) });
    for width in [40, 63, 64, 80] {
        let text = Timeline::of(&log.events).render(width);
        assert!(text.lines().all(|line| columns(line) <= width), "{text}");
        assert_eq!(text.matches('漢').count(), 60, "{text}");
    }
}

#[test]
fn the_data_has_the_numbers_that_the_text_shows() {
    let timeline = Timeline::of(&retried().events);
    let turn = &timeline.turns[0];
    assert_eq!((turn.total_us, turn.seq, turn.tokens.output.known), (2_001_000, 1, Some(34)));
    let spans: Vec<_> =
        turn.rows.iter().map(|row| (row.what, row.offset_us / 1000, row.duration_us)).collect();
    let expected = [
        (RowKind::Queue, 0, Some(100_000)),
        (RowKind::Request, 100, Some(200_000)),
        (RowKind::Retry, 300, None),
        (RowKind::Wait, 300, Some(500_000)),
        (RowKind::FirstContent, 800, Some(200_000)),
        (RowKind::Stream, 1_000, Some(1_000_000)),
        (RowKind::Redaction, 2_000, None),
    ];
    assert_eq!(spans, expected);
    insta::assert_snapshot!(serde_json::to_string(&timeline).unwrap().split_once(",\"rows\"").unwrap().0, @r#"{"session":"ses_040g2081040g2081","turns":[{"turn":"trn_040g2081040g2081","seq":1,"ts":1767225601000000,"total_us":2001000,"status":"completed","finish":{"reason":"stop","raw":null},"model":"openai/gpt","tokens":{"calls":1,"input":{"known":12,"unknown":0},"output":{"known":34,"unknown":0}},"cost":{"amount":null,"currency":"USD","calls":1,"unpriced":1,"partial":0,"estimated":0}"#);
}

#[test]
fn a_recovery_hours_later_does_not_stretch_the_turn() {
    let mut log = Log::new();
    log.at(0).ask(1, None, "Why?");
    log.at(10).request(1);
    log.at(210).first_chunk(200);
    log.at(400).add(&WarningRaised { text: "last sign of life".into() });
    log.writer = 2;
    log.at(7_200_000).add(&TurnRecovered { records: 5, bytes: 678 });
    log.add(&LlmResponseInterrupted { reason: Interruption::Kill, usage: None, timing: None, kept: None });
    log.say(1, "Be", true).add(&TurnInterrupted { reason: Interruption::Kill, answer: None });
    insta::assert_snapshot!(Timeline::of(&log.events).render(80), @r"
    trn_040g2081040g2081  2026-01-01T00:00:00Z  interrupted 400.0 ms  openai/gpt
      tokens: unknown in, unknown out  cost: unknown (1 call unpriced)
      queue         │█                           │   10.0 ms  from 0 us
      first content │██████████████              │  200.0 ms  from 10.0 ms
      stream        │              ██████████████│  190.0 ms  from 210.0 ms
      warning       │                           ◆│@ 400.0 ms  last sign of life
      recovery      │                           ◆│@120 min 0 s  5 records, 678 bytes
      interruption  │                           ◆│@120 min 0 s  kill
    ");

    // What the writer itself had measured counts for more than its last sign of life.
    let timing = Timing { total_us: 900_000, ..Timing::default() };
    let mut measured = Log::new();
    measured.at(0).ask(1, None, "Why?");
    measured.at(10).request(1);
    measured.writer = 2;
    measured.at(99_000).add(&LlmResponseInterrupted {
        reason: Interruption::Kill,
        usage: None,
        timing: Some(timing),
        kept: None,
    });
    assert_eq!(Timeline::of(&measured.events).turns[0].total_us, 910_000);
}

#[test]
fn clocks_that_jump_and_numbers_without_measure_do_no_harm() {
    let mut log = Log::new();
    log.at(5_000).ask(1, None, "Why?");
    log.at(1_000).request(1).first_chunk(u64::MAX / 2_000);
    log.writer = 2;
    log.at(0).responded(Some((u64::MAX, u64::MAX))).responded(Some((u64::MAX, 1)));
    let text = Timeline::of(&log.events).render(0);
    assert!(text.lines().all(|line| columns(line) <= 40), "{text}");
    assert!(text.contains(&u64::MAX.to_string()), "{text}");
}
