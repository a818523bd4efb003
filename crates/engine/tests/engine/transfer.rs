//! Export and import: the same bytes come out again, and a wrong file leaves nothing behind.

use std::io::{self, Read};

use aichat_engine::{Document, Engine, Export, ExportForm, Fork, Imported, Rejected, Send, attach};
use aichat_events::{Draft, Event, Hash, Salt};
use aichat_message::{ErrorKind, EventId, Json, Message, SessionId, WriterId};
use aichat_providers::{Error, Scripted, Turn};
use aichat_store::{Memory, Sled, Store};
use futures::StreamExt;

use crate::support::{assert_rebuilds, engine, export as lines, model, projections, say};

const FORMS: [ExportForm; 2] = [ExportForm::Jsonl, ExportForm::Json];

pub(crate) async fn import(engine: &Engine, input: impl AsRef<[u8]>) -> Vec<Result<Imported, Rejected>> {
    engine.import_from(io::Cursor::new(input.as_ref().to_vec())).collect().await
}

/// Why the one session of a file is refused.
async fn refused(engine: &Engine, input: impl AsRef<[u8]>) -> String {
    let mut done = import(engine, input).await;
    assert_eq!(done.len(), 1, "{done:?}");
    let refused = done.remove(0).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::Input);
    refused.to_string()
}

/// A picture, as far as its first bytes say.
fn picture() -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 100_000]].concat()
}

