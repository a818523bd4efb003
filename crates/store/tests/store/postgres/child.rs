//! A process that holds a session until it is killed: this same program, run once more.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aichat_store::Store;

use super::{header, open, session};

const URL: &str = "AICHAT_STORE_URL";
const LEASE_MS: &str = "AICHAT_STORE_LEASE_MS";

/// Starts a child that holds the lease of session 1 and a turn in flight of it, and waits until it does.
pub(super) fn start(url: &str, lease: Duration) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "postgres::child::child", "--ignored", "--nocapture"]);
    command.env(URL, url).env(LEASE_MS, lease.as_millis().to_string());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let lines: Vec<_> = lines.take_while(|line| line != "> holding").collect();
    assert!(child.try_wait().unwrap().is_none(), "the child ended: {lines:?}");
    child
}

#[test]
#[ignore = "the child process of other tests"]
fn child() {
    let (Ok(url), Ok(lease)) = (std::env::var(URL), std::env::var(LEASE_MS)) else { return };
    let store = open(&url, Duration::from_millis(lease.parse().unwrap()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _lease = store.lease(&session(1), Duration::ZERO).await.unwrap();
        let mut turn = store.begin(header(1), vec![b"begun".to_vec()]).await.unwrap();
        turn.append(b"written".to_vec());
        turn.sync().await.unwrap();
        eprintln!("> holding");
        std::future::pending::<()>().await;
    });
}
