//! Costs of sessions and turns: what is counted, what is not known, and what is corrected later.

use aichat_events::{
    CostCalculated, CostLine, CostRevised, Event, Fact, Interruption, LlmResponseCompleted,
    LlmResponseFailed, LlmResponseInterrupted, Timing, tally,
};
use aichat_message::{CostStatus, ErrorKind, Finish, FinishReason, Json, Total};

use crate::log::Log;

fn completed() -> LlmResponseCompleted {
    let finish = Finish { reason: FinishReason::Stop, raw: None };
    LlmResponseCompleted {
        model: None,
        response_id: None,
        request_id: None,
        finish,
        usage: None,
        timing: Timing::default(),
        rate_limits: Vec::new(),
    }
}

fn failed(kind: ErrorKind, status: Option<u16>) -> LlmResponseFailed {
    let json =
        format!(r#"{{"kind":"{}","status":{}}}"#, kind.as_str(), serde_json::to_string(&status).unwrap());
    serde_json::from_str(&json).unwrap()
}

fn costs(amount: &str, status: CostStatus) -> CostCalculated {
    CostCalculated { amount: Some(amount.parse().unwrap()), status, ..CostCalculated::default() }
}

fn total(events: &[Event]) -> String {
    let mut total = Total::default();
    events.iter().for_each(|event| tally(&mut total, event));
    total.to_string()
}

#[test]
fn a_call_is_unpriced_until_its_cost_is_told() {
    let mut log = Log::new();
    log.add(&completed());
    assert_eq!(total(&log.events), "unknown (1 call unpriced)");
    log.add(&costs("0.4", CostStatus::Exact));
    assert_eq!(total(&log.events), "$0.4");
    log.add(&LlmResponseInterrupted { reason: Interruption::Kill, usage: None, timing: None, kept: None });
    log.add(&CostCalculated::default());
    assert_eq!(total(&log.events), "at least $0.4 (1 call unpriced)");
    log.add(&CostRevised { cost: costs("0.1", CostStatus::Estimated), ..CostRevised::default() });
    assert_eq!(total(&log.events), "$0.5");
    let erased: Vec<Event> = log.events.iter().map(Event::erase).collect();
    assert_eq!(total(&erased), "$0");
}

#[test]
fn what_a_provider_refused_is_no_call_and_what_was_lost_is_one() {
    for (fact, counts) in [
        (failed(ErrorKind::RateLimited, Some(429)), 0),
        (failed(ErrorKind::Transport, None), 0),
        (failed(ErrorKind::Timeout, Some(504)), 0),
        (failed(ErrorKind::Timeout, None), 1),
        (failed(ErrorKind::Truncated, Some(200)), 1),
        (LlmResponseFailed { usage: Some(Default::default()), ..failed(ErrorKind::Server, Some(500)) }, 1),
    ] {
        let mut log = Log::new();
        log.add(&fact);
        let mut total = Total::default();
        log.events.iter().for_each(|event| tally(&mut total, event));
        assert_eq!((total.calls, total.unpriced), (counts, counts), "{fact:?}");
    }
}

#[test]
fn a_cost_says_null_where_nothing_is_known_and_keeps_where_it_is_from() {
    let json = serde_json::to_string(&CostCalculated::default()).unwrap();
    let expected = r#"{"amount":null,"currency":"USD","status":"unknown","lines":[],"provider":"","model":"","asked_us":0,"ended_us":0,"input_tokens":null,"output_tokens":null}"#;
    assert_eq!(json, expected);
    let line = CostLine {
        bucket: "input".into(),
        quantity: 3,
        price_per_million: Some("0.15".parse().unwrap()),
        amount: None,
    };
    let price = Json::new(r#"{"table_date":"2026-11-01",  "later":123456789012345678901234567890}"#).unwrap();
    let cost = CostCalculated {
        lines: vec![line],
        price: Some(price),
        agent: Some("poet".into()),
        asked_us: 5,
        input_tokens: Some(3),
        ..costs("0.4", CostStatus::ProviderReported)
    };
    let json = serde_json::to_string(&cost).unwrap();
    let expected = [
        r#"{"amount":"0.4","currency":"USD","status":"provider_reported","#,
        r#""lines":[{"bucket":"input","quantity":3,"price_per_million":"0.15","amount":null}],"#,
        r#""price":{"table_date":"2026-11-01",  "later":123456789012345678901234567890},"#,
        r#""provider":"","model":"","agent":"poet","asked_us":5,"ended_us":0,"input_tokens":3,"output_tokens":null}"#,
    ];
    assert_eq!(json, expected.concat());
    assert_eq!(serde_json::from_str::<CostCalculated>(&json).unwrap(), cost);
    let later: CostCalculated = serde_json::from_str(r#"{"status":"guessed","later":1}"#).unwrap();
    assert_eq!((later.status, later.amount), (CostStatus::Unknown, None));
    assert_eq!(CostCalculated::TYPE, "cost.calculated");
}
