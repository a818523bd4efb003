//! Views: rows, filters and details of events, as data and as lines.

use aichat_events::{
    Detail, EventRow, Filter, Level, LlmRequestRetried, LlmResponseFailed, SecretCount, SecretRedacted, Tab,
    Transcript, TurnFailed, View, WarningRaised, columns,
};
use aichat_message::{ErrorKind, Json};

use crate::log::Log;

fn log() -> Log {
    let mut log = Log::new();
    log.at(0).ask(1, None, "Why is\nthe sky \x1b[2Jblue? 漢字漢字").request(1);
    log.at(300).add(&LlmRequestRetried {
        attempt: 1,
        delay_ms: 500,
        kind: ErrorKind::RateLimited,
        message: "slow down".into(),
        status: Some(429),
    });
    log.at(800).request(2);
    log.at(1_000).first_chunk(200);
    log.at(3_000).responded(Some((12, 34))).say(1, "Because.\n\n```\nx\n```", false);
    log.add(&SecretRedacted { counts: vec![SecretCount { name: "openai".into(), count: 2 }] });
    log.add(&WarningRaised { text: "odd \u{202e}".into() });
    log.add_raw("later.happened", 1, Json::new(r#"{"z":1,"a":[12345678901234567890123]}"#).unwrap());
    log.at(3_001).complete(1);
    log
}

fn text(rows: &[EventRow], width: usize) -> String {
    let lines: Vec<String> = rows.iter().flat_map(|row| row.lines(width)).map(|line| line.text()).collect();
    assert!(lines.iter().all(|line| columns(line) <= width), "{lines:?}");
    lines.join("\n")
}

#[test]
fn every_event_is_a_row_that_says_what_happened() {
    let view = View::of(log().events);
    insta::assert_snapshot!(text(view.rows(), 100), @r#"
     1  00:00:00.000  turn.started                        openai/gpt
     2  00:00:00.000  message.user                        Why is the sky ␛[2Jblue? 漢字漢字
     3  00:00:00.000  llm.request.started                 gpt at localhost, 0 B
     4  00:00:00.300  llm.request.retried                 attempt 1 rate_limited (429), waits 500.0 …
     5  00:00:00.800  llm.request.started                 attempt 2, gpt at localhost, 0 B
     6  00:00:01.000  llm.response.first_chunk            first content after 200.0 ms
     7  00:00:03.000  llm.response.completed              came to its end, 12 in, 34 out
     8  00:00:03.000  message.assistant                   Because. ``` x ```
     9  00:00:03.000  secret.redacted                     openai ×2
    10  00:00:03.000  warning.raised                      odd �
    11  00:00:03.000  later.happened                      {"z":1,"a":[12345678901234567890123]}
    12  00:00:03.001  turn.completed                      came to its end
    "#);
    insta::assert_snapshot!(text(&view.rows()[..4], 40), @r"
    1 turn.started
      openai/gpt
    2 message.user
      Why is the sky ␛[2Jblue? 漢字漢字
    3 llm.request.started
      gpt at localhost, 0 B
    4 llm.request.retried
      attempt 1 rate_limited (429), wait…
    ");
    assert!(text(view.rows(), 200).contains(view.rows()[0].id.as_str()), "there is room for ids");
    assert_eq!(view.rows().iter().filter(|row| row.level == Level::Error).count(), 1);
}

#[test]
fn filters_let_through_what_they_say() {
    let view = View::of(log().events);
    let kinds = |filter: &Filter| {
        let shown = view.shown(None, filter);
        shown.iter().map(|at| view.rows()[*at].kind.as_str()).collect::<Vec<_>>().join(" ")
    };
    let of = |kind: &str| kinds(&Filter { kinds: vec![kind.to_owned()], ..Filter::default() });
    assert_eq!(of("message"), "message.user message.assistant");
    assert_eq!(
        (of("message.*"), of("messag"), of("")),
        (of("message"), String::new(), kinds(&Filter::default()))
    );
    assert_eq!(of("llm.response.completed"), "llm.response.completed");
    let said = |text: &str| kinds(&Filter { text: text.to_owned(), ..Filter::default() });
    assert_eq!(said("BECAUSE"), "message.assistant");
    assert_eq!(said("12345678901234567890123"), "later.happened");
    let errors = Filter { errors: true, ..Filter::default() };
    assert_eq!(kinds(&errors), "llm.request.retried warning.raised");
    assert!(Filter::default().is_empty() && !errors.is_empty());
    assert_eq!(view.shown(view.rows()[0].turn.as_ref(), &Filter::default()).len(), view.rows().len());
}

fn shown(detail: &Detail, tab: Tab) -> String {
    let lines: Vec<String> = detail.lines(tab, 60).iter().map(|line| line.text()).collect();
    assert!(
        lines.iter().all(|line| columns(line) <= 60 && !line.contains(['\x1b', '\u{202e}'])),
        "{lines:?}"
    );
    lines.join("\n")
}

#[test]
fn a_detail_has_everything_about_an_event() {
    let view = View::of(log().events);
    let of = |kind: &str| {
        let at = view.rows().iter().position(|row| row.kind == kind).unwrap();
        view.detail(at).unwrap()
    };
    insta::assert_snapshot!(shown(&of("message.user"), Tab::Rendered), @r"
message.user  event 2  2026-01-01 00:00:00.000Z
id          evt_040g2081040g2081
turn        trn_040g2081040g2081
call        cal_040g2081040g2081
writer      wrt_040g2081040g2081

Why is
the sky ␛[2Jblue? 漢字漢字
");
    insta::assert_snapshot!(shown(&of("llm.request.retried"), Tab::Rendered), @r"
    llm.request.retried  event 4  2026-01-01 00:00:00.300Z
    id          evt_0c1g60r30c1g60r3
    turn        trn_040g2081040g2081
    call        cal_040g2081040g2081
    writer      wrt_040g2081040g2081

    attempt: 1
    delay_ms: 500
    kind: rate_limited
    message: slow down
    status: 429
    ");
    insta::assert_snapshot!(shown(&of("later.happened"), Tab::Payload), @r#"
    {
      "z": 1,
      "a": [
        12345678901234567890123
      ]
    }
    "#);
    assert_eq!(shown(&of("later.happened"), Tab::Cost), "no cost was calculated for this call");
    let mut detail = of("llm.response.completed");
    assert_eq!(
        (shown(&detail, Tab::Request), shown(&detail, Tab::Causes)),
        ("not recorded".into(), "nothing led to it".into())
    );
    detail.response = Some("data: a\x1b\r\n\r\ndata: b".into());
    assert_eq!(shown(&detail, Tab::Response), "data: a␛\n\ndata: b");
    assert!(view.detail(view.rows().len()).is_none());
}

#[test]
fn what_was_erased_is_shown_as_erased() {
    let events = log().events;
    let view = View::of(events.iter().map(|event| event.erase()));
    assert!(view.rows().iter().all(|row| row.summary == "erased"));
    assert_eq!(shown(&view.detail(1).unwrap(), Tab::Payload), "the payload was erased");
    assert!(shown(&view.detail(1).unwrap(), Tab::Rendered).ends_with("the payload was erased"));
}

#[test]
fn rows_that_were_not_final_are_taken_back() {
    let events = log().events;
    let mut view = View::of(events.clone());
    view.truncate(3);
    view.extend(events[3..].iter().cloned());
    assert_eq!(view.rows(), View::of(events).rows());
}

#[test]
fn failures_say_what_and_why() {
    let mut log = Log::new();
    log.ask(1, None, "Why?").request(1).add(&LlmResponseFailed {
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
    let view = View::of(log.events);
    let said: Vec<_> =
        view.rows().iter().filter(|row| row.level == Level::Error).map(|row| row.summary.as_str()).collect();
    assert_eq!(said, ["transport: connection refused"; 2]);
}

#[test]
fn a_tree_shows_branches_and_their_names() {
    let mut log = Log::new();
    log.ask(1, None, "one").say(1, "uno\x1b", false).complete(1);
    log.ask(2, Some(3), "two").say(2, "due", true).complete(2);
    log.ask(3, Some(3), "three");
    let transcript = Transcript::fold(&log.events);
    let lines: Vec<String> = transcript.nodes().iter().map(|node| node.line().text()).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
- msg_081040g2081040g2 user: one
  msg_0c1g60r30c1g60r3 assistant: uno␛
  - msg_0g2081040g208104 user: two
  * msg_0m2ga1850m2ga185 assistant: due [cut off] [main]
  - msg_0r30c1g60r30c1g6 user: three
");
}
