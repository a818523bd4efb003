//! No room on the disk: it is said, the answer is shown, and nothing that was acknowledged is lost.

use std::path::{Path, PathBuf};
use std::process::Command;

use aichat_mock::Workload;

use crate::common::{Done, Home};
use crate::ledger;

const MODEL: &str = "c300-d100-l60";

/// Runs a command that can write no file beyond so many blocks of 512 bytes.
fn limited(home: &Home, blocks: u32, args: &[&str]) -> Done {
    let ready = home.command(args);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -f {blocks}; exec \"$@\""), "sh"]).arg(ready.get_program());
    shell.args(ready.get_args()).current_dir(home.path()).env_clear();
    shell.envs(ready.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Done::from(shell.output().unwrap())
}

fn journals(home: &Home) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.data().join("journal")).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "j"))
        .collect()
}

fn says_what_to_do(done: &Done) {
    assert_eq!(done.code, 74, "{done:?}");
    assert!(done.err.contains("error: ") && done.err.contains("hint: "), "{}", done.err);
}

#[test]
fn a_file_size_limit_costs_no_answer() {
    let home = Home::new();
    let answer = Workload::parse(MODEL).unwrap().texts("").concat();
    let (mut refused, mut cut, mut whole) = (0, 0, 0);
    for blocks in [0, 1, 2, 4, 8, 16, 32, 64, 256] {
        let prompt = format!("within {blocks} blocks");
        let done = limited(&home, blocks, &["send", "-m", &format!("openai/{MODEL}"), &prompt]);
        let asked = home.mock.requests().iter().any(|request| request.prompt == prompt);
        if !asked {
            says_what_to_do(&done);
            assert_eq!(done.out, "");
            refused += 1;
            continue;
        }
        assert_eq!(done.out, format!("{answer}\n"), "the answer is shown, {blocks}: {}", done.err);
        if done.code == 0 {
            whole += 1;
        } else {
            says_what_to_do(&done);
            cut += 1;
        }
    }
    assert!(refused > 0 && cut > 0 && whole > 0, "{refused} refused, {cut} cut, {whole} whole");
    assert!(journals(&home).len() >= cut + whole);
    let kept = ledger::exchanges(&home);
    let requests = home.mock.requests();
    assert_eq!(requests.len(), cut + whole);
    for request in &requests {
        let kept = &kept[&request.prompt];
        assert!(answer.starts_with(&kept.answer), "{kept:?}");
        assert!(kept.status == "interrupted" || kept.answer == answer, "{kept:?}");
    }
    assert_eq!(kept.values().filter(|kept| kept.status == "completed").count(), whole);
    assert!(journals(&home).is_empty(), "folded as soon as there was room");
    ledger::verify(&home);
}

#[test]
fn a_fold_without_room_keeps_the_journals() {
    let home = Home::new();
    assert_eq!(home.run("send -s first -m openai/c1 first").code, 0);
    assert_eq!(home.run("sessions list").code, 0);
    let mut pending = Vec::new();
    for index in 0..6 {
        let prompt = format!("pending {index}");
        let done = home.command(["send", "-m", "openai/c400-l100", &prompt]).output().unwrap();
        assert_eq!(Done::from(done).code, 0);
        pending.push(prompt);
    }
    let before = journals(&home);
    assert_eq!(before.len(), pending.len());
    for blocks in [0, 8, 64] {
        let done = limited(&home, blocks, &["sessions", "list", "--json"]);
        if done.code == 0 {
            assert!(pending.iter().all(|prompt| done.out.contains(prompt)), "{done:?}");
        } else {
            assert!(done.out.contains(r#""kind":"store""#) && done.out.contains(r#""hint":""#), "{done:?}");
            assert_eq!(done.code, 74);
        }
        // A session that is to be continued needs the store.
        let next = limited(&home, blocks, &["send", "-s", "first", "-m", "openai/c1", "no room"]);
        if next.code != 0 {
            says_what_to_do(&next);
        }
    }
    let sent = home.mock.requests().iter().filter(|request| request.prompt == "no room").count();
    let kept: Vec<_> = ledger::sessions(&home);
    assert_eq!(kept.len(), pending.len() + 1);
    let mut prompts: Vec<_> =
        kept.iter().flat_map(|id| ledger::exchanges_of(&home, id)).map(|(prompt, _)| prompt).collect();
    assert_eq!(prompts.iter().filter(|prompt| *prompt == "no room").count(), sent);
    prompts.retain(|prompt| prompt.starts_with("pending"));
    prompts.sort();
    assert_eq!(prompts, pending);
    ledger::verify(&home);
}

/// A small file system of its own, unmounted at the end.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(place: &'a Path) -> Option<Self> {
        std::fs::create_dir_all(place).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(place).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(place))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_keeps_what_was_there() {
    let home = Home::new();
    let place = home.data();
    let Some(_small) = Small::mount(&place) else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let answer = Workload::parse(MODEL).unwrap().texts("").concat();
    assert_eq!(home.run("send -s first -m openai/c3 first").code, 0);
    assert_eq!(home.run("sessions list").code, 0);
    let filler = place.join("filler");
    let (mut refused, mut cut) = (0, 0);
    for free in [0, 1, 2, 4, 5] {
        // All but some pages of 4 KiB.
        let room = free_bytes(&place);
        std::fs::write(&filler, vec![1; room.saturating_sub(free * 4096) as usize]).unwrap();
        let prompt = format!("with {free} pages");
        let done =
            Done::from(home.command(["send", "-m", &format!("openai/{MODEL}"), &prompt]).output().unwrap());
        if home.mock.requests().iter().any(|request| request.prompt == prompt) {
            assert_eq!(done.out, format!("{answer}\n"), "{}", done.err);
            says_what_to_do(&done);
            cut += 1;
        } else {
            says_what_to_do(&done);
            refused += 1;
        }
        let list = home.run("sessions list --json");
        assert!([0, 74].contains(&list.code), "{list:?}");
        assert!(list.code == 74 || list.out.contains("first"), "{list:?}");
        std::fs::remove_file(&filler).unwrap();
        let kept = ledger::exchanges(&home);
        assert_eq!(kept["first"].answer, "0 1 2 ");
        for request in home.mock.requests().iter().filter(|request| request.prompt != "first") {
            assert!(answer.starts_with(&kept[&request.prompt].answer));
        }
        ledger::verify(&home);
    }
    assert!(refused > 0 && cut > 0, "{refused} refused, {cut} cut");
    assert_eq!(home.run("send -s first -m openai/c1 on").code, 0);
}

/// Returns how many bytes are free where a file may be written.
fn free_bytes(place: &Path) -> u64 {
    let stat = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(place).output().unwrap();
    let text = String::from_utf8(stat.stdout).unwrap();
    let (blocks, size) = text.trim().split_once(' ').unwrap();
    blocks.parse::<u64>().unwrap() * size.parse::<u64>().unwrap()
}
