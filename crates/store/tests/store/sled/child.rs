//! Processes that work on a store until they are done or killed: this same program, run once more.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use aichat_store::{ErrorKind, Sled, Store};

use super::work::{fold, header, record, session};

const ROLE: &str = "AICHAT_STORE_ROLE";
const DATA: &str = "AICHAT_STORE_DATA";
const FIRST: &str = "AICHAT_STORE_FIRST";

/// What a child does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// Begins, writes and folds turns for ever.
    Work,
    /// Folds turns for ever.
    Fold,
    /// Begins and finishes twenty turns.
    Begin,
    /// Opens the log and holds it for ever.
    Hold,
    /// Works into a limit on the size of files.
    Fill,
    /// Works and compacts the store for ever.
    Compact,
    /// Compacts into a limit on the size of files.
    Squeeze,
}

/// A running child and what it says.
pub(super) struct Running {
    pub(super) process: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

/// Starts a child whose turns are numbered from `first` on, with files of at most `limit` 512-byte blocks.
pub(super) fn start(role: Role, data: &Path, first: u64, limit: Option<u32>) -> Running {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", "sled::child::child", "--ignored", "--nocapture"];
    let mut command = match limit {
        None => Command::new(program),
        Some(blocks) => {
            let mut shell = Command::new("sh");
            let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
            shell.args(["-c", &script, "limited"]).arg(program);
            shell
        }
    };
    command.args(arguments).env(ROLE, format!("{role:?}")).env(DATA, data).env(FIRST, first.to_string());
    let mut process =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    Running { process, lines }
}

impl Running {
    /// Returns the next thing the child says, or `None` once it is gone.
    pub(super) fn next(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.unwrap();
            match line.strip_prefix("> ") {
                Some(said) => return Some(said.to_owned()),
                None => eprintln!("child: {line}"),
            }
        }
    }

    /// Kills the child at once and adds everything it had said to what is acknowledged.
    pub(super) fn kill(mut self, acknowledged: &mut BTreeMap<u64, u64>) {
        self.process.kill().unwrap();
        while let Some(line) = self.next() {
            acknowledge(acknowledged, &line);
        }
        self.process.wait().unwrap();
    }

    /// Waits for the child's own end.
    pub(super) fn finish(mut self, acknowledged: &mut BTreeMap<u64, u64>) {
        while let Some(line) = self.next() {
            acknowledge(acknowledged, &line);
        }
        assert!(self.process.wait().unwrap().success(), "a child failed");
    }
}

/// Notes `kept <turn> <records>`.
pub(super) fn acknowledge(acknowledged: &mut BTreeMap<u64, u64>, line: &str) {
    if let Some(kept) = line.strip_prefix("kept ") {
        let (number, count) = kept.split_once(' ').unwrap();
        acknowledged.insert(number.parse().unwrap(), count.parse().unwrap());
    }
}

fn say(line: &str) {
    eprintln!("> {line}");
}

#[test]
#[ignore = "the child process of other tests"]
fn child() {
    let (Ok(role), Ok(data), Ok(first)) = (std::env::var(ROLE), std::env::var(DATA), std::env::var(FIRST))
    else {
        return;
    };
    let first: u64 = first.parse().unwrap();
    let store = Sled::at(data);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match role.as_str() {
            "Work" => work(&store, first).await,
            "Fold" => {
                say("folds");
                loop {
                    fold(&store).await.unwrap();
                    store.release().await.unwrap();
                }
            }
            "Begin" => {
                for number in first..first + 20 {
                    let turn = store.begin(header(number), vec![record(number, 0)]).await.unwrap();
                    say(&format!("kept {number} 1"));
                    turn.finish().await.unwrap();
                }
            }
            "Hold" => {
                store.head(&session(0)).await.unwrap();
                say("open");
                std::future::pending::<()>().await;
            }
            "Fill" => fill(&store, first).await,
            "Compact" => {
                for number in first.. {
                    let records = (0..20).map(|index| record(number, index)).collect();
                    store.begin(header(number), records).await.unwrap().finish().await.unwrap();
                    say(&format!("kept {number} 20"));
                    fold(&store).await.unwrap();
                    say("compacting");
                    store.compact().await.unwrap();
                }
            }
            "Squeeze" => {
                let error = store.compact().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
                say("full");
            }
            role => panic!("no such role: {role}"),
        }
    });
}

async fn work(store: &Sled, first: u64) {
    for number in first.. {
        let mut turn = store.begin(header(number), vec![record(number, 0), record(number, 1)]).await.unwrap();
        say(&format!("kept {number} 2"));
        let count = 2 + number % 7;
        for index in 2..count {
            turn.append(record(number, index));
        }
        match number % 4 {
            0 => drop(turn),
            1 => {
                turn.sync().await.unwrap();
                say(&format!("kept {number} {count}"));
                drop(turn);
            }
            _ => {
                turn.finish().await.unwrap();
                say(&format!("kept {number} {count}"));
            }
        }
        if number % 3 == 0 {
            fold(store).await.unwrap();
        }
        if number % 6 == 0 || first.is_multiple_of(2) {
            store.release().await.unwrap();
        }
    }
}

/// Meets the limit in `begin`, in a turn's sync and in a commit; each says so, and nothing else fails.
async fn fill(store: &Sled, first: u64) {
    let huge = vec![b'x'; 4 << 20];
    let error = store.begin(header(first), vec![huge.clone()]).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
    let mut turn = store.begin(header(first + 1), vec![record(first + 1, 0)]).await.unwrap();
    say(&format!("kept {} 1", first + 1));
    turn.append(huge.clone());
    assert_eq!(turn.sync().await.unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(turn.finish().await.unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(store.put_blob(&huge).await.unwrap_err().kind(), ErrorKind::Full);
    for number in first + 2.. {
        let mut turn = store.begin(header(number), vec![record(number, 0)]).await.unwrap();
        (1..60).for_each(|index| turn.append(record(number, index)));
        turn.finish().await.unwrap();
        say(&format!("kept {number} 60"));
        match fold(store).await {
            Ok(_) => assert!(number < first + 2_000, "the limit was never met"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
                return say("full");
            }
        }
    }
}
