//! Care of the store from outside: what is in it, whether it holds, backups, repairs, and versions to come.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aichat_store::{Expect, Row, Scan, Sled, Store, Table, Unit, Write};
use serde_json::Value;

use crate::common::{Done, Home};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// A home with an answer, an attachment, a failure, a large answer and a deleted session.
fn lived_in() -> Home {
    let home = Home::new();
    fs::write(home.path().join("photo"), PNG).unwrap();
    for line in [
        "send -s first -m openai/echo hello",
        "send -s first again",
        "send -s image -m openai/c1 -f photo what is this",
        "send -s long -m openai/c400-l100 tell",
        "send -s gone -m openai/c1 bye",
        "sessions delete gone",
        "sessions create empty",
    ] {
        assert_eq!(home.run(line).code, 0, "{line}");
    }
    assert_eq!(home.run("send -s first -m openai/e400 refused").code, 1);
    home
}

fn object(done: &Done) -> Value {
    serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{}", done.all()))
}

/// Every list and export of a place.
fn shown(home: &Home, store: &str) -> Vec<String> {
    let list = home.run(&format!("sessions list --json --store {store}"));
    let mut all = vec![list.out.clone()];
    for session in object(&list)["items"].as_array().unwrap() {
        let id = session["id"].as_str().unwrap();
        for line in ["sessions export", "sessions export --format json", "sessions show --json"] {
            let done = home.run(&format!("{line} {id} --store {store}"));
            assert_eq!(done.code, 0, "{}", done.all());
            all.push(done.out);
        }
    }
    all
}

