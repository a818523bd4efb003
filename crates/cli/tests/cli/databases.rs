//! Sessions in a PostgreSQL database: every command works there, and one process takes over what another left.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::common::{Done, Home, code};
use crate::postgres::{PASSWORD, Server};

/// The server of this process, started by the first test that needs it.
fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref()
}

/// A home and a database of its own.
struct There {
    home: Home,
    server: &'static Server,
    url: String,
}

impl There {
    fn new() -> Option<Self> {
        let server = server()?;
        Some(Self { home: Home::new(), server, url: server.database() })
    }

    fn command(&self, line: &str) -> Command {
        self.home.command(["--store", &self.url].into_iter().chain(line.split_whitespace()))
    }

    fn run(&self, line: &str) -> Done {
        Done::from(self.command(line).output().unwrap())
    }

    /// Lets time pass for every row that expires, as the clock of the database would.
    fn expire(&self) {
        for table in ["leases", "flights"] {
            let past = "SET expires = now() - INTERVAL '1 second'";
            self.server.sql(&self.url, &format!("UPDATE aichat.{table} {past}"));
        }
    }
}

fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn every_command_works_over_a_database() {
    let Some(there) = There::new() else { return };
    assert_eq!(there.run("sessions create trip -m openai/echo").code, 0);
    assert_eq!(there.run("send -s trip hello").out, "hello\n");
    let sent = object(&there.run("send -s trip --json again").out);
    assert_eq!((&sent["status"], &sent["text"]), (&"completed".into(), &"again".into()), "{sent}");
    assert_eq!(there.run("send -m openai/c3 another").code, 0);
    assert_eq!(there.run("send -c and").code, 0);
    let list = object(&there.run("sessions list --json").out);
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let shown = there.run("sessions show trip").out;
    assert!(shown.contains("hello") && shown.contains("again"), "{shown}");
    let events = object(&there.run("events list trip --json").out);
    assert!(events["items"].as_array().unwrap().len() > 8, "{events}");
    let tail = there.run("events tail trip --limit 2");
    assert_eq!((tail.code, tail.out.lines().count()), (0, 2), "{}", tail.all());
    assert!(there.run("events tail").out.contains("turn.completed"));
    assert_eq!(there.run("events verify --all").code, 0);
    assert_eq!(there.run("sessions rename trip voyage").code, 0);

    let export = there.run("sessions export voyage --format jsonl").out;
    let rebuilt = there.run("store rebuild");
    assert_eq!(rebuilt.code, 0, "{}", rebuilt.all());
    assert_eq!(there.run("sessions export voyage --format jsonl").out, export);
    // From there to a directory, and back again.
    std::fs::write(there.home.path().join("voyage.jsonl"), &export).unwrap();
    assert_eq!(there.home.run("sessions import voyage.jsonl").code, 0);
    assert_eq!(there.home.run("sessions export voyage --format jsonl").out, export);
    assert_eq!(there.run("sessions delete voyage").code, 0);
    assert_eq!(there.run("sessions show voyage").code, 66);
    let stray = there.server.sql(&there.url, "SELECT COUNT(*) FROM aichat.leases");
    assert_eq!(stray, "0", "a process that ends gives back what it held");
}

