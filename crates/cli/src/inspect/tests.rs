//! The inspector without a terminal: what is drawn, and that every key does what the help says.

use aichat_engine::Looked;
use aichat_events::{
    Draft, Event, Fact, Hash, Interruption, LlmRequestRetried, LlmRequestStarted, LlmResponseCompleted,
    LlmResponseFirstChunk, LlmResponseInterrupted, MessageAssistant, MessageUser, Salt, SessionCreated,
    SessionErased, SessionRow, Timing, Transcript, TurnCompleted, TurnInterrupted, TurnStarted, columns,
};
use aichat_message::{
    CallId, ErrorKind, EventId, Finish, FinishReason, Json, Message, MessageId, Protocol, SessionId, TurnId,
    Usage, WriterId,
};
use ratatui_core::backend::TestBackend;
use ratatui_core::style::{Color, Modifier};
use ratatui_core::terminal::Terminal;

use super::draw::draw;
use super::keys::{Key, hints};
use super::model::{Ask, Input, Model, Screen};

/// 2026-01-01 00:00:00 UTC in microseconds.
const EPOCH: i64 = 1_767_225_600_000_000;

fn session(n: u8) -> SessionId {
    SessionId::from_bits([n; 10])
}

fn message(n: u8) -> MessageId {
    MessageId::from_bits([n; 10])
}

/// Events whose ids count up and whose clock is set by hand.
#[derive(Default)]
struct Log {
    events: Vec<Event>,
    turn: Option<TurnId>,
    now_ms: u64,
}

impl Log {
    fn add<F: Fact>(&mut self, fact: &F) -> &mut Self {
        let n = u8::try_from(self.events.len()).unwrap();
        let call =
            self.turn.as_ref().filter(|_| F::TYPE.starts_with("llm.")).map(|_| CallId::from_bits([7; 10]));
        let draft = Draft {
            id: EventId::from_bits([n; 10]),
            session: session(1),
            ts: EPOCH + i64::try_from(self.now_ms).unwrap() * 1000,
            mono_us: self.now_ms * 1000,
            writer: WriterId::from_bits([3; 10]),
            kind: F::TYPE.into(),
            tv: F::VERSION,
            turn: self.turn.clone(),
            run: None,
            call,
            span: None,
            parent_span: None,
            cause: self.events.last().map(|event| event.id().clone()),
            salt: Salt([n; 16]),
            payload: Json::from_value(fact).unwrap(),
        };
        self.events.push(draft.seal(u64::from(n) + 1, &Hash::ZERO));
        self
    }

    fn at(&mut self, ms: u64) -> &mut Self {
        self.now_ms = ms;
        self
    }

    fn ask(&mut self, n: u8, text: &str) -> &mut Self {
        self.turn = Some(TurnId::from_bits([n; 10]));
        let model = "openai/gpt".to_owned();
        self.add(&TurnStarted {
            base: None,
            input: message(n * 2),
            model,
            scope: None,
            agent: None,
            mends: None,
        });
        let parent = (n > 1).then(|| message(n * 2 - 1));
        self.add(&MessageUser { id: message(n * 2), parent, message: Message::user(text) })
    }

    fn request(&mut self, attempt: u32) -> &mut Self {
        let started = format!(
            r#"{{"attempt":{attempt},"provider":"openai","protocol":"openai-chat","host":"localhost","model":"gpt","options":{{}},"stream":true,"messages":[],"body_hash":"{}","body_bytes":1234}}"#,
            Hash::ZERO
        );
        let started: LlmRequestStarted = serde_json::from_str(&started).unwrap();
        assert_eq!(started.protocol, Protocol::OpenaiChat);
        self.add(&started)
    }
}

fn stop() -> Finish {
    Finish { reason: FinishReason::Stop, raw: None }
}

