//! The server: one thread per connection, and the record of what came and went.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::answer::{Answer, Flow, send, whole};
use crate::http::Request;
use crate::json::{Json, quote};
use crate::reply;
use crate::workload::{Fault, Workload};

/// A running mock upstream on a loopback port of its own; dropping it stops it.
#[derive(Debug)]
pub struct Mock {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// One request the mock received, and how its answer went.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Exchange {
    /// When the request had been read.
    pub at: SystemTime,
    /// The path, for example `/v1/chat/completions`.
    pub path: String,
    /// The headers as they came, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it came; bytes that are not UTF-8 are replaced.
    pub body: String,
    /// The model that was asked for; empty where there was none.
    pub model: String,
    /// The text of the last user message; empty where there was none.
    pub prompt: String,
    /// How many chunks had been handed to the kernel at which instant, oldest first.
    pub sent: Vec<(SystemTime, usize)>,
    /// Whether the client left before the answer was out.
    pub client_left: bool,
}

impl Exchange {
    /// Returns how many chunks had been handed to the kernel by `instant`.
    pub fn sent_by(&self, instant: SystemTime) -> usize {
        self.sent.iter().take_while(|(at, _)| *at <= instant).last().map_or(0, |(_, count)| *count)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    exchanges: Mutex<Vec<Exchange>>,
    openings: Mutex<HashMap<String, Arc<Vec<u8>>>>,
    log: Option<Mutex<File>>,
    stopped: AtomicBool,
}

impl Mock {
    /// Starts a mock on a free port.
    ///
    /// # Errors
    /// Where no loopback port can be had.
    pub fn start() -> io::Result<Mock> {
        Mock::listen(0, None)
    }