#[test]
fn the_configuration_names_the_database_and_the_password_comes_from_outside() {
    let Some(there) = There::new() else { return };
    let home = &there.home;
    let url = there.server.url_over_tcp(&there.url);
    assert_eq!(home.run(&format!("settings set store {url}")).code, 0);
    assert_eq!(home.run("settings get store").out.trim_end(), url);
    let shown = home.run("settings show --origin").out;
    assert!(shown.contains(&format!("{url}  file line 1")), "{shown}");
    let place = format!("postgres://{}", url.rsplit_once('@').unwrap().1);
    assert_eq!(object(&home.run("paths --json").out)["store"], place.as_str());

    let refused = home.run("sessions list");
    assert_eq!(refused.code, 74, "{}", refused.all());
    assert!(refused.err.contains("28P01") && refused.err.contains("PGPASSWORD"), "{}", refused.err);
    let wrong = home.command(["sessions", "list", "--json"]).env("PGPASSWORD", "not-the-password").output();
    let wrong = Done::from(wrong.unwrap());
    assert_eq!((wrong.code, wrong.all().contains("not-the-password")), (74, false), "{}", wrong.all());

    let prompt = format!("my password is {PASSWORD}");
    let sent = home.command(["send", "-m", "openai/echo", &prompt]).env("PGPASSWORD", PASSWORD).output();
    let sent = Done::from(sent.unwrap());
    assert_eq!((sent.code, sent.out.trim_end()), (0, &*prompt), "{}", sent.all());
    let pgpass = home.path().join(".pgpass");
    std::fs::write(&pgpass, format!("*:*:*:aichat:{PASSWORD}\n")).unwrap();
    std::fs::set_permissions(&pgpass, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(home.run("sessions list").code, 78, "a file that others can read is not used");
    std::fs::set_permissions(&pgpass, std::fs::Permissions::from_mode(0o600)).unwrap();
    let kept = home.run("sessions export @last --format json").out;
    assert!(kept.contains("my password is") && !kept.contains(PASSWORD), "{kept}");
    assert!(!home.data().exists(), "nothing is kept in the usual place");
    assert_eq!(home.run("--store default sessions list").out, "", "the flag goes before the file");
}

#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    let home = Home::new();
    let url = "postgres://me:hunter2hunter2@127.0.0.1:1/chat";
    let flag = home.run(&format!("--store {url} sessions list"));
    assert_eq!(flag.code, 2, "{}", flag.all());
    assert!(flag.err.contains("PGPASSWORD") && !flag.all().contains("hunter2"), "{}", flag.all());
    let set = home.run(&format!("settings set store {url}"));
    assert_eq!((set.code, set.all().contains("hunter2")), (78, false), "{}", set.all());
    assert!(!home.config_file().exists());
    home.configure(&format!("model = \"a/b\"\nstore = \"{url}\"\n"));
    let file = home.run("sessions list");
    assert_eq!(file.code, 78, "{}", file.all());
    assert!(file.err.contains("line 2") && !file.all().contains("hunter2"), "{}", file.all());
    for (text, wanted) in [
        ("store = \"mysql://me@h/d\"", "no address of a PostgreSQL database"),
        ("store = \"~/chats\"", "write the whole path"),
        ("sotre = \"/x\"", "did you mean `store`?"),
    ] {
        home.configure(text);
        let refused = home.run("sessions list");
        assert_eq!(refused.code, 78, "{}", refused.all());
        assert!(refused.err.contains(wanted), "{}", refused.err);
    }
}

#[test]
fn a_database_that_is_not_there_is_said_at_once() {
    let home = Home::new();
    let url = "postgres://me@127.0.0.1:1/chat";
    let sent = home.run(&format!("--store {url} send --json -m openai/c1 hi"));
    assert_eq!(sent.code, 74, "{}", sent.all());
    let error = &object(&sent.out)["error"];
    assert_eq!((&error["kind"], &error["retryable"]), (&"store".into(), &true.into()), "{error}");
    assert!(error["message"].as_str().unwrap().contains("the database 127.0.0.1:1/chat"), "{error}");
    assert_eq!(home.mock.chunks_sent(), 0, "nothing is asked that cannot be kept");
}