fn log() -> Log {
    let mut log = Log::default();
    log.add(&SessionCreated { name: Some("sky".into()), ..SessionCreated::default() });
    log.at(1_000).ask(1, "Why is the sky blue? \x1b]0;owned\x07").request(1).at(1_200).add(
        &LlmRequestRetried {
            attempt: 1,
            delay_ms: 300,
            kind: ErrorKind::RateLimited,
            message: "slow down".into(),
            status: Some(429),
        },
    );
    log.at(1_500).request(2).at(1_900);
    log.add(&LlmResponseFirstChunk { first_byte_us: Some(100_000), first_content_us: 400_000 });
    let usage = Usage { input_tokens: Some(12), output_tokens: Some(345), ..Usage::default() };
    log.at(3_000).add(&LlmResponseCompleted {
        model: None,
        response_id: None,
        request_id: None,
        finish: stop(),
        usage: Some(usage),
        timing: Timing::default(),
        rate_limits: vec![],
    });
    let answer =
        "Because of Rayleigh scattering: 空が青いのは光が散乱するからです。\n\n- short waves\n- long waves";
    let answer = Message::assistant(answer);
    log.add(&MessageAssistant { id: message(3), parent: Some(message(2)), message: answer, partial: false });
    log.at(3_001).add(&TurnCompleted { answer: message(3), finish: stop() });
    log.at(60_000).ask(2, "And at night?").request(1).at(60_400);
    log.add(&LlmResponseFirstChunk { first_byte_us: None, first_content_us: 400_000 });
    log.at(61_000);
    log.add(&LlmResponseInterrupted { reason: Interruption::User, usage: None, timing: None, kept: None });
    let answer = Message::assistant("The sun");
    log.add(&MessageAssistant { id: message(5), parent: Some(message(4)), message: answer, partial: true });
    log.add(&TurnInterrupted { reason: Interruption::User, answer: Some(message(5)) });
    log
}

fn row(n: u8, name: Option<&str>, title: &str, status: &'static str) -> SessionRow {
    SessionRow {
        id: session(n),
        name: name.map(str::to_owned),
        title: Some(title.to_owned()),
        model: Some("openai/gpt-4.1-mini".to_owned()),
        turns: u64::from(n),
        branches: usize::from(n),
        tokens: (12_345, 345),
        calls_without_usage: u64::from(n % 2),
        cost: None,
        status: Some(status),
        updated_us: EPOCH - i64::from(n) * 3_600_000_000,
    }
}

fn begun(width: usize, height: usize) -> Model {
    let mut model = Model::new(EPOCH, width, height);
    assert_eq!(model.asks(), [Ask::Sessions]);
    model.update(Input::Sessions(vec![
        row(1, Some("sky"), "Why is the sky blue?", "interrupted"),
        row(2, None, "漢字の書き方を教えてください、できるだけ詳しく説明してください", "completed"),
        row(3, None, "\x1b[2J\u{202e}evil", "failed"),
    ]));
    model
}

fn opened(width: usize, height: usize) -> Model {
    let mut model = begun(width, height);
    press(&mut model, "⏎");
    assert_eq!(model.asks(), [Ask::Open(session(1))]);
    model.update(Input::Opened {
        session: session(1),
        looked: Looked { events: log().events, flying: vec![] },
    });
    model
}

/// Presses keys as the help writes them.
fn press(model: &mut Model, keys: &str) {
    for key in keys.split(' ').filter(|key| !key.is_empty()) {
        let key = match key {
            "⏎" => Key::Enter,
            "esc" => Key::Escape,
            "↑" => Key::Up,
            "↓" => Key::Down,
            "←" => Key::Left,
            "→" => Key::Right,
            "end" => Key::End,
            "home" => Key::Home,
            "pgdn" => Key::PageDown,
            "bs" => Key::Backspace,
            key => Key::Char(key.chars().next().unwrap()),
        };
        model.update(Input::Key(key));
        if let Some(Ask::Tree(session)) = model.asks.iter().find(|ask| matches!(ask, Ask::Tree(_))).cloned() {
            model.asks.retain(|ask| !matches!(ask, Ask::Tree(_)));
            let transcript = Box::new(Transcript::fold(&log().events));
            model.update(Input::Tree { session, transcript });
        }
    }
}

fn drawn(model: &Model) -> Terminal<TestBackend> {
    let (width, height) = (u16::try_from(model.width).unwrap(), u16::try_from(model.height).unwrap());
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(model, true, frame.buffer_mut())).unwrap();
    terminal
}

