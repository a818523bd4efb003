//! Telemetry: a collector in this process takes it, and one that people use where it is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::{Done, Home};
use crate::published::Published;

/// What a request to a collector was.
#[derive(Clone)]
struct Posted {
    path: String,
    headers: String,
    body: Vec<u8>,
}

/// A collector that knows spans by their ids.
struct Collector {
    url: String,
    posted: Arc<Mutex<Vec<Posted>>>,
}

impl Collector {
    /// Starts one that answers every request to a path with a status.
    fn start(status: impl Fn(&str) -> u16 + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let posted = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&posted);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let mut reader = BufReader::new(socket);
                while let Some(request) = read(&mut reader) {
                    let code = status(&request.path);
                    kept.lock().unwrap().push(request);
                    let head = format!("HTTP/1.1 {code} X\r\ncontent-type: application/x-protobuf");
                    if write!(reader.get_mut(), "{head}\r\ncontent-length: 0\r\n\r\n").is_err() {
                        break;
                    }
                }
            }
        });
        Self { url, posted }
    }

    fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }

    /// Returns the names of the spans by trace and span, each once.
    fn spans(&self) -> BTreeMap<(Vec<u8>, Vec<u8>), String> {
        let bodies = self.posted().into_iter().filter(|one| one.path == "/v1/traces").map(|one| one.body);
        // Resource spans, scope spans, spans; then trace id, span id and name.
        let spans = bodies.flat_map(|body| within(&body, &[1, 2, 2]));
        spans
            .map(|span| {
                let text = |number| within(&span, &[number]).pop().unwrap_or_default();
                ((text(1), text(2)), String::from_utf8(text(5)).unwrap())
            })
            .collect()
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Posted> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let headers = lines.join("\n").to_ascii_lowercase();
    let length = headers.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Posted { path: lines[0].split(' ').nth(1).unwrap().to_owned(), headers, body })
}

/// Returns what stands in a protobuf message at a path of field numbers.
fn within(message: &[u8], path: &[u64]) -> Vec<Vec<u8>> {
    let Some((number, rest)) = path.split_first() else { return vec![message.to_vec()] };
    let mut found = Vec::new();
    let mut at = 0;
    let varint = |at: &mut usize| {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = message[*at];
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    };
    while at < message.len() {
        let key = varint(&mut at);
        let end = match key & 7 {
            0 => {
                varint(&mut at);
                at
            }
            1 => at + 8,
            2 => varint(&mut at) as usize + at,
            5 => at + 4,
            other => panic!("no wire type {other}"),
        };
        if key >> 3 == *number {
            found.extend(within(&message[at..end], rest));
        }
        at = end;
    }
    found
}

/// A home with three sessions: one with two turns, one that failed, one without turns.
fn lived() -> Home {
    let home = Home::new();
    for line in [
        "send -s one -m openai/c3 tell me of herons",
        "send -s one and of storks",
        "send -s other -m openai/e400 this fails",
        "sessions create empty",
    ] {
        home.run(line);
    }
    home
}

#[test]
fn what_is_sent_twice_is_there_once_and_what_was_said_stays_here() {
    let home = lived();
    let collector = Collector::start(|_| 200);
    let line = format!("events otel --all --endpoint {} --json", collector.url);
    let sent = home.run(&line);
    assert_eq!(sent.code, 0, "{}", sent.all());
    assert_eq!(sent.out.trim(), r#"{"schema":"aichat.otel/1","sessions":3,"spans":6,"metrics":true}"#);
    Published::of(&home).hold("aichat events otel", &serde_json::from_str(&sent.out).unwrap());
    let first = collector.posted();
    let spans = collector.spans();
    let names: Vec<&str> = spans.values().map(String::as_str).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 3, "{names:?}");
    assert_eq!(names.iter().filter(|name| **name == "turn").count(), 3, "{names:?}");
    assert_eq!(names.iter().filter(|name| **name == "chat c3").count(), 2, "{names:?}");
    assert!(first.iter().all(|one| one.headers.contains("content-type: application/x-protobuf")));

    assert_eq!(home.run(&line).code, 0);
    let both = collector.posted();
    assert_eq!(both.len(), 2 * first.len());
    let bodies =
        |all: &[Posted]| all.iter().map(|one| (one.path.clone(), one.body.clone())).collect::<Vec<_>>();
    assert_eq!(bodies(&both[first.len()..]), bodies(&first), "the same bytes");
    assert_eq!(collector.spans(), spans);

    let holds = |text: &[u8]| {
        collector.posted().iter().any(|one| one.body.windows(text.len()).any(|window| window == text))
    };
    assert!(!holds(b"herons"));
    assert_eq!(home.run(&format!("events otel one --content --endpoint {}/", collector.url)).code, 0);
    assert!(holds(b"herons") && holds(b"gen_ai.input.messages"));
    assert_eq!(collector.spans(), spans);

    // A turn more is two spans more.
    assert_eq!(home.run("send -s one and of cranes").code, 0);
    assert_eq!(home.run(&line).code, 0);
    assert_eq!(collector.spans().len(), spans.len() + 2);
}