#[test]
fn a_turn_of_a_killed_process_is_taken_over_by_another() {
    let Some(there) = There::new() else { return };
    assert_eq!(there.run("send -s trip -m openai/echo hello").code, 0);
    // The session's own next turn, which holds its lease, is killed in mid-stream.
    let mut child = there.command("send -s trip -m openai/c100-d50000-stall40 go").spawn().unwrap();
    let mut first = vec![0; 64];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    let first = String::from_utf8(first).unwrap();
    let chunks = "SELECT COUNT(*) FROM aichat.chunks";
    while there.server.sql(&there.url, chunks).parse::<u32>().unwrap() < 3 {
        std::thread::yield_now();
    }
    assert_eq!(there.run("send -s trip -m openai/echo on").code, 75, "it is being written");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(there.run("send -s trip -m openai/echo on").code, 75, "its rows have not expired");
    there.expire();

    let on = there.run("send -s trip -m openai/echo on");
    assert_eq!((on.code, on.out.as_str()), (0, "on\n"), "{}", on.all());
    let shown = there.run("sessions show trip --json").out;
    for text in ["hello", &first[..20], "interrupted", "go"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let events = there.run("events list trip").out;
    for kind in ["turn.recovered", "llm.response.interrupted", "turn.interrupted"] {
        assert_eq!(events.matches(kind).count(), 1, "{kind}: {events}");
    }
    assert_eq!(there.run("events verify --all").code, 0);
}

#[test]
fn the_first_turn_of_a_killed_process_is_recovered_once() {
    let Some(there) = There::new() else { return };
    let mut child = there.command("send -m openai/c100-d50000-stall40 go").spawn().unwrap();
    let mut first = vec![0; 32];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    child.kill().unwrap();
    assert_eq!(code(child.wait().unwrap()), 137);
    there.expire();
    // Many that come at once fold it once.
    let all: Vec<_> = (0..6).map(|_| there.command("sessions list --json").spawn().unwrap()).collect();
    for one in all {
        let done = Done::from(one.wait_with_output().unwrap());
        assert_eq!(done.code, 0, "{}", done.all());
        assert_eq!(object(&done.out)["items"][0]["status"], "interrupted", "{}", done.all());
    }
    let events = there.run("events list @last").out;
    assert_eq!(events.matches("turn.interrupted").count(), 1, "{events}");
    assert_eq!(there.run("events verify --all").code, 0);
}

#[test]
fn many_processes_send_at_once() {
    let Some(there) = There::new() else { return };
    assert_eq!(there.run("sessions create shared -m openai/echo").code, 0);
    let fresh = (0..6).map(|_| there.command("send -m openai/c3 hi").spawn().unwrap());
    let shared = (0..4).map(|n| there.command(&format!("send --wait -s shared turn{n}")).spawn().unwrap());
    for child in fresh.chain(shared).collect::<Vec<_>>() {
        let done = Done::from(child.wait_with_output().unwrap());
        assert_eq!(done.code, 0, "{}", done.all());
    }
    let list = object(&there.run("sessions list --json").out);
    let turns: u64 = list["items"].as_array().unwrap().iter().map(|s| s["turns"].as_u64().unwrap()).sum();
    assert_eq!((list["items"].as_array().unwrap().len(), turns), (7, 10));
    assert_eq!(there.run("events verify --all").code, 0);
}

#[test]
fn everything_is_copied_from_a_directory_to_a_database_and_back() {
    let Some(there) = There::new() else { return };
    let home = &there.home;
    assert_eq!(home.run("sessions create trip -m openai/echo").code, 0);
    assert_eq!(home.run("send -s trip hello").out, "hello\n");
    let there_too = home.run(&format!("store copy default {}", there.url));
    assert_eq!(there_too.code, 0, "{}", there_too.all());
    let export = home.run("sessions export trip --format jsonl").out;
    assert_eq!(there.run("sessions export trip --format jsonl").out, export);
    for line in ["store verify", "store compact", "store verify"] {
        let done = there.run(line);
        assert_eq!(done.code, 0, "{line}: {}", done.all());
    }
    let info = object(&there.run("store info --json").out).to_string();
    assert!(info.contains("\"backend\":\"postgres\""), "{info}");
    assert_eq!(there.run("send -s trip more").code, 0);
    let back = home.run(&format!("store copy {} elsewhere", there.url));
    assert_eq!(back.code, 0, "{}", back.all());
    let export = there.run("sessions export trip --format jsonl").out;
    assert_eq!(home.run("--store elsewhere sessions export trip --format jsonl").out, export);
    assert_eq!(home.run(&format!("store copy {0} {0}", there.url)).code, 2, "to itself");
}

#[test]
fn exports_are_the_same_bytes_through_a_database_as_through_a_directory() {
    let Some(there) = There::new() else { return };
    let home = &there.home;
    std::fs::write(home.path().join("a.png"), b"\x89PNG\r\n\x1a\n\0\0an image").unwrap();
    for line in [
        "send -s trip -m openai/echo one",
        "send -s trip -f a.png what is this",
        "sessions branch trip --at @last~2 --name other",
        "send -s trip two",
        "sessions clone trip --name copy",
        "send -s copy three",
        "send -s refused -m openai/e400 no",
        "sessions archive refused",
    ] {
        // The refused one fails, as it shall.
        assert_eq!(there.run(line).code == 0, !line.contains("e400"), "{line}");
    }
    for (format, sessions) in [("jsonl", "trip copy refused"), ("json", "copy")] {
        let exported = there.run(&format!("sessions export {sessions} --format {format}"));
        assert_eq!(exported.code, 0, "{}", exported.err);
        std::fs::write(home.path().join("exported"), &exported.out).unwrap();
        let place = format!("--store in-{format}");
        for _ in 0..2 {
            assert_eq!(home.run(&format!("{place} sessions import exported")).code, 0);
            let again = home.run(&format!("{place} sessions export {sessions} --format {format}"));
            assert!(again.out == exported.out, "through a directory, {format}: {}", again.err);
        }
        let Some(second) = There::new() else { return };
        let file = home.path().join("exported");
        for _ in 0..2 {
            assert_eq!(second.run(&format!("sessions import {}", file.display())).code, 0);
            let again = second.run(&format!("sessions export {sessions} --format {format}"));
            assert!(again.out == exported.out, "through a database, {format}: {}", again.err);
        }
        assert_eq!(second.run("store verify").code, 0);
    }
    let purged = there.run("sessions purge trip --yes --with-forks");
    assert_eq!(purged.code, 0, "{}", purged.all());
    for line in ["store verify", "store rebuild", "store verify", "events verify --all"] {
        let done = there.run(line);
        assert_eq!(done.code, 0, "{line}: {}", done.all());
    }
}