/// Fills a store with everything that a session may hold.
async fn lived(store: &(impl Store + Clone + 'static)) -> (Engine, Vec<SessionId>) {
    let cut = Turn::new().say("half an ans").fail(Error::new(ErrorKind::Truncated, "cut"));
    let refusal = Turn::refused(Error::new(ErrorKind::Auth, "refused").with_status(401));
    let turns = [Turn::text("uno"), cut, refusal, Turn::text("due"), Turn::text("gone"), Turn::text("seen")];
    let here = engine(store, &Scripted::new(turns));
    let first = say(&here, None, "one \u{1f600}\n\"two\"\u{2028}\u{7}").await.session;
    for text in ["partial", "failed", "goes on"] {
        say(&here, Some(&first), text).await;
    }
    here.rename(&first, Some("first name")).await.unwrap();
    here.rename(&first, Some("kept")).await.unwrap();
    let gone = say(&here, None, "to be deleted").await.session;
    here.delete(&gone).await.unwrap();
    let mut message = Message::user("what is it?");
    message.parts.push(attach("a.png", &picture()).unwrap());
    message.parts.push(attach("b.png", &picture()).unwrap());
    let mut send = Send::new(model(), "");
    send.message = message;
    let seen = here.send(send).await.unwrap().outcome().await.unwrap().session;
    let empty = here.create(None, Some(&model()), Some("tty")).await.unwrap();
    let later =
        append(&lines(&here, &empty).await, "later.happened", r#"{"n":18446744073709551616,"b":1.0e+3}"#);
    assert_eq!(import(&here, later).await[0].as_ref().unwrap().added, 1);
    (here, vec![first, gone, seen, empty])
}

/// Appends an event to an export of one session.
fn append(export: &str, kind: &str, payload: &str) -> String {
    let document = Document::parse(export).unwrap();
    let last = document.events().last().unwrap();
    let draft = Draft {
        id: EventId::from_bits(last.hash().0[..10].try_into().unwrap()),
        session: last.session().clone(),
        ts: last.ts() + 1,
        mono_us: 1,
        writer: WriterId::from_bits([9; 10]),
        kind: kind.into(),
        tv: 1,
        turn: None,
        run: None,
        call: None,
        span: None,
        parent_span: None,
        cause: None,
        salt: Salt([5; 16]),
        payload: Json::new(payload).unwrap(),
    };
    with(document.events(), &draft.seal(last.seq() + 1, last.hash()))
}

/// Writes events and one more as an export.
pub(crate) fn with(events: &[Event], last: &Event) -> String {
    let session = last.session();
    let mut text =
        format!("{{\"schema\":\"aichat.session/1\",\"kind\":\"head\",\"session\":\"{session}\"}}\n");
    for event in events.iter().chain([last]) {
        text.push_str(event.line());
        text.push('\n');
    }
    text + &tail(last.seq(), last.hash())
}

fn tail(events: u64, head: &Hash) -> String {
    format!("{{\"schema\":\"aichat.session/1\",\"kind\":\"tail\",\"events\":{events},\"head\":\"{head}\"}}\n")
}

/// Carries everything from one store to another, in both forms, and compares the bytes.
async fn carries<A, B>(from: A, to: impl Fn() -> B)
where
    A: Store + Clone + 'static,
    B: Store + Clone + 'static,
{
    let (here, sessions) = lived(&from).await;
    for form in FORMS {
        let all = Export::of(sessions.clone()).form(form);
        let text = here.export(all.clone()).text().await.unwrap();
        let store = to();
        let there = engine(&store, &Scripted::echo());
        let done = import(&there, &text).await;
        let done: Vec<Imported> = done.into_iter().map(Result::unwrap).collect();
        assert_eq!(done.iter().map(|one| one.session.clone()).collect::<Vec<_>>(), sessions);
        assert!(done.iter().all(|one| one.added == one.events && one.lossless), "{done:?}");
        assert!(there.export(all.clone()).text().await.unwrap() == text, "{form:?}");
        let (before, blobs) = (projections(&store).await, store.blobs(None, 9).await.unwrap());
        assert_eq!((blobs.len(), blobs[0].size), (1, picture().len() as u64), "an attachment is kept once");

        let again = import(&there, &text).await;
        assert!(again.into_iter().all(|one| one.is_ok_and(|one| one.added == 0 && one.lossless)));
        assert!(projections(&store).await == before && store.blobs(None, 9).await.unwrap() == blobs);
        assert!(there.export(all).text().await.unwrap() == text, "twice changes nothing");

        assert!(projections(&from).await == before);
        assert_rebuilds(&there, &store).await;
        for session in &sessions {
            assert_eq!(there.verify(session).await.unwrap().fault, None);
            let transcript = here.transcript(session).await.unwrap();
            assert_eq!(there.transcript(session).await.unwrap(), transcript);
            let one = there.export(Export::of([session.clone()]).form(form)).text().await.unwrap();
            assert!(here.export(Export::of([session.clone()]).form(form)).text().await.unwrap() == one);
        }
        assert_eq!(there.resolve("kept").await.unwrap(), sessions[0]);
        assert_eq!(there.page(&sessions).await.unwrap(), here.page(&sessions).await.unwrap());
        say(&there, Some(&sessions[0]), "goes on").await;
    }
}

#[tokio::test]
async fn what_is_exported_is_exported_alike_where_it_was_imported() {
    carries(Memory::new(), Memory::new).await;
}

#[tokio::test]
async fn stores_of_different_kinds_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let made = std::cell::Cell::new(0);
    let sled = || {
        made.set(made.get() + 1);
        Sled::at(dir.path().join(made.get().to_string()))
    };
    carries(sled(), Memory::new).await;
    carries(Memory::new(), sled).await;
}

#[tokio::test]
async fn a_page_shows_the_pictures_that_are_kept() {
    let (here, sessions) = lived(&Memory::new()).await;
    let page = here.page(&sessions).await.unwrap();
    assert_eq!(page.matches("<img alt=").count(), 2);
    for text in ["half an ans", "test-1: refused (status 401)", "test-1: cut", "cut off here"] {
        assert!(page.contains(text), "{text}: {}", &page[page.find("<section>").unwrap()..]);
    }
}

#[tokio::test]
async fn an_export_of_what_is_not_there_fails() {
    let here = engine(&Memory::new(), &Scripted::echo());
    let nobody = SessionId::from_bits([1; 10]);
    for form in FORMS {
        let error = here.export(Export::of([nobody.clone()]).form(form)).text().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
    }
    assert_eq!(here.export(Export::of([])).text().await.unwrap(), "");
    assert_eq!(here.export(Export::of([]).form(ExportForm::Json)).text().await.unwrap(), "[\n]\n");
}

#[tokio::test]
async fn a_session_that_went_another_way_is_refused() {
    let (a, b) = (Memory::new(), Memory::new());
    let here = engine(&a, &Scripted::echo());
    let there = engine(&b, &Scripted::echo());
    let session = say(&here, None, "same").await.session;
    let shorter = lines(&here, &session).await;
    import(&there, &shorter).await.remove(0).unwrap();
    say(&here, Some(&session), "left").await;
    let longer = lines(&here, &session).await;
    let extended = import(&engine(&b, &Scripted::echo()), &longer).await.remove(0).unwrap();
    assert!(extended.added > 0 && extended.added < extended.events);
    let known = import(&there, &shorter).await.remove(0).unwrap();
    assert_eq!((known.added, known.events), (0, extended.events), "a shorter one changes nothing");
    assert_eq!(lines(&there, &session).await, longer);

    let c = Memory::new();
    let elsewhere = engine(&c, &Scripted::echo());
    import(&elsewhere, &shorter).await.remove(0).unwrap();
    say(&elsewhere, Some(&session), "right").await;
    let before = lines(&elsewhere, &session).await;
    let why = refused(&elsewhere, &longer).await;
    assert!(why.contains("is here already and differs from event"), "{why}");
    assert_eq!(lines(&elsewhere, &session).await, before);
}

#[tokio::test]
async fn what_was_deleted_does_not_come_back_and_a_deleted_export_is_known_again() {
    let here = engine(&Memory::new(), &Scripted::echo());
    let session = say(&here, None, "one").await.session;
    let before = lines(&here, &session).await;
    here.delete(&session).await.unwrap();
    let after = lines(&here, &session).await;
    assert!(refused(&here, &before).await.contains("was deleted"));
    assert_eq!(import(&here, &after).await.remove(0).unwrap().added, 0);
    let there = engine(&Memory::new(), &Scripted::echo());
    import(&there, &after).await.remove(0).unwrap();
    assert!(there.list(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_erased_export_holds_nothing_of_what_was_said_and_still_verifies() {
    let (here, sessions) = lived(&Memory::new()).await;
    let erased = here.export(Export::of(sessions.clone()).erased()).text().await.unwrap();
    assert!(
        !erased.contains("partial\"") && !erased.contains("base64") && !erased.contains("two"),
        "{erased}"
    );
    let there = engine(&Memory::new(), &Scripted::echo());
    for one in import(&there, &erased).await {
        let one = one.unwrap();
        assert!(!one.lossless && one.erased == one.events && one.missing_blobs.is_empty());
        assert_eq!(there.verify(&one.session).await.unwrap().fault, None);
    }
    assert_eq!(there.export(Export::of(sessions)).text().await.unwrap(), erased);
}

#[tokio::test]
async fn a_blob_that_is_missing_is_reported_and_comes_with_the_next_import() {
    let (here, sessions) = lived(&Memory::new()).await;
    let whole = lines(&here, &sessions[2]).await;
    let without: Vec<&str> = whole.lines().filter(|line| !line.contains("\"kind\":\"blob\"")).collect();
    let store = Memory::new();
    let there = engine(&store, &Scripted::echo());
    for _ in 0..2 {
        let done = import(&there, without.join("\n")).await.remove(0).unwrap();
        assert_eq!((done.missing_blobs.len(), done.lossless), (1, false));
    }
    assert_eq!(lines(&there, &sessions[2]).await.lines().collect::<Vec<_>>(), without);
    let healed = import(&there, &whole).await.remove(0).unwrap();
    assert_eq!((healed.added, healed.lossless), (0, true));
    assert_eq!(lines(&there, &sessions[2]).await, whole);
}

#[tokio::test]
async fn a_fork_brings_what_it_shares_along_and_no_more() {
    let here = engine(&Memory::new(), &Scripted::echo());
    let first = say(&here, None, "one").await.session;
    let second = here.fork(&first, &Fork { name: Some("second".into()), ..Fork::default() }).await.unwrap();
    say(&here, Some(&first), "not shared").await;
    say(&here, Some(&second), "two").await;
    let third = here.fork(&second, &Fork::default()).await.unwrap();
    say(&here, Some(&third), "three").await;
    let whole = lines(&here, &first).await;
    for form in FORMS {
        let export = Export::of([third.clone()]).form(form);
        let text = here.export(export.clone()).text().await.unwrap();
        assert!(!text.contains("not shared") && text.contains("two"), "{text}");
        let there = engine(&Memory::new(), &Scripted::echo());
        for _ in 0..2 {
            let done = import(&there, &text).await;
            let came: Vec<_> = done.into_iter().map(|one| one.unwrap().session).collect();
            assert_eq!(came, [first.clone(), second.clone(), third.clone()]);
            assert!(there.export(export.clone()).text().await.unwrap() == text, "{form:?}");
        }
        assert_eq!(there.transcript(&third).await.unwrap(), here.transcript(&third).await.unwrap());
        let longer = import(&there, &whole).await.remove(0).unwrap();
        assert!(longer.added > 0 && longer.added < longer.events);
        assert!(import(&there, &text).await.into_iter().all(|one| one.unwrap().added == 0));
        assert!(there.export(export).text().await.unwrap() == text, "{form:?}");
        assert_eq!(lines(&there, &first).await, whole);
    }
}

#[tokio::test]
async fn blobs_must_be_what_they_are_called_and_referred_to() {
    let (here, sessions) = lived(&Memory::new()).await;
    let whole = lines(&here, &sessions[2]).await;
    let blob = whole.lines().find(|line| line.contains("\"kind\":\"blob\"")).unwrap();
    let hash = blake3::hash(&picture()).to_hex().to_string();
    assert!(blob.contains(&hash));
    let store = Memory::new();
    let there = engine(&store, &Scripted::echo());
    let with = |text: &str| whole.replacen(blob, text, 1);
    let other = blake3::hash(b"other").to_hex().to_string();
    for (text, why) in [
        (with(&blob.replacen(&hash, "../../../../etc/passwd", 1)), "64 hex digits"),
        (with(&blob.replacen(&hash, &hash.to_uppercase(), 1)), "64 hex digits"),
        (with(&blob.replacen(&hash, &format!("../{hash}"), 1)), "64 hex digits"),
        (with(&blob.replacen(&hash, &other, 1)), "do not have that hash"),
        (with(&blob.replacen("base64\":\"", "base64\":\"!", 1)), "is not base64"),
        (with(&format!("{blob}\n{blob}")), "comes twice"),
        (with(&blob.replacen("base64", "base65", 1)), "does not have a hash and its bytes"),
        (
            with(&format!(
                "{blob}\n{{\"schema\":\"aichat.session/1\",\"kind\":\"blob\",\"hash\":\"{other}\",\"base64\":\"b3RoZXI=\"}}"
            )),
            "nothing in it refers to blob",
        ),
    ] {
        let said = refused(&there, &text).await;
        assert!(said.contains(why), "{said}");
    }
    assert!(there.sessions().await.unwrap().is_empty() && store.blobs(None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn one_bad_session_is_refused_and_the_others_are_taken_in() {
    let here = engine(&Memory::new(), &Scripted::echo());
    let mut sessions = Vec::new();
    for text in ["first", "the prompt", "third"] {
        sessions.push(say(&here, None, text).await.session);
    }
    for form in FORMS {
        let text = here.export(Export::of(sessions.clone()).form(form)).text().await.unwrap();
        let line = 1 + text.lines().position(|line| line.contains("the prompt")).unwrap() as u64;
        let there = engine(&Memory::new(), &Scripted::echo());
        let mut done = import(&there, text.replace("the prompt", "the PROMPT")).await;
        assert_eq!(done.len(), 3);
        let refused = done.remove(1).unwrap_err();
        assert_eq!((refused.line, refused.session.as_ref()), (line, Some(&sessions[1])));
        assert!(refused.error.to_string().starts_with("event 3 has a payload"), "{refused}");
        let taken: Vec<_> = done.into_iter().map(|one| one.unwrap().session).collect();
        assert_eq!(taken, [sessions[0].clone(), sessions[2].clone()]);
        assert_eq!(there.sessions().await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn line_ends_marks_and_blanks_around_lines_do_not_matter() {
    let here = engine(&Memory::new(), &Scripted::echo());
    let session = say(&here, None, "one").await.session;
    let text = lines(&here, &session).await;
    let json = here.export(Export::of([session.clone()]).form(ExportForm::Json)).text().await.unwrap();
    let compact = json.replace('\n', "");
    for form in [
        format!("\u{feff}{text}"),
        text.replace('\n', "\r\n"),
        text.replace('\n', "\n\n \t\n"),
        text.trim_end().to_owned(),
        format!("\u{feff}\r\n{json}\r\n"),
        json.replace("\n", " \r\n\t"),
        compact.clone(),
        format!("[{compact}]"),
        format!("\n [ {json} , {json} ] \n"),
        format!("{json}{json}"),
        format!("{compact}\n{compact}\n{text}"),
    ] {
        let there = engine(&Memory::new(), &Scripted::echo());
        let done = import(&there, &form).await;
        assert!(!done.is_empty() && done.iter().all(Result::is_ok), "{form}: {done:?}");
        assert_eq!(lines(&there, &session).await, text);
    }
}

#[tokio::test]
async fn hostile_files_are_refused_with_the_reason_and_leave_nothing_behind() {
    let here = engine(&Memory::new(), &Scripted::echo());
    let session = say(&here, None, "the prompt").await.session;
    let text = lines(&here, &session).await;
    let json = here.export(Export::of([session.clone()]).form(ExportForm::Json)).text().await.unwrap();
    let all: Vec<&str> = text.lines().collect();
    let (last, events) = (all.len() - 1, Document::parse(&text).unwrap().events().to_vec());
    let joined = |lines: &[&[&str]]| lines.concat().join("\n");
    let other = say(&here, None, "another").await.session;
    let foreign = lines(&here, &other).await;
    let twice = {
        let (first, head) = (&events[0], events.last().unwrap());
        let mut draft: serde_json::Value = serde_json::from_str(first.line()).unwrap();
        draft["payload"] = serde_json::json!({});
        let draft: Draft = serde_json::from_value(draft).unwrap();
        with(&events, &draft.seal(head.seq() + 1, head.hash()))
    };
    let nested = |depth: usize| {
        append(&text, "later.happened", &format!("{}{}", "[".repeat(depth), "]".repeat(depth)))
    };
    let bytes = |mark: &[u8]| [mark, text.as_bytes()].concat();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "the file is empty"),
        (b" \n\n".to_vec(), "the file is empty"),
        (b"{}".to_vec(), "is no export of a session"),
        (b"{}\n".repeat(100_000), "is no export of a session"),
        (b"[1,2]".to_vec(), "is no export of a session"),
        (b"[{}]".to_vec(), "is no export of a session"),
        (b"hello".to_vec(), "is no export of a session"),
        (b"null".to_vec(), "is no export of a session"),
        (b"\x1f\x8b\x08\0rest".to_vec(), "compressed (gzip); unpack it first"),
        (b"PK\x03\x04rest".to_vec(), "compressed (zip); unpack it first"),
        (b"\x28\xb5\x2f\xfdrest".to_vec(), "compressed (zstd); unpack it first"),
        (b"\xff\xfe{\0}\0".to_vec(), "UTF-16"),
        (bytes(b"garbage\n"), "is no export of a session"),
        (text.replacen("the prompt", "the \u{1}prompt", 1).into(), "is not hash, salt and payload"),
        (text.replace("aichat.session/1", "aichat.session/9").into(), "aichat.session/9"),
        (json.replace("aichat.session/1", "aichat.session/9").into(), "aichat.session/9"),
        (text.replace("the prompt", "the PROMPT").into(), "has a payload that does not match its hash"),
        (json.replace("the prompt", "the PROMPT").into(), "has a payload that does not match its hash"),
        (joined(&[&all[..last]]).into(), "it is cut off: its last line"),
        (joined(&[&all[..3], &all[4..]]).into(), "does not follow the event before it"),
        (joined(&[&all[..3], &all[2..]]).into(), "does not follow the event before it"),
        (joined(&[&all[..2], &[all[3], all[2]], &all[4..]]).into(), "does not follow the event before it"),
        (joined(&[&all[1..]]).into(), "is no export of a session"),
        (joined(&[&all[..], &[all[last]]]).into(), "more follows its last line"),
        (joined(&[&all[..], &["{}"]]).into(), "more follows its last line"),
        (joined(&[&all[..1], &foreign.lines().skip(1).collect::<Vec<_>>()]).into(), "belongs to session"),
        (joined(&[&all[..last], &[tail(2, events[1].hash()).trim()]]).into(), "it holds 9 events and says"),
        (joined(&[&all[..last], &[tail(9, events[1].hash()).trim()]]).into(), "does not have the hash"),
        (joined(&[&all[..1], &[all[last]]]).into(), "it holds no events"),
        (
            joined(&[&all[..1], &["{\"schema\":\"aichat.session/1\",\"kind\":\"later\"}"], &all[1..]]).into(),
            "later",
        ),
        (text.replacen("\"seq\":1,", "\"seq\":18446744073709551617,", 1).into(), "does not read at column"),
        (text.replacen("\"events\":9", "\"events\":18446744073709551616", 1).into(), "the number of events"),
        (text.replacen("\"session\":\"ses_", "\"session\":\"../../etc/passwd", 1).into(), "names no session"),
        (json.replacen("\"session\":\"ses_", "\"session\":\"../../etc/passwd", 1).into(), "its id is none"),
        (json[..json.len() / 2].into(), "the file is cut off"),
        (json[..json.len() - 3].into(), "the file is cut off"),
        (format!("[{json}").into(), "the file is cut off"),
        (format!("{json}]").into(), "no other session"),
        (format!("{json}garbage").into(), "no other session"),
        (
            json.replacen("\"blobs\":[]", "\"blobs\":[{\"hash\":\"../x\",\"base64\":\"\"}]", 1).into(),
            "64 hex digits",
        ),
        (json.replacen("\"documents\":[]", "\"documents\":[{}]", 1).into(), "documents"),
        (json.replacen("\"head\"", "\"tail\"", 1).into(), "does not give the hash"),
        (twice.into(), "of an event before it"),
        (nested(257).into(), "nested deeper than 256 levels"),
        (
            format!("{}{}", joined(&[&all[..3]]), "[".repeat(1_000_000)).into(),
            "nested deeper than 256 levels",
        ),
        (format!("{{\"schema\":{}", "[".repeat(1_000_000)).into(), "nested deeper than 256 levels"),
        (
            bytes(
                &[&b"{\"schema\":\"aichat.session/1\",\"kind\":\"head\""[..], &b" ".repeat(9_000)].concat(),
            ),
            "",
        ),
    ];
    let store = Memory::new();
    let there = engine(&store, &Scripted::echo());
    for (input, why) in cases {
        let said = refused(&there, &input).await;
        assert!(said.contains(why), "{why}: {said}");
    }
    let mut invalid = text.clone().into_bytes();
    let at = text.find("the prompt").unwrap();
    invalid[at] = 0xff;
    assert!(refused(&there, &invalid).await.contains("is not UTF-8 text (byte"));
    assert!(there.sessions().await.unwrap().is_empty() && projections(&store).await.is_empty());
    assert!(import(&there, nested(256)).await.remove(0).is_ok(), "as deep as is allowed");
}

#[tokio::test]
async fn an_event_that_is_here_in_another_session_is_refused() {
    let here = engine(&Memory::new(), &Scripted::echo());
    let session = say(&here, None, "one").await.session;
    let events = Document::parse(&lines(&here, &session).await).unwrap().events().to_vec();
    let mut draft: serde_json::Value = serde_json::from_str(events[0].line()).unwrap();
    draft["session"] = SessionId::from_bits([9; 10]).as_str().into();
    let draft: Draft = serde_json::from_value(draft).unwrap();
    let why = refused(&here, with(&[], &draft.seal(1, &Hash::ZERO))).await;
    assert!(why.contains(&format!("is here already, in session {session}")), "{why}");
    assert_eq!(here.sessions().await.unwrap(), [session]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_on_is_refused_from_there() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let here = engine(&Memory::new(), &Scripted::echo());
    let sessions = [say(&here, None, "one").await.session, say(&here, None, "two").await.session];
    let text = here.export(Export::of(sessions.clone())).text().await.unwrap();
    let cut = text.len() - 10;
    let there = engine(&Memory::new(), &Scripted::echo());
    let input = io::Cursor::new(text.into_bytes()).take(cut as u64).chain(Broken);
    let done: Vec<_> = there.import_from(input).collect().await;
    let why = done[1].as_ref().unwrap_err().to_string();
    assert!(done.len() == 2 && done[0].is_ok() && why.contains("cannot be read: gone"), "{done:?}");
    assert_eq!(there.sessions().await.unwrap(), sessions[..1]);
}
