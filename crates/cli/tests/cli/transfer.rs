//! Export and import: several sessions at once, what is refused, and a page for a browser.

use std::io::Read;

use serde_json::Value;

use crate::common::Home;

fn lived() -> Home {
    let home = Home::new();
    for line in [
        "send -s one -m openai/echo eins",
        "send -s two -m openai/echo zwei",
        "send -s two drei",
        "send -s three -m openai/echo vier",
    ] {
        assert_eq!(home.run(line).code, 0);
    }
    home
}

fn export(home: &Home, args: &str) -> String {
    let done = home.run(&format!("sessions export {args}"));
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    done.out
}

#[test]
fn several_sessions_go_out_and_come_in() {
    let home = lived();
    let all = export(&home, "--all");
    assert_eq!(all.matches("\"kind\":\"head\"").count(), 3);
    let each: String = ["three", "two", "one"].map(|name| export(&home, name)).concat();
    assert_eq!(all, each, "in the order of the list");
    assert_eq!(export(&home, "three two one two"), all, "each once");
    assert_eq!(export(&home, "--all --since 1h"), all);
    assert_eq!(export(&home, "--all --since 2020-01-01"), all);
    assert_eq!(export(&home, "--all --since 2999-01-01T00:00:00Z"), "");
    let json = export(&home, "--all --format json");
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap().as_array().unwrap().len(), 3);
    for text in [&all, &json] {
        let other = Home::new();
        let imported = other.pipe("sessions import -", text.as_bytes());
        assert_eq!(imported.code, 0, "{}", imported.err);
        assert_eq!((imported.out.lines().count(), imported.out.starts_with("ses_")), (3, true));
        assert_eq!(imported.err, "3 taken in, 0 here already, 0 refused\n");
        assert_eq!(export(&other, "three two one"), all);
        let again = other.pipe("sessions import - -q", text.as_bytes());
        assert_eq!((again.code, again.err.as_str()), (0, ""));
        assert_eq!(export(&other, "three two one"), all);
    }
    for misuse in ["sessions export", "sessions export one --all", "sessions export one --since 1d"] {
        assert_eq!(home.run(misuse).code, 2, "{misuse}");
    }
    assert_eq!(home.run("sessions export --all --since later").code, 2);
    assert_eq!(home.run("sessions export one nobody").code, 66);
}

#[test]
fn what_is_refused_is_named_and_the_rest_is_taken_in() {
    let home = lived();
    let (one, two, three) = (export(&home, "one"), export(&home, "two"), export(&home, "three"));
    let mixed = format!("{one}{}{three}", two.replacen("drei", "dreI", 1));
    let other = Home::new();
    std::fs::write(other.path().join("mixed.jsonl"), mixed).unwrap();
    std::fs::write(other.path().join("packed.gz"), b"\x1f\x8b\x08\0").unwrap();
    assert_eq!(other.pipe("sessions import -", one.as_bytes()).code, 0);
    let done = other.run("sessions import mixed.jsonl packed.gz");
    insta::assert_snapshot!(other.plain(&done.all()), @r"
    66
    ses_ID
    ses_ID
    warning: refused: mixed.jsonl, line 26: session ses_ID: event 12 has a payload that does not match its hash
    warning: refused: packed.gz, line 1: the file is compressed (gzip); unpack it first
    1 taken in, 1 here already, 2 refused
    error: 2 of 4 sessions were refused; the first: mixed.jsonl, line 26: session ses_ID: event 12 has a payload that does not match its hash
    ");
    assert_eq!(other.run("sessions list --json").out.matches("\"id\"").count(), 2);

    let object = other.run("sessions import --json mixed.jsonl");
    assert_eq!((object.code, object.out.lines().count()), (66, 1));
    insta::assert_snapshot!(other.plain(&object.out), @r#"{"schema":"aichat.error/1","error":{"kind":"input","message":"mixed.jsonl, line 26: session ses_ID: event 12 has a payload that does not match its hash","status":null,"provider_code":null,"retryable":false,"retry_after_ms":null,"hint":null},"items":[{"status":"present","id":"ses_ID","events":10,"added":0,"erased":0,"missing_blobs":[],"lossless":true},{"status":"refused","id":"ses_ID","file":"mixed.jsonl","line":26,"message":"event 12 has a payload that does not match its hash"},{"status":"present","id":"ses_ID","events":10,"added":0,"erased":0,"missing_blobs":[],"lossless":true}],"taken_in":0,"present":2,"refused":1}"#);
    let object = other.pipe("sessions import --json -", one.as_bytes());
    assert_eq!(object.code, 0);
    insta::assert_snapshot!(other.plain(&object.out), @r#"{"schema":"aichat.import/1","items":[{"status":"present","id":"ses_ID","events":10,"added":0,"erased":0,"missing_blobs":[],"lossless":true}],"taken_in":0,"present":1,"refused":0}"#);
    let redacted = home.run("sessions export two --redact").out;
    let object = Home::new().pipe("sessions import --json -", redacted.as_bytes());
    let object: Value = serde_json::from_str(&object.out).unwrap();
    assert_eq!((&object["items"][0]["lossless"], &object["taken_in"]), (&false.into(), &1.into()));
    assert_eq!(other.run("sessions import missing.jsonl").code, 66);
}

#[test]
fn pages_hold_what_was_said_as_text() {
    let home = lived();
    assert_eq!(home.run("send -s one <script>alert(1)</script>").code, 0);
    let page = export(&home, "one two --format html");
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"));
    for text in ["eins", "zwei", "drei"] {
        assert!(page.contains(&format!(">{text}</div>")), "{text}");
    }
    let text = export(&home, "one two --format md");
    assert!(text.starts_with("# one\n") && text.contains("\n\n# two\n"), "{text}");
    for format in ["md", "html"] {
        assert_eq!(home.run(&format!("sessions export one --redact --format {format}")).code, 2);
    }
}

#[test]
fn a_reader_that_goes_away_ends_an_export_quietly() {
    let home = Home::new();
    assert_eq!(home.run("send -s long -m openai/c20000 much").code, 0);
    let mut child = home.command(["sessions", "export", "long", "long"]).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!((crate::common::code(done.status), done.stderr.as_slice()), (141, b"".as_slice()));
}
