//! A store that cannot be written: it is read as if it could, nothing of it changes, and who must write is refused.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::common::{Done, Home};
use crate::store::files;
use crate::terminal::Terminal;

/// What a shell of ours exits with where the machine does not let it do what it must.
const CANNOT: i32 = 199;

/// Commands that only read, in an order in which each finds what it would find by itself: the first folds nothing.
const READING: [&str; 28] = [
    "events tail --limit 100",
    "events tail --json",
    "sessions list",
    "sessions list --json",
    "sessions show first",
    "sessions show @last --json",
    "sessions search question",
    "sessions search seen --json",
    "sessions tree first",
    "sessions heads first",
    "sessions diff first @last",
    "sessions export --all --format json",
    "sessions export --all --format jsonl",
    "sessions export --all --format md",
    "sessions export first --format html",
    "cost",
    "cost --by session --json",
    "events list @last",
    "events show first 3",
    "events timeline first",
    "events verify --all",
    "events head --all",
    "events replay first --offline",
    "events report @last",
    "agents list",
    "templates list --json",
    "store verify",
    "send --dry-run -s first -m openai/c3 more",
];

/// A home with a session in the log, a blob, a large value, a finished turn that waits, and one that was killed.
fn lived_in() -> Home {
    let home = Home::new();
    fs::write(home.path().join("seen.txt"), "seen ".repeat(4_000)).unwrap();
    assert_eq!(home.run("send -q -s first -m openai/echo -f seen.txt question").code, 0);
    assert_eq!(home.run("agents create poet -m openai/c3 --system rhyme").code, 0);
    assert_eq!(home.run("sessions list").code, 0);
    assert_eq!(home.run("send -q -s first -m openai/c5 another question").code, 0);
    assert_eq!(home.run("send -q -m openai/c5 a question that waits").code, 0);
    let mut killed =
        home.command(["send", "-q", "-m", "openai/c400-d20000", "a question cut off"]).spawn().unwrap();
    let mut begun = [0; 16];
    killed.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
    killed.kill().unwrap();
    killed.wait().unwrap();
    let waiting = fs::read_dir(home.data().join("journal")).unwrap();
    let waiting =
        waiting.filter(|it| it.as_ref().unwrap().path().extension().is_some_and(|it| it == "j")).count();
    assert!(waiting >= 2, "{waiting} turns wait");
    fs::create_dir(home.path().join("tmp")).unwrap();
    home
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// Runs a command after a shell, in file systems of its own, has made the store's directory `$P` what it shall be.
fn within(home: &Home, setup: &str, line: &str) -> Option<Done> {
    let ready = home.command(line.split_whitespace());
    let script = format!("{{ {setup}; }} >/dev/null 2>&1 || exit {CANNOT}; exec \"$@\"");
    let mut shell = Command::new("unshare");
    shell.args(["-rm", "sh", "-c", &script, "sh"]).arg(ready.get_program()).args(ready.get_args());
    shell.current_dir(home.path()).env_clear();
    shell.envs(ready.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("P", home.data()).env("TMPDIR", home.path().join("tmp"));
    let done = shell.output().ok().map(Done::from).filter(|done| done.code != CANNOT);
    match done {
        Some(done) if !done.err.starts_with("unshare: ") => Some(done),
        _ => {
            println!("skipped: no file system can be mounted here");
            None
        }
    }
}

const READ_ONLY: &str = "mount --bind \"$P\" \"$P\" && mount -o remount,bind,ro \"$P\"";

fn left(home: &Home) -> usize {
    fs::read_dir(home.path().join("tmp")).unwrap().count()
}

#[test]
fn reading_commands_answer_as_from_one_that_can_be_written() {
    let home = lived_in();
    let before = files(&home.data());
    let other = home.path().join("other");
    copy(&home.data(), &other);
    // What somebody who was killed has left behind.
    fs::create_dir_all(home.path().join("tmp/aichat-copy-1-0/db")).unwrap();
    for line in READING {
        let Some(done) = within(&home, READ_ONLY, line) else { return };
        let expected = home.run(&format!("--store other {line}"));
        assert_eq!((done.code, &done.out), (expected.code, &expected.out), "{line}: {}", done.err);
        assert!(done.code == 0 || line.contains("diff"), "{line}: {}", done.all());
        let notice = format!("the store in {} cannot be written (read-only", home.data().display());
        assert_eq!(done.err.matches(&notice).count(), 1, "{line}: {}", done.err);
        assert!(done.err.contains("; a copy of it is read\n"), "{line}: {}", done.err);
        assert_eq!(left(&home), 0, "{line}");
    }
    let quiet = within(&home, READ_ONLY, "-q sessions list").unwrap();
    assert_eq!((quiet.code, quiet.err.as_str()), (0, ""));
    let info = within(&home, READ_ONLY, "store info --json").unwrap();
    let info: serde_json::Value = serde_json::from_str(&info.out).unwrap();
    assert_eq!(info["place"], home.data().display().to_string());
    assert_eq!(info["turns_in_flight"], 3);
    assert!(files(&home.data()) == before, "something was written");
    // A copy of it elsewhere is a store like others.
    let backup = within(&home, READ_ONLY, &format!("store backup {}", home.path().join("backup").display()));
    assert_eq!(backup.as_ref().map(|done| done.code), Some(0), "{backup:?}");
    let [backed, other] =
        ["backup", "other"].map(|store| home.run(&format!("--store {store} sessions list")));
    assert_eq!((backed.code, backed.out), (0, other.out));
}

#[test]
fn the_inspector_says_so_before_it_takes_the_screen() {
    let home = lived_in();
    let before = files(&home.data());
    if within(&home, READ_ONLY, "paths").is_none() {
        return;
    }
    let setup = READ_ONLY.replace("$P", &home.data().display().to_string());
    let line = format!("unshare -rm sh -c '{setup} && exec AICHAT inspect'; echo exit $?; sleep 600");
    let Some(terminal) = Terminal::run(&home, (100, 24), &line) else { return };
    terminal.shows("3 sessions");
    let screen = terminal.shows("a question cut off");
    assert!(!screen.contains("a copy of it"), "{screen}");
    terminal.press(&["q"]);
    let screen = terminal.shows("exit 0");
    assert!(screen.replace('\n', "").contains("a copy of it is read"), "{screen}");
    assert!(files(&home.data()) == before, "something was written");
}

#[test]
fn who_must_write_is_refused() {
    let home = lived_in();
    let before = files(&home.data());
    let export = home.path().join("export.jsonl");
    copy(&home.data(), &home.path().join("other"));
    fs::write(&export, home.run("--store other sessions export first").out).unwrap();
    let asked = home.mock.requests().len();
    for line in [
        "send -m openai/c1 hi",
        "send -s first -m openai/c1 hi",
        "send -s new -m openai/c1 hi",
        "send -a poet hi",
        "sessions create new",
        "sessions rename first second",
        "sessions clone first",
        "sessions branch first --at @last",
        "sessions fork first@msg_0",
        "sessions archive first",
        "sessions delete first",
        "sessions purge first --yes",
        "sessions import export.jsonl",
        "agents delete poet",
        "store rebuild",
        "store compact",
        "cost --reprice",
    ] {
        let Some(done) = within(&home, READ_ONLY, line) else { return };
        assert_eq!((done.code, done.out.as_str()), (74, ""), "{line}: {}", done.err);
        assert!(done.err.contains("error: ") && done.err.contains("\nhint: "), "{line}: {}", done.err);
        assert!(
            done.err.contains("a copy of it is read") == line.contains("-a poet"),
            "{line}: {}",
            done.err
        );
    }
    assert_eq!(home.mock.requests().len(), asked);
    assert_eq!(left(&home), 0);
    assert!(files(&home.data()) == before, "something was written");
    // What is not kept needs nothing but the agent.
    let done = within(&home, READ_ONLY, "send -q -n -a poet hi").unwrap();
    assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (0, "0 1 2 \n", ""));
}

/// Gives the store a disk that is full to the last page.
const FULL: &str = "cp -a \"$P\" \"$P.kept\" && mount -t tmpfs -o size=6m tmpfs \"$P\" && cp -a \"$P.kept/.\" \"$P\" \
    && mkdir \"$P/tmp\" && { cat /dev/zero >\"$P/filler\"; rm -rf \"$P.kept\"; }";

#[test]
fn a_full_disk_is_read_beside_it() {
    let home = lived_in();
    copy(&home.data(), &home.path().join("other"));
    for line in ["sessions list", "sessions export --all --format jsonl", "sessions search question"] {
        let expected = home.run(&format!("--store other {line}"));
        for place in ["", "; export TMPDIR=\"$P/tmp\""] {
            let Some(done) = within(&home, &format!("{FULL}{place}"), line) else { return };
            assert_eq!((done.code, &done.out), (0, &expected.out), "{line}: {}", done.err);
            assert!(done.err.contains("a copy of it is read"), "{line}: {}", done.err);
            assert_eq!(left(&home), 0);
        }
    }
}

#[test]
fn a_copy_that_fits_nowhere_is_told_and_nothing_stays_of_it() {
    let home = lived_in();
    let small = |place: &str| format!("mount -t tmpfs -o size=64k tmpfs {place}");
    let nowhere = format!("{READ_ONLY} && {} && {}", small("\"$TMPDIR\""), small("/dev/shm"));
    let Some(done) = within(&home, &nowhere, "sessions list") else { return };
    assert_eq!((done.code, done.out.as_str()), (74, ""), "{}", done.err);
    let tmp = home.path().join("tmp");
    let told = format!("cannot be made in {} or /dev/shm: no storage space\n", tmp.display());
    assert!(done.err.contains("cannot be written, and a copy of it, of 1 MB, "), "{}", done.err);
    assert!(done.err.contains(&told) && done.err.contains("hint: set TMPDIR"), "{}", done.err);
    let list = "\"$1\" sessions list; ls -A \"$TMPDIR\" /dev/shm >\"$HOME/left\"";
    within(&home, &format!("{nowhere} && {{ {list}; }}"), "paths").unwrap();
    let left = fs::read_to_string(home.path().join("left")).unwrap();
    assert_eq!(left, format!("/dev/shm:\n\n{}:\n", tmp.display()));
}

#[test]
fn a_store_of_somebody_else_is_read_as_far_as_it_may_be() {
    let home = lived_in();
    copy(&home.data(), &home.path().join("other"));
    let open = |mode: &str| {
        assert!(Command::new("chmod").args(["-R", mode]).arg(home.path()).status().unwrap().success());
        fs::set_permissions(home.path().join("tmp"), fs::Permissions::from_mode(0o777)).unwrap();
    };
    let run = |line: &str| {
        let mut command = home.command(line.split_whitespace());
        command.env("TMPDIR", home.path().join("tmp"));
        // Nothing binds root; who is not root owns the store, and has taken the right to write from itself.
        if rustix::process::geteuid().is_root() {
            command.uid(65_534);
        }
        command.output().map(Done::from).ok()
    };
    let expected = home.run("--store other sessions list");
    open("a+rX,a-w");
    let Some(done) = run("sessions list") else {
        println!("skipped: nobody else may run the program where it was built");
        return;
    };
    assert_eq!((done.code, &done.out), (0, &expected.out), "{}", done.err);
    assert!(done.err.contains("cannot be written (permission denied); a copy of it is read"), "{}", done.err);
    assert_eq!(left(&home), 0);
    assert_eq!(run("sessions delete first").unwrap().code, 74);
    // What cannot be read is told as ever.
    fs::set_permissions(home.data().join("db/db"), fs::Permissions::from_mode(0o000)).unwrap();
    let done = run("sessions list").unwrap();
    assert_eq!((done.code, done.out.as_str()), (74, ""), "{}", done.err);
    assert!(done.err.contains("Permission denied") && !done.err.contains("a copy"), "{}", done.err);
    assert_eq!(left(&home), 0);
    open("u+rwX");
}