    /// Starts a mock on `port` (0: a free one) that writes a line of JSON for each request and each chunk sent
    /// to the file `log`, flushed at once.
    ///
    /// # Errors
    /// Where the port cannot be had or the file not created.
    pub fn listen(port: u16, log: Option<&Path>) -> io::Result<Mock> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let log = log.map(File::create).transpose()?.map(Mutex::new);
        let shared = Arc::new(Shared { log, ..Shared::default() });
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if server.stopped.load(Ordering::Acquire) {
                    return;
                }
                let server = Arc::clone(&server);
                thread::spawn(move || server.converse(socket));
            }
        });
        Ok(Mock { address, shared })
    }

    /// Returns the socket address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base URL for an OpenAI client, `/v1` included.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Returns every request so far except models calls, in the order they were read.
    pub fn requests(&self) -> Vec<Exchange> {
        lock(&self.shared.exchanges).clone()
    }

    /// Returns how many chunks have been handed to the kernel, over all requests.
    pub fn chunks_sent(&self) -> usize {
        let exchanges = lock(&self.shared.exchanges);
        exchanges.iter().filter_map(|exchange| exchange.sent.last()).map(|(_, count)| count).sum()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the listener; where that fails it is gone already.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    /// Answers the requests of one connection until either side closes it.
    fn converse(&self, socket: TcpStream) {
        let mut from = match socket.try_clone() {
            Ok(clone) => BufReader::new(clone),
            Err(_) => return,
        };
        let mut out = socket;
        drop(out.set_nodelay(true));
        while let Ok(Some(request)) = Request::read(&mut from) {
            let close = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
            if !matches!(self.answer(&request, &mut out), Ok(Flow::Next)) || close {
                break;
            }
        }
        drop(out.shutdown(Shutdown::Both));
    }

    fn answer(&self, request: &Request, out: &mut TcpStream) -> io::Result<Flow> {
        if request.method == "GET" {
            return match request.path.as_str() {
                "/v1/models" => whole(out, 200, &[], reply::models().as_bytes()),
                _ => whole(out, 404, &[], reply::error_of(404).as_bytes()),
            };
        }
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let json = Json::parse(&body).unwrap_or(Json::Null);
        let model = json.get("model").and_then(Json::text).unwrap_or_default().to_owned();
        let prompt = last_prompt(&json);
        let (index, strikes) = self.receive(Exchange {
            at: SystemTime::now(),
            path: request.path.clone(),
            headers: request.headers.clone(),
            body,
            model: model.clone(),
            prompt: prompt.clone(),
            sent: Vec::new(),
            client_left: false,
        });
        let bad = |out: &mut _, status: u16| whole(out, status, &[], reply::error_of(status).as_bytes());
        if request.path != "/v1/chat/completions" {
            return bad(out, 404);
        }
        if json == Json::Null {
            return bad(out, 400);
        }
        let Some(mut work) = Workload::parse(&model) else { return bad(out, 404) };
        if work.strikes.is_some_and(|most| strikes >= most) {
            work.fault = None;
        }
        thread::sleep(work.wait);
        let retry_after = work.retry_after.map(|seconds| seconds.to_string());
        let headers: Vec<_> = retry_after.iter().map(|value| ("retry-after", value.as_str())).collect();
        match work.fault {
            Some(Fault::Status(status)) => {
                return whole(out, status, &headers, reply::error_of(status).as_bytes());
            }
            Some(Fault::Html) => {
                let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>mock</body>\r\n</html>\r\n";
                return send(out, 502, &[("content-type", "text/html")], page.as_bytes());
            }
            Some(Fault::Key) => {
                let key = request.header("authorization").unwrap_or_default();
                let body = reply::error(
                    &format!("incorrect key: {key}"),
                    "invalid_request_error",
                    "invalid_api_key",
                );
                return whole(out, 401, &[("x-echo", key)], body.as_bytes());
            }
            _ => {}
        }
        let answer = Answer { shared: self, index, work: &work, model: &model, prompt: &prompt };
        let streamed = json.get("stream") == Some(&Json::Bool(true));
        let options = json.get("stream_options").and_then(|options| options.get("include_usage"));
        let result =
            if streamed { answer.stream(out, options == Some(&Json::Bool(true))) } else { answer.whole(out) };
        if matches!(result, Err(_) | Ok(Flow::Left)) {
            lock(&self.exchanges)[index].client_left = true;
        }
        result
    }

    /// Records a request; returns its index and how many came before it with the same model and prompt.
    fn receive(&self, exchange: Exchange) -> (usize, usize) {
        let mut exchanges = lock(&self.exchanges);
        let index = exchanges.len();
        self.note(
            exchange.at,
            index,
            &format!(r#""model":{},"prompt":{}"#, quote(&exchange.model), quote(&exchange.prompt)),
        );
        let same = |old: &&Exchange| old.model == exchange.model && old.prompt == exchange.prompt;
        let earlier = exchanges.iter().filter(same).count();
        exchanges.push(exchange);
        (index, earlier)
    }

    /// Records that `count` chunks of an answer are out.
    pub(crate) fn sent(&self, index: usize, count: usize) {
        let now = SystemTime::now();
        lock(&self.exchanges)[index].sent.push((now, count));
        self.note(now, index, &format!(r#""chunks":{count}"#));
    }

    fn note(&self, at: SystemTime, index: usize, members: &str) {
        let Some(log) = &self.log else { return };
        let us = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        // The log is a witness, not the service: where it cannot be written the test that reads it fails.
        drop(writeln!(lock(log), r#"{{"request":{index},"at_us":{us},{members}}}"#));
    }

    /// Returns the HTTP chunks of a faultless stream up to its last increment; all but echoes are rendered once.
    pub(crate) fn rendered(&self, work: &Workload, model: &str, prompt: &str) -> Arc<Vec<u8>> {
        let render = || {
            let mut body = reply::opening(model);
            body.extend(work.texts(prompt).iter().flat_map(|text| reply::delta(model, text)));
            Arc::new(body)
        };
        if work.echo {
            return render();
        }
        Arc::clone(lock(&self.openings).entry(model.to_owned()).or_insert_with(render))
    }
}

/// Returns the text of the last user message of a chat request.
fn last_prompt(request: &Json) -> String {
    let messages = request.get("messages").map_or(&[][..], Json::list);
    let user = |message: &&Json| message.get("role").and_then(Json::text) == Some("user");
    let Some(content) = messages.iter().rev().find(user).and_then(|message| message.get("content")) else {
        return String::new();
    };
    match content.text() {
        Some(text) => text.to_owned(),
        None => content.list().iter().filter_map(|part| part.get("text").and_then(Json::text)).collect(),
    }
}

/// Takes a lock; a panic elsewhere leaves records that are whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