/// Returns every file below a directory with its bytes; `lock` says who came last.
pub(crate) fn files(place: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => drop(all.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    all
}

#[test]
fn a_store_says_what_is_in_it_and_holds() {
    let home = lived_in();
    let told = home.plain(&home.run("store info").out);
    assert!(
        told.starts_with("place      ~/.local/share/aichat\nbackend    sled, layout 5\nsessions   5\n"),
        "{told}"
    );
    let info = object(&home.run("store info --json"));
    assert_eq!((&info["schema"], &info["sessions"]), (&"aichat.store/1".into(), &5.into()));
    // The image, and what went over the network for every turn that is in the log.
    assert_eq!(info["blobs"], 6);
    assert!(info["blob_bytes"].as_u64().unwrap() > PNG.len() as u64);
    assert_eq!(info["set_aside"], Value::Array(Vec::new()));
    let verified = home.run("store verify");
    assert_eq!(verified.code, 0, "{}", verified.all());
    assert!(verified.out.starts_with("all holds: 5 sessions, "), "{}", verified.out);
    let verified = object(&home.run("store verify --json"));
    assert_eq!((&verified["schema"], &verified["sessions"]), (&"aichat.verified/1".into(), &5.into()));
    assert_eq!(verified["findings"], Value::Array(Vec::new()));
    let before = shown(&home, "default");
    let compacted = object(&home.run("store compact --json"));
    assert_eq!(
        (&compacted["schema"], &compacted["blobs_removed"]),
        (&"aichat.compacted/1".into(), &0.into())
    );
    assert!(home.run("store compact").out.ends_with("; 0 unused blobs removed\n"));
    assert!(shown(&home, "default") == before);
    assert_eq!(home.run("store rebuild").code, 0);
    assert!(shown(&home, "default") == before);
    assert_eq!(home.run("store verify").code, 0);
}

#[test]
fn a_backup_is_made_added_to_and_restored() {
    let home = lived_in();
    let first = object(&home.run("store backup saved --json"));
    assert_eq!((&first["schema"], &first["sessions"]), (&"aichat.copied/1".into(), &5.into()));
    assert_eq!((&first["sessions_added"], &first["blobs"]), (&5.into(), &7.into()));
    assert!(shown(&home, "saved") == shown(&home, "default"));
    assert_eq!(home.run("store verify --store saved").code, 0);
    let again = home.run("store backup saved");
    assert_eq!(again.all(), "0\ncopied 0 of 5 sessions: 0 events, 0 blobs, 0 documents, 0 bytes\n");
    assert_eq!(home.run("send -s long on").code, 0);
    assert_eq!(object(&home.run("store backup saved --json"))["sessions_added"], 1);

    // A new machine.
    let other = Home::new();
    let saved = home.path().join("saved").display().to_string();
    let restored = other.run(&format!("store restore {saved} --json"));
    assert_eq!(restored.code, 0, "{}", restored.all());
    assert!(shown(&other, "default") == shown(&home, "default"));
    assert_eq!(other.run("send -s long and on").code, 0);
    assert_eq!(other.run("store verify").code, 0);
    assert_eq!(home.run("send -s long somewhere else").code, 0);
    assert_eq!(home.run("send -s image on").code, 0);
    let place = home.data().display().to_string();
    let copied = other.run(&format!("store copy {place} default"));
    assert_eq!(copied.code, 74, "{}", copied.all());
    assert!(copied.err.contains("it went on differently in the two stores"), "{}", copied.err);
    assert!(copied.out.starts_with("copied 1 of 5 sessions"), "{}", copied.out);
}

#[test]
fn a_copy_needs_a_store_and_a_place_of_its_own() {
    let home = lived_in();
    fs::create_dir_all(home.path().join("mine")).unwrap();
    fs::write(home.path().join("mine/notes"), b"not a store").unwrap();
    let lines =
        ["store backup mine", "store restore nowhere", "store copy default default", "store restore mine"];
    let all: Vec<_> = lines.iter().map(|line| home.plain(&home.run(line).all())).collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
    66
    error: mine holds something else than a store
    hint: name a new or empty directory, or a store

    66
    error: there is no store in nowhere
    hint: name the directory that sessions are kept in

    2
    error: a store cannot be copied to itself

    66
    error: there is no store in mine
    hint: name the directory that sessions are kept in
    "#);
    assert_eq!(files(&home.path().join("mine")).len(), 1);
    assert!(!home.path().join("nowhere").exists());
}

#[tokio::test]
async fn damage_is_named_and_repaired() {
    let home = lived_in();
    let renamed = object(&home.run("sessions rename first first-of-all --json"));
    let stream = renamed["id"].as_str().unwrap().to_owned();
    assert_eq!(home.run("store backup saved").code, 0);
    let before = shown(&home, "default");
    let store = Sled::at(home.data());
    let scan = Scan { prefix: stream.clone().into_bytes(), ..Scan::default() };
    let (key, _) = store.scan(Table::Messages, scan).await.unwrap().remove(0);
    let stream = stream.parse().unwrap();
    let head = Expect::At(store.head(&stream).await.unwrap().unwrap());
    let writes = vec![Write { table: Table::Messages, key, value: None }];
    store.commit(vec![Unit { writes, ..Unit::new(stream, head) }]).await.unwrap();
    store.release().await.unwrap();
    let image = files(&home.data().join("attached")).into_iter().find(|(_, bytes)| bytes == PNG).unwrap().0;
    fs::write(&image, b"something else").unwrap();
    // The large value is that of the long answer.
    let large: Vec<_> = files(&home.data().join("blobs")).into_iter().collect();
    let [(large, bytes)] = &large[..] else { panic!("{} large values", large.len()) };
    let mut bytes = bytes.clone();
    bytes[100] ^= 1;
    fs::write(large, bytes).unwrap();

    let verified = home.run("store verify");
    assert_eq!(verified.code, 74, "{}", verified.all());
    let plain = home.plain(&verified.out);
    let lines: Vec<&str> = plain.lines().collect();
    assert!(
        lines.iter().any(|line| line.starts_with("log ses_ID: at ") && line.contains("is damaged")),
        "{plain}"
    );
    assert!(lines.iter().any(|line| line.starts_with("blob ") && line.contains("is damaged")), "{plain}");
    assert!(
        lines.contains(&"projection messages: 1 rows are missing, 0 differ and 0 are too many"),
        "{plain}"
    );
    assert!(lines.contains(&"  run `aichat store rebuild`"), "{plain}");
    assert!(lines.contains(&"  `aichat store restore BACKUP` takes it from a backup"), "{plain}");
    assert!(lines.last().unwrap().starts_with("3 faults in 5 sessions, "), "{plain}");

    let restored = home.run("store restore saved --json");
    assert_eq!((restored.code, object(&restored)["repaired"].clone()), (0, 2.into()), "{}", restored.all());
    assert_eq!(home.run("store rebuild").code, 0);
    assert_eq!(home.run("store verify").code, 0);
    assert!(shown(&home, "default") == before);
}

#[test]
fn a_damaged_ledger_is_named_and_no_limit_is_passed_over_it() {
    let home = lived_in();
    let entry = r#"{"date":"2026-01-01","entries":[{"provider":"openai","id":"c1","prices":{"input":"1","output":"1"}}]}"#;
    home.configure("[budget]\nday = \"1\"\n");
    fs::write(home.config_file().with_file_name("models.json"), entry).unwrap();
    assert_eq!(home.run("send -m openai/c1 -o max_tokens=9 hi").code, 0);
    let ledger = home.data().join("ledger");
    let mut bytes = fs::read(&ledger).unwrap();
    let digit = bytes.iter().position(|byte| *byte == b'{').unwrap() + 3;
    bytes[digit] ^= 1;
    fs::write(&ledger, &bytes).unwrap();

    let verified = home.run("store verify");
    assert_eq!(verified.code, 74, "{}", verified.all());
    assert!(verified.out.starts_with("ledger of days: line 1 is damaged, "), "{}", verified.out);
    assert!(verified.out.contains("`aichat store rebuild` leaves it out"), "{}", verified.out);
    let doctor = home.run("doctor --json");
    let told = object(&doctor);
    let problem =
        told["findings"].as_array().unwrap().iter().find(|found| found["subject"] == "ledger").unwrap();
    assert_eq!((&problem["verdict"], &problem["fix"]), (&"problem".into(), &"aichat store rebuild".into()));
    let asked = home.mock.requests().len();
    let refused = home.run("send -m openai/c1 -o max_tokens=9 hi");
    assert_eq!(refused.code, 74, "{}", refused.all());
    assert!(refused.err.contains("line 1 is damaged"), "{}", refused.err);
    assert_eq!(home.mock.requests().len(), asked, "nobody knows what is left");
    home.configure("");
    assert_eq!(home.run("send -m openai/c1 -o max_tokens=9 hi").code, 0, "what has no limit goes on");

    home.configure("[budget]\nday = \"1\"\n");
    assert_eq!(home.run("store rebuild").code, 0);
    assert!(fs::read(home.data().join("ledger.damaged")).unwrap().starts_with(&bytes));
    assert_eq!(home.run("store verify").code, 0);
    assert_eq!(home.run("send -m openai/c1 -o max_tokens=9 hi").code, 0);
}

#[test]
fn a_damaged_index_heals_and_is_told_of() {
    let home = lived_in();
    let before = shown(&home, "default");
    let snapshots = || -> Vec<PathBuf> {
        let names = files(&home.data().join("db")).into_keys();
        names.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("snap.")).collect()
    };
    assert!(!snapshots().is_empty());
    for path in snapshots() {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(&path, bytes).unwrap();
    }
    let listed = home.run("sessions list --json");
    assert_eq!((listed.code, &listed.out), (0, &before[0]));
    assert!(listed.err.starts_with("warning: a damaged snapshot was set aside as "), "{}", listed.err);
    assert_eq!(home.run("sessions list --json").err, "");
    assert!(shown(&home, "default") == before);
    let info = home.run("store info").out;
    assert!(
        info.contains("set aside") && info.contains("an index that was damaged and was made anew"),
        "{info}"
    );
    assert_eq!(home.run("store verify").code, 0);
    assert_eq!(home.run("store compact").code, 0);
    assert!(!home.run("store info").out.contains("set aside"));
}