fn text(model: &Model) -> String {
    let terminal = drawn(model);
    let buffer = terminal.backend().buffer();
    let mut lines: Vec<String> = Vec::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(columns(symbol)).unwrap().max(1);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

#[test]
fn sessions_are_a_list() {
    insta::assert_snapshot!(text(&begun(80, 8)), @r"
    aichat                                                                3 sessions
      session                                  turns       tokens       cost     age
    ! sky                                          1     ≥12k/345          -     1 h
      ⑂2 “漢字の書き方を教えてください、でき…      2      12k/345          -     2 h
    ✗ ⑂3 “␛[2J�evil”                               3     ≥12k/345          -     3 h


    ⏎ open  ↑↓ move  / search  ? help  q quit
    ");
    insta::assert_snapshot!(text(&begun(40, 8)), @r"
    aichat                        3 sessions
      session                  turns     age
    ! sky                          1     1 h
      ⑂2 “漢字の書き方を教え…      2     2 h
    ✗ ⑂3 “␛[2J�evil”               3     3 h


    ⏎ open  ↑↓ move  ? help  q quit
    ");
    assert!(text(&Model::new(EPOCH, 80, 8)).contains("reading"));
}

#[test]
fn a_session_is_its_turns_and_the_waterfall_of_one() {
    let mut model = opened(80, 24);
    press(&mut model, "↑");
    insta::assert_snapshot!(text(&model), @r"
    aichat › sky                                                             2 turns
       # began (UTC)       ended            took       tokens  said
       1 2026-01-01 00:00  completed      2.00 s       12/345  Why is the sky blue?…
       2 2026-01-01 00:01  interrupted    1.00 s          ?/?  And at night?
    ── turn 1 ──────────────────────────────────────────────────────────────────────
    trn_040g2081040g2081  2026-01-01T00:00:01Z  completed 2.00 s  openai/gpt
      tokens: 12 in, 345 out  cost: unknown (1 call unpriced)
      request       │██                          │  200.0 ms  from 0 us
      retry         │  ◆                         │@ 200.0 ms
        attempt 1 rate_limited, waits 300.0 ms: slow down
      wait          │  ████                      │  300.0 ms  from 200.0 ms
      first byte    │      ██                    │  100.0 ms  from 500.0 ms
      first content │        ████                │  300.0 ms  from 600.0 ms
      stream        │            ███████████████ │    1.10 s  from 900.0 ms









    ⏎ events  a all events  b branches  esc back  ↑↓ move  ? help  q quit
    ");
    let mut model = opened(40, 24);
    press(&mut model, "↑");
    insta::assert_snapshot!(text(&model), @r"
    aichat › sky                     2 turns
       # ended            took  said
       1 completed      2.00 s  Why is the …
       2 interrupted    1.00 s  And at nigh…
    ── turn 1 ──────────────────────────────
    trn_040g2081040g2081
      2026-01-01T00:00:01Z  completed 2.00 s
      openai/gpt  tokens: 12 in, 345 out
      cost: unknown (1 call unpriced)
    request       │█             │  200.0 ms
    retry         │ ◆            │@ 200.0 ms
      attempt 1 rate_limited, waits 300.0
      ms: slow down
    wait          │ ██           │  300.0 ms
    first byte    │   █          │  100.0 ms
    first content │    ██        │  300.0 ms
    stream        │      ███████ │    1.10 s






    ⏎ events  a all events  ? help  q quit
    ");
}

#[test]
fn a_turn_is_its_events() {
    let mut model = opened(80, 16);
    press(&mut model, "↑ ⏎");
    insta::assert_snapshot!(text(&model), @r"
    aichat › sky › turn 1                                                   9 events
    all types
        2  00:00:01  turn.started              openai/gpt
        3  00:00:01  message.user              Why is the sky blue? ␛]0;owned␇
        4  00:00:01  llm.request.started       gpt at localhost, 1.2 kB
        5  00:00:01  llm.request.retried       attempt 1 rate_limited (429), waits …
        6  00:00:01  llm.request.started       attempt 2, gpt at localhost, 1.2 kB
        7  00:00:01  llm.response.first_chunk  first content after 400.0 ms
        8  00:00:03  llm.response.completed    came to its end, 12 in, 345 out
        9  00:00:03  message.assistant         Because of Rayleigh scattering: 空が…
       10  00:00:03  turn.completed            came to its end




    ⏎ detail  t type  e errors  esc back  / search  ↑↓ move  ? help  q quit
    ");
    model.update(Input::Resize(40, 16));
    insta::assert_snapshot!(text(&model), @r"
    aichat › sky › turn 1           9 events
    all types
       2 turn.started
         openai/gpt
       3 message.user
         Why is the sky blue? ␛]0;owned␇
       4 llm.request.started
         gpt at localhost, 1.2 kB
       5 llm.request.retried
         attempt 1 rate_limited (429), wait…
       6 llm.request.started
         attempt 2, gpt at localhost, 1.2 kB
       7 llm.response.first_chunk
         first content after 400.0 ms

    ⏎ detail  t type  ? help  q quit
    ");
}

#[test]
fn an_event_is_shown_in_tabs() {
    let mut model = opened(80, 18);
    press(&mut model, "↑ ⏎ / s c a t ⏎ ⏎");
    insta::assert_snapshot!(text(&model), @r"
    aichat › sky › turn 1 › event 9
    [rendered]  payload   request   response   cost   causes
    message.assistant  event 9  2026-01-01 00:00:03.000Z
    id          evt_1040g2081040g208
    turn        trn_040g2081040g2081
    cause       evt_0w3ge1r70w3ge1r7
    writer      wrt_0c1g60r30c1g60r3

    Because of Rayleigh scattering: 空が青いのは光が散乱するからです。

    - short waves
    - long waves





    ←→ tab  n next  p previous  esc back  ↑↓ scroll  / search  ? help  q quit
    ");
    press(&mut model, "→");
    insta::assert_snapshot!(text(&model), @r#"
    aichat › sky › turn 1 › event 9
     rendered  [payload]  request   response   cost   causes
    {
      "id": "msg_0c1g60r30c1g60r3",
      "parent": "msg_081040g2081040g2",
      "message": {
        "role": "assistant",
        "parts": [
          {
            "type": "text",
            "text": "Because of Rayleigh scattering:
    空が青いのは光が散乱するからです。\n\n- short waves\n- long waves"
          }
        ]
      },
      "partial": false
    }
    ←→ tab  n next  p previous  esc back  ↑↓ scroll  / search  ? help  q quit
    "#);
    press(&mut model, "← ←");
    insta::assert_snapshot!(text(&model), @r"
    aichat › sky › turn 1 › event 9
     rendered   payload   request   response   cost  [causes]
        8  00:00:03  llm.response.completed    came to its end, 12 in, 345 out
        7  00:00:01  llm.response.first_chunk  first content after 400.0 ms
        6  00:00:01  llm.request.started       attempt 2, gpt at localhost, 1.2 kB
        5  00:00:01  llm.request.retried       attempt 1 rate_limited (429), waits …
        4  00:00:01  llm.request.started       gpt at localhost, 1.2 kB
        3  00:00:01  message.user              Why is the sky blue? ␛]0;owned␇
        2  00:00:01  turn.started              openai/gpt
        1  00:00:00  session.created           sky







    ←→ tab  n next  p previous  esc back  ↑↓ scroll  / search  ? help  q quit
    ");
    press(&mut model, "→ → →");
    assert!(text(&model).contains("not recorded"));
    let seq = 10;
    let request = Some("{\"model\":\"gpt\"}\x1b[2J".to_owned());
    model.update(Input::Raw { seq: seq + 1, request: request.clone(), response: None });
    assert!(text(&model).contains("not recorded"), "what belongs to another event is not shown");
    model.update(Input::Raw { seq: 9, request, response: None });
    assert!(text(&model).contains("{\"model\":\"gpt\"}␛[2J"), "{}", text(&model));
}

#[test]
fn messages_are_a_tree() {
    let mut model = opened(80, 10);
    press(&mut model, "b");
    insta::assert_snapshot!(text(&model), @r"
    aichat › sky › branches                                               4 messages
    each below the message it follows
    - msg_081040g2081040g2 user: Why is the sky blue? ␛]0;owned␇
      msg_0c1g60r30c1g60r3 assistant: Because of Rayleigh scattering: 空が青いのは…
      msg_0g2081040g208104 user: And at night?
    * msg_0m2ga1850m2ga185 assistant: The sun [cut off] [main]



    ⏎ event  esc back  ↑↓ move  / search  ? help  q quit
    ");
    press(&mut model, "↓ ⏎");
    assert_eq!((model.screen, text(&model).contains("Rayleigh")), (Screen::Detail, true));
    press(&mut model, "esc");
    assert_eq!(model.screen, Screen::Tree);
}

#[test]
fn help_names_the_keys() {
    let mut model = opened(80, 24);
    press(&mut model, "?");
    insta::assert_snapshot!(text(&model), @r"
    aichat › sky                                                             2 turns
    here
    ⏎                 events
    a                 all events
    b                 branches
    esc               back
    ↑↓                move
    /                 search

    everywhere
    ↑ ↓, k j          one up, one down
    PgUp PgDn, space  a page up, a page down
    Home End, g G     to the first, to the last; at the last it goes on with what
                      happens
    / text ⏎          only what has the text in it; in a detail, to the next place;
                      esc ends it
    esc, ←            back
    q, Ctrl-C         quit

    ✗ failed  ! interrupted  … open, or not in the log yet  ≥ at least  ⑂ branches



    any key goes back, q quits
    ");
    let mut model = opened(40, 24);
    press(&mut model, "?");
    insta::assert_snapshot!(text(&model), @r"
    aichat › sky                     2 turns
    here
    ⏎                 events
    a                 all events
    b                 branches
    esc               back
    ↑↓                move
    /                 search

    everywhere
    ↑ ↓, k j          one up, one down
    PgUp PgDn, space  a page up, a page down
    Home End, g G     to the first, to the
                      last; at the last it
                      goes on with what
                      happens
    / text ⏎          only what has the text
                      in it; in a detail, to
                      the next place; esc
                      ends it
    esc, ←            back
    q, Ctrl-C         quit

    any key goes back, q quits
    ");
}

/// Every screen with a way to it.
fn screens(width: usize, height: usize) -> Vec<Model> {
    let mut models = vec![begun(width, height)];
    for keys in ["↑", "↑ ⏎", "↑ ⏎ ⏎", "b"] {
        let mut model = opened(width, height);
        press(&mut model, keys);
        models.push(model);
    }
    models
}

#[test]
fn every_key_that_is_named_works() {
    for (n, screen) in screens(80, 9).iter().map(|model| model.screen).enumerate() {
        for hint in hints(screen) {
            for key in hint
                .key
                .chars()
                .filter(|_| hint.key != "esc")
                .map(String::from)
                .chain((hint.key == "esc").then(|| "esc".to_owned()))
            {
                let mut model = screens(80, 9).remove(n);
                // A cursor in the middle can go both ways.
                if key == "↑" {
                    press(&mut model, "↓");
                }
                if key == "p" {
                    press(&mut model, "n");
                }
                let before = drawn(&model).backend().buffer().clone();
                model.asks();
                press(&mut model, &key);
                let asks = model.asks();
                let is_other = *drawn(&model).backend().buffer() != before || !asks.is_empty();
                assert!(is_other, "{screen:?}: {key} does not {}:\n{}", hint.does, text(&model));
                assert_eq!(asks.contains(&Ask::Quit), hint.does == "quit", "{screen:?}: {key}");
            }
        }
    }
}

#[test]
fn the_help_line_always_names_help_and_the_way_out() {
    for width in [20, 30, 40, 60, 80] {
        for model in screens(width, 12) {
            let text = text(&model);
            let last = text.lines().last().unwrap();
            assert!(last.contains("? help") && last.contains("q quit"), "{width}: {last}");
        }
    }
}

#[test]
fn nothing_breaks_at_any_size() {
    for width in [1, 2, 5, 20, 39, 40, 63, 64, 71, 72, 131, 200] {
        for height in [1, 2, 3, 4, 7, 24, 60] {
            for mut model in screens(width, height) {
                drawn(&model);
                press(&mut model, "end home ↓ pgdn ? x / a bs esc");
                drawn(&model);
            }
        }
    }
}

#[test]
fn hostile_text_steers_nothing() {
    for width in [40, 80, 200] {
        for model in screens(width, 24) {
            let text = text(&model);
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
            assert!(!text.contains('\u{202e}'), "{text}");
        }
    }
}

#[test]
fn colours_say_how_it_went_and_only_where_they_are_wanted() {
    let model = begun(80, 8);
    let terminal = drawn(&model);
    let cell = |y| &terminal.backend().buffer()[(0, y)];
    assert_eq!((cell(2).fg, cell(4).fg), (Color::Yellow, Color::Red));
    assert!(cell(2).modifier.contains(Modifier::REVERSED), "the cursor is seen without colours");
    let mut plain = Terminal::new(TestBackend::new(80, 8)).unwrap();
    plain.draw(|frame| draw(&model, false, frame.buffer_mut())).unwrap();
    assert!(plain.backend().buffer().content().iter().all(|cell| cell.fg == Color::Reset));
}

#[test]
fn searches_leave_out_what_does_not_match_and_escape_ends_them() {
    let mut model = begun(80, 8);
    press(&mut model, "/ S K Y");
    assert!(text(&model).contains("1 of 3 sessions") && text(&model).contains("/SKY▏"), "{}", text(&model));
    press(&mut model, "x");
    assert!(text(&model).contains("no session has that text"));
    press(&mut model, "bs ⏎ ⏎");
    assert_eq!(model.asks(), [Ask::Open(session(1))]);
    press(&mut model, "esc");
    assert!(text(&model).contains(" 3 sessions"));

    let mut model = opened(80, 24);
    press(&mut model, "a / d e l t a ⏎");
    assert!(text(&model).contains("no event is like that"));
    press(&mut model, "/ esc e");
    assert!(text(&model).contains("3 of 17 events"), "{}", text(&model));
    press(&mut model, "e t t");
    assert!(text(&model).contains("type turn") && text(&model).contains("4 of 17"), "{}", text(&model));
}

#[test]
fn who_is_at_the_end_goes_on_with_what_happens() {
    let all = log().events;
    let mut model = begun(80, 10);
    model.open(session(1));
    let looked = Looked { events: all[..10].to_vec(), flying: all[10..13].to_vec() };
    model.update(Input::Opened { session: session(1), looked });
    press(&mut model, "a end");
    assert!(text(&model).contains("… "), "what is in flight has no place: {}", text(&model));
    model.asks();
    model.update(Input::Tick { now_us: EPOCH, news: true });
    assert_eq!(model.asks(), [Ask::Sessions, Ask::News(session(1), 10)]);
    let news = || Looked { events: all[10..].to_vec(), flying: vec![] };
    model.update(Input::News { session: session(1), after: 10, looked: news() });
    assert!(
        text(&model).contains("17 events") && text(&model).contains("turn.interrupted"),
        "{}",
        text(&model)
    );
    model.update(Input::News { session: session(1), after: 10, looked: news() });
    assert!(text(&model).contains("17 events"), "what comes twice is taken once");
    press(&mut model, "home");
    let top = text(&model);
    model.update(Input::News { session: session(1), after: 17, looked: Looked::default() });
    assert_eq!(text(&model), top, "whoever reads is left alone");
}

#[test]
fn what_was_erased_leaves_the_screen() {
    let mut model = opened(80, 24);
    press(&mut model, "↑ ⏎ ⏎");
    model.asks();
    let mut log = log();
    log.turn = None;
    log.add(&SessionErased {});
    let news = Looked { events: log.events[17..].to_vec(), flying: vec![] };
    model.update(Input::News { session: session(1), after: 17, looked: news });
    assert_eq!(model.asks(), [Ask::Open(session(1))]);
    let erased = log.events.iter().map(Event::erase).collect();
    model.update(Input::Opened { session: session(1), looked: Looked { events: erased, flying: vec![] } });
    press(&mut model, "a");
    assert!(!text(&model).contains("sky blue") && text(&model).contains("erased"), "{}", text(&model));
}

#[test]
fn what_fails_is_said_until_the_next_key() {
    let mut model = begun(80, 8);
    model.update(Input::Failed("the store is held by process 7".to_owned()));
    assert!(text(&model).contains("held by process 7"));
    press(&mut model, "↓");
    assert!(!text(&model).contains("held by process 7"));
}

#[test]
fn escape_is_not_lost_where_the_next_key_comes_at_once() {
    use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    let known = |code, modifiers| super::known(KeyEvent::new(code, modifiers));
    assert_eq!(known(KeyCode::Enter, KeyModifiers::ALT), [Key::Escape, Key::Enter]);
    assert_eq!(known(KeyCode::Char('a'), KeyModifiers::ALT), [Key::Escape, Key::Char('a')]);
    assert_eq!(known(KeyCode::Esc, KeyModifiers::NONE), [Key::Escape]);
    assert_eq!(known(KeyCode::Char('c'), KeyModifiers::CONTROL), [Key::Interrupt]);
    assert_eq!(known(KeyCode::Char('a'), KeyModifiers::CONTROL), []);
}
