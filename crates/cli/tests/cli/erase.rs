//! Erasing for good: after a purge and a compaction no byte of what was said is in any file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Done, Home};

const PNG: &str = "\u{89}PNG\r\n\u{1a}\n\0\0";
const WORD: &str = "CANARY";
/// What a file that is compressed with zstd begins with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Returns the files below a directory that hold the word or are named by it.
fn holding(place: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        let named = path.file_name().unwrap().to_str().unwrap().contains(WORD);
        if path.is_dir() {
            found.extend(holding(&path));
        } else if named || read(&path).windows(WORD.len()).any(|part| part == WORD.as_bytes()) {
            found.push(path);
        }
    }
    found
}

/// Returns the bytes of a file; of one that is compressed, those it stands for.
fn read(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    if bytes.starts_with(&ZSTD) { zstd::decode_all(&bytes[..]).unwrap() } else { bytes }
}

fn send(home: &Home, args: &[&str]) -> Done {
    let mut command = home.command(["send", "-m", "openai/echo-c3"].iter().chain(args));
    Done::from(command.env("AICHAT_SCOPE", "scope of CANARY").output().unwrap())
}

fn journals(home: &Home) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.data().join("journal")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|kind| kind == "j")).collect()
}

#[test]
fn no_byte_of_what_was_purged_is_left_after_a_compaction() {
    let home = Home::new();
    let mut image: Vec<u8> = PNG.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    image.extend_from_slice(b"pixels of CANARY");
    fs::write(home.path().join("CANARY.png"), image).unwrap();
    let large = "a large CANARY ".repeat(2_000);
    for args in [
        &["-s", "old CANARY", "first CANARY"][..],
        &["-s", "old CANARY", "-f", "CANARY.png", "an image of CANARY"],
        &["-s", "old CANARY", &large],
        &["-s", "old CANARY", "--system", "you are CANARY", "-o", "user=CANARY", "as CANARY"],
    ] {
        assert_eq!(send(&home, args).code, 0);
    }
    assert_eq!(home.run("send -s kept -m openai/echo what stays").code, 0);
    let renamed = Done::from(home.command(["sessions", "rename", "old CANARY", "CANARY"]).output().unwrap());
    assert_eq!(renamed.code, 0, "{}", renamed.err);
    let at = ["sessions", "branch", "CANARY", "--at", "@last~1", "--name", "branch of CANARY"];
    assert_eq!(Done::from(home.command(at).output().unwrap()).code, 0);
    assert_eq!(home.run("send -s CANARY -m openai/e400 refused CANARY").code, 1);
    // One whose process died in the middle, and one whose journal is damaged and set aside when it is folded.
    let mut child =
        home.command("send -s CANARY -m openai/echo-c40-stall3 killed CANARY".split(' ')).spawn().unwrap();
    while home.mock.requests().last().is_none_or(|last| last.prompt != "killed CANARY" || last.sent.len() < 3)
    {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(home.run("sessions list").code, 0);
    assert_eq!(send(&home, &["-s", "CANARY", "damaged CANARY"]).code, 0);
    let [journal] = &journals(&home)[..] else { panic!("one turn waits") };
    assert!(journal.with_extension("wire").exists(), "what went over the network is beside it");
    let mut bytes = fs::read(journal).unwrap();
    let end = bytes.len() - 20;
    bytes[end] ^= 1;
    fs::write(journal, bytes).unwrap();
    let id = home.run("sessions rename CANARY CANARY-2").out.trim().to_owned();
    fs::write(journal.with_extension("late"), b"what CANARY said late").unwrap();
    assert!(journal.with_extension("damaged").exists() && !journal.with_extension("wire").exists());
    fs::write(journal.with_extension("wire"), b"what CANARY left beside").unwrap();
    assert_eq!(home.run("store backup saved").code, 0);
    assert_eq!(home.run("sessions rename CANARY-2 CANARY-3").code, 0);

    let before = holding(&home.data());
    let among = |end: &str| before.iter().any(|path| path.to_str().unwrap().contains(end));
    let is_wire = |path: &PathBuf| fs::read(path).unwrap().starts_with(&ZSTD);
    assert!(before.iter().any(is_wire), "no wire in {before:?}");
    for end in ["/db/db", "/attached/", "/blobs/", ".late", ".damaged", ".wire"] {
        assert!(among(end), "{end}: {before:?}");
    }
    assert_eq!(home.run(&format!("sessions purge {id} --yes")).code, 0);
    assert!(!holding(&home.data()).is_empty(), "the engine keeps what is overwritten");
    assert_eq!(home.run("store compact").code, 0);
    assert_eq!(holding(&home.data()), Vec::<PathBuf>::new());
    for line in ["events verify --all", "store verify", "sessions show kept", "store rebuild", "store verify"]
    {
        let done = home.run(line);
        assert_eq!(done.code, 0, "{line}: {}", done.all());
    }
    assert_eq!(holding(&home.data()), Vec::<PathBuf>::new());
    assert!(home.run("events list kept").out.contains("turn.completed"));

    // What was erased here is erased in a backup as well.
    assert!(!holding(&home.path().join("saved")).is_empty());
    let backup = home.run("store backup saved");
    assert!(
        backup.code == 0 && backup.err.contains("1 session was erased there as well"),
        "{}",
        backup.all()
    );
    assert_eq!(home.run("store compact --store saved").code, 0);
    assert_eq!(holding(&home.path().join("saved")), Vec::<PathBuf>::new());
    assert_eq!(home.run("store verify --store saved").code, 0);
    assert_eq!(home.run("store restore saved").code, 0);
    assert_eq!(holding(&home.data()), Vec::<PathBuf>::new());
}
