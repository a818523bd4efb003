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

/// Asks for everything that is expected, and compares it byte for byte.
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
        assert_eq!(done.out, fs::read_to_string(&path).unwrap(), "{line}, {}", path.display());
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
