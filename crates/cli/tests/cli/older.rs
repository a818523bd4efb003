//! Stores that earlier versions left: they open, and tell what they told then.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::Home;

fn fixtures() -> Vec<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries.filter(|path| path.join("store").is_dir()).collect();
    all.sort();
    all
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &name),
            false => drop(fs::copy(&path, &name).unwrap()),
        }
    }
}

/// Returns the words of a list, whose columns may have other widths, and in which one turn was `1 turns` once.
fn words(list: &str) -> String {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = list.lines().map(line).collect();
    lines.join("\n").replace(" 1 turns", " 1 turn").replace(" 1 events", " 1 event")
}

/// Asks for everything that is expected, and compares it: documents byte for byte, lists by their words.
fn compare(home: &Home, expected: &Path) -> usize {
    let mut compared = 0;
    for entry in fs::read_dir(expected).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (id, kind) = name.rsplit_once('.').unwrap();
        let line = match (id, kind) {
            ("list", _) => "sessions list".to_owned(),
            ("archived", _) => "sessions list --archived".to_owned(),
            ("agents", _) => "agents list".to_owned(),
            ("templates", _) => "templates list".to_owned(),
            ("verified", _) => "events verify --all".to_owned(),
            (id, "md") => format!("sessions show {id}"),
            (id, kind) => format!("sessions export {id} --format {kind}"),
        };
        let done = home.run(&line);
        assert_eq!(done.code, 0, "{line}: {}", done.err);
        let was = fs::read_to_string(&path).unwrap();
        match kind {
            "txt" => assert_eq!(words(&done.out), words(&was), "{line}, {}", path.display()),
            _ => assert_eq!(done.out, was, "{line}, {}", path.display()),
        }
        compared += 1;
    }
    compared
}

#[test]
fn a_store_of_every_version_opens_and_tells_what_it_told() {
    let all = fixtures();
    assert!(!all.is_empty());
    for fixture in all {
        let home = Home::new();
        copy(&fixture.join("store"), &home.data());
        assert!(compare(&home, &fixture.join("expected")) > 10);
        let verified = home.run("store verify");
        assert_eq!(verified.code, 0, "{}", verified.all());
        for line in ["store rebuild", "store compact", "store verify"] {
            let done = home.run(line);
            assert_eq!(done.code, 0, "{line}: {}", done.all());
        }
        compare(&home, &fixture.join("expected"));
        assert_eq!(home.run("send -s trip -m openai/c1 it goes on").code, 0);
        assert_eq!(home.run("store verify").code, 0);
    }
}

#[test]
fn words_of_a_long_message_of_an_older_store_are_found() {
    let home = Home::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-schema-4");
    copy(&fixture.join("store"), &home.data());
    // Asked and echoed.
    let found = home.run("sessions search stone 399");
    assert_eq!((found.code, found.out.matches("long").count()), (0, 2), "{}", found.all());
    let none = home.run("sessions search stone 3999");
    assert_eq!(none.out, "", "{}", none.all());
}

#[test]
fn a_backup_of_an_older_store_is_one_of_this_version() {
    for fixture in fixtures() {
        let home = Home::new();
        let (old, new) = (home.path().join("old"), home.data());
        copy(&fixture.join("store"), &old);
        let done = home.run("store restore old");
        assert_eq!(done.code, 0, "{}", done.all());
        assert!(new.join("schema").is_file());
        assert!(compare(&home, &fixture.join("expected")) > 10);
        assert_eq!(home.run("store verify").code, 0);
    }
}

/// Returns the exports that versions wrote, each with its name.
fn exports() -> Vec<(PathBuf, String)> {
    let mut places: Vec<PathBuf> = fixtures().into_iter().map(|fixture| fixture.join("expected")).collect();
    places.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/exports"));
    let paths =
        places.iter().flat_map(|place| fs::read_dir(place).unwrap()).map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "jsonl"))
        .map(|path| (path.clone(), fs::read_to_string(&path).unwrap()))
        .collect();
    all.sort();
    all
}

/// Takes an export in, and checks that the store gives it back and tells what it told.
fn import(path: &Path, text: &str, format: &str) -> (Home, String) {
    let home = Home::new();
    let place = path.display();
    let done = home.pipe("sessions import -", text.as_bytes());
    assert_eq!(done.code, 0, "{place}: {}", done.all());
    // A fork comes after what it was forked from.
    let last = text.rfind("\"session\":\"ses_").map(|at| &text[at + 11..]).unwrap();
    let id = &last[..last.find('"').unwrap()];
    for line in ["store rebuild", "store verify"] {
        let done = home.run(line);
        assert_eq!(done.code, 0, "{place}: {line}: {}", done.all());
    }
    assert_eq!(home.run(&format!("sessions export {id} --format {format}")).out, text, "{place}");
    let shown = path.with_extension("md");
    let known = fs::read_to_string(&shown);
    if let Ok(known) = &known {
        assert_eq!(&home.run(&format!("sessions show {id}")).out, known, "{}", shown.display());
    }
    let id = id.to_owned();
    (home, id)
}

#[test]
fn an_export_of_every_version_is_taken_in_and_given_back_byte_for_byte() {
    let all = exports();
    assert!(all.len() > 15, "{}", all.len());
    for (path, text) in all {
        let (home, id) = import(&path, &text, "jsonl");
        // The other form holds the same.
        let object = home.run(&format!("sessions export {id} --format json")).out;
        let known = fs::read_to_string(path.with_extension("json"));
        assert!(known.is_err() || known.is_ok_and(|known| known == object), "{}", path.display());
        let (other, _) = import(&path.with_extension("json"), &object, "json");
        assert_eq!(other.run(&format!("sessions export {id}")).out, text, "{}", path.display());
    }
}

#[test]
fn what_only_a_later_version_knows_is_shown_as_far_as_it_can_be() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/exports/later.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let (home, _) = import(&path, &text, "jsonl");
    let listed = home.run("events list @last").out;
    for kind in ["shelf.dusted", "model.dreamt", "turn.interrupted", "session.renamed"] {
        assert!(listed.contains(kind), "{listed}");
    }
    let timeline = home.run("events timeline @last").out;
    assert!(timeline.contains("model.dreamt of version 1"), "{timeline}");
    assert!(timeline.contains("llm.request.started of version 99"), "{timeline}");
    let found = home.run("sessions search Rayleigh");
    assert!(found.code == 0 && found.out.contains("Rayleigh"), "{}", found.all());
    // It goes on, and what was there stays.
    let done = home.run("send -s @last -m openai/c1 and then?");
    assert_eq!(done.code, 0, "{}", done.all());
    let after = home.run("sessions export @last").out;
    let events: Vec<&str> = text.lines().filter(|line| line.starts_with("{\"v\":")).collect();
    assert!(
        after.lines().filter(|line| line.starts_with("{\"v\":")).collect::<Vec<_>>().starts_with(&events)
    );
    assert_eq!(home.run("events verify --all").code, 0);
}