/// Commands that read, write, fold and look after a store.
const EVERY: [&str; 11] = [
    "sessions list",
    "sessions show first",
    "sessions rename first second",
    "sessions create new",
    "send -s first -m openai/c1 hi",
    "events verify --all",
    "store info",
    "store verify",
    "store rebuild",
    "store compact",
    "store backup saved",
];

#[test]
fn what_a_later_version_left_is_refused_and_nothing_is_written() {
    let home = lived_in();
    let schema = home.data().join("schema");
    assert_eq!(fs::read(&schema).unwrap(), b"5\n");
    fs::write(&schema, b"6\n").unwrap();
    let before = files(&home.data());
    for line in EVERY {
        let done = home.run(line);
        assert_eq!(done.code, 74, "{line}: {}", done.all());
        assert!(done.err.contains("written by a later version of this program (schema 6"), "{}", done.err);
        assert!(files(&home.data()) == before, "{line}");
    }
    fs::write(&schema, b"5\n").unwrap();
    assert_eq!(home.run("send -m openai/c1 a turn that waits").code, 0);
    let journal = files(&home.data().join("journal")).into_keys().next().unwrap();
    let mut bytes = fs::read(&journal).unwrap();
    bytes[11] += 1;
    fs::write(&journal, &bytes).unwrap();
    let before = files(&home.data());
    for line in EVERY {
        let done = home.run(line);
        assert_eq!(done.code, 74, "{line}: {}", done.all());
        assert!(done.err.contains("begun by a later version of this program (journal 2"), "{}", done.err);
        assert!(files(&home.data()) == before, "{line}");
    }
    bytes[11] -= 1;
    fs::write(&journal, &bytes).unwrap();
    assert_eq!(home.run("sessions list").out.lines().count(), 5);
    assert_eq!(home.run("store verify").code, 0);
}