#[test]
fn a_collector_is_told_who_asks_and_what_it_answers_counts() {
    let home = lived();
    let traces_only = Collector::start(|path| if path == "/v1/traces" { 200 } else { 404 });
    let mut command = home.command(["events", "otel", "--all", "--json"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &traces_only.url);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer abc-0123456789, x-team=birds");
    let sent = Done::from(command.output().unwrap());
    assert_eq!(sent.code, 0, "{}", sent.all());
    assert!(sent.out.contains(r#""spans":6,"metrics":false"#), "{}", sent.all());
    let posted = traces_only.posted();
    assert!(posted.iter().all(|one| one.headers.contains("authorization: bearer abc-0123456789\n")));
    assert!(posted.iter().all(|one| one.headers.contains("x-team: birds")));

    let cases: [(u16, i32); 3] = [(401, 77), (404, 69), (503, 75)];
    for (status, code) in cases {
        let collector = Collector::start(move |_| status);
        let failed = home.run(&format!("events otel one --endpoint {}", collector.url));
        assert_eq!(failed.code, code, "{}", failed.all());
        let said = format!("the collector answered {status} to /v1/traces");
        assert!(failed.err.contains(&said), "{}", failed.err);
    }
    for (endpoint, said) in [
        ("127.0.0.1:4318", "must begin with http://"),
        ("http://user:secret-secret@127.0.0.1:4318", "OTEL_EXPORTER_OTLP_HEADERS"),
    ] {
        let failed = home.run(&format!("events otel one --endpoint {endpoint}"));
        assert!(failed.code == 2 && failed.err.contains(said), "{}", failed.all());
        assert!(!failed.err.contains("secret-secret"), "{}", failed.err);
    }
    let failed = home.run("events otel one");
    assert!(failed.code == 2 && failed.err.contains("--endpoint"), "{}", failed.all());
}

/// Phoenix, a collector that people use, in a process of its own.
struct Phoenix {
    process: Child,
    url: String,
}

impl Phoenix {
    /// Starts it in a directory; `None` where it is not installed.
    fn start(program: Option<PathBuf>, place: &Path) -> Option<Self> {
        let program = program?;
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ports = [free(), free()];
        let process = Command::new(program)
            .arg("serve")
            .env("PHOENIX_WORKING_DIR", place)
            .env("PHOENIX_HOST", "127.0.0.1")
            .env("PHOENIX_PORT", ports[0].to_string())
            .env("PHOENIX_GRPC_PORT", ports[1].to_string())
            .env("PHOENIX_TELEMETRY_ENABLED", "false")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let this = Self { process, url: format!("http://127.0.0.1:{}", ports[0]) };
        this.wait(|| this.get("/healthz").is_some());
        Some(this)
    }

    /// Looks until something holds, for two minutes.
    fn wait(&self, holds: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(120);
        while !holds() {
            assert!(Instant::now() < until, "Phoenix does not come to it");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut socket = TcpStream::connect(self.url.strip_prefix("http://")?).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let head = "host: localhost\r\nconnection: close";
        write!(socket, "GET {path} HTTP/1.1\r\n{head}\r\n\r\n").ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    }

    /// Returns the ids of all spans.
    fn spans(&self) -> Vec<String> {
        let answer = self.get("/v1/projects/default/spans?limit=1000").unwrap_or_default();
        answer
            .split("\"span_id\":\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect()
    }
}

impl Drop for Phoenix {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn phoenix_has_each_span_once_however_often_it_is_sent() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = std::env::split_paths(&path).map(|place| place.join("phoenix")).find(|path| path.is_file());
    let place = tempfile::tempdir().unwrap();
    let Some(phoenix) = Phoenix::start(program, place.path()) else {
        return println!("skipped: Phoenix is not installed (`pip install arize-phoenix`)");
    };
    let home = lived();
    let line = format!("events otel --all --content --json --endpoint {}", phoenix.url);
    let sent = home.run(&line);
    assert!(sent.code == 0 && sent.out.contains(r#""spans":6"#), "{}", sent.all());
    phoenix.wait(|| phoenix.spans().len() >= 6);
    let before = phoenix.spans();
    assert_eq!(home.run(&line).code, 0);
    // Spans are taken in in order: when one that is new is there, those that were sent again before it are too.
    assert_eq!(home.run("send -s last -m openai/c1 one more").code, 0);
    assert_eq!(home.run(&line).code, 0);
    phoenix.wait(|| phoenix.spans().len() >= 8);
    let after = phoenix.spans();
    assert_eq!((before.len(), after.len()), (6, 8));
    assert!(before.iter().all(|span| after.contains(span)));
    println!(
        "spans in Phoenix: {} after one export, {} after three and a turn more",
        before.len(),
        after.len()
    );
}