/// An event of a later version is kept; what needs it is refused, and writes nothing.
#[tokio::test]
async fn an_event_of_a_later_version_is_refused_by_name_and_kept() {
    let home = lived_in();
    let list = object(&home.run("sessions list --json"));
    let first = list["items"].as_array().unwrap().iter().find(|session| session["name"] == "first").unwrap();
    let stream: aichat_message::SessionId = first["id"].as_str().unwrap().parse().unwrap();
    let store = Sled::at(home.data());
    let head = store.head(&stream).await.unwrap().unwrap();
    let last = store.events(&stream, head.seq, 1).await.unwrap().remove(0);
    let text = String::from_utf8(last.bytes).unwrap();
    assert!(text.starts_with("{\"v\":1,"), "{text}");
    let later = Row {
        seq: head.seq + 1,
        id: aichat_message::EventId::from_bits([7; 10]),
        hash: vec![7; 32],
        bytes: text.replacen("\"v\":1,", "\"v\":9,", 1).into_bytes(),
    };
    store.commit(vec![Unit { events: vec![later], ..Unit::new(stream, Expect::At(head)) }]).await.unwrap();
    store.release().await.unwrap();
    // The engine writes its snapshot when it opens.
    let listed = home.run("sessions list").out;
    let before = files(&home.data());
    // `lock` says who came last; `mark` counts commits, whatever the engine tidies up in files of its own.
    let changed = || {
        let mut names: Vec<PathBuf> = Vec::new();
        let after = files(&home.data());
        names.extend(
            after.keys().chain(before.keys()).filter(|path| after.get(*path) != before.get(*path)).cloned(),
        );
        names.retain(|path| !path.ends_with("lock") && !path.starts_with(home.data().join("db")));
        names
    };
    for line in ["sessions show first", "events list first", "send -s first -m openai/c1 hi", "store rebuild"]
    {
        let done = home.run(line);
        assert_eq!(done.code, 74, "{line}: {}", done.all());
        assert_eq!(changed(), Vec::<PathBuf>::new(), "{line}");
    }
    let verified = home.run("store verify");
    assert_eq!(verified.code, 74);
    assert!(
        verified.out.starts_with(&format!("log {}: at ", first["id"].as_str().unwrap())),
        "{}",
        verified.out
    );
    assert_eq!(changed(), Vec::<PathBuf>::new());
    assert_eq!(home.run("sessions list").out, listed);
    let backup = home.run("store backup saved");
    assert!(backup.code == 74 && backup.out.starts_with("copied 5 of 5 sessions"), "{}", backup.all());
}
