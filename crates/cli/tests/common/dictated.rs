//! A server whose answers a test dictates piece by piece, so that it knows what has been said by when.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Home, received};

/// How long a test waits for a request.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that waits for what it shall say.
pub(crate) struct Dictated {
    asked: Receiver<Answer>,
}

/// An answer on its way.
pub(crate) struct Answer {
    /// What was asked for, the whole request.
    pub(crate) asked: Value,
    socket: TcpStream,
}

impl Dictated {
    /// Starts a server, and makes it the provider `own` of a home.
    pub(crate) fn start(home: &Home) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        home.configure(&format!("[providers.own]\nprotocol = \"openai-chat\"\nbase_url = \"{url}\"\n"));
        let (sender, asked) = mpsc::channel();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let mut reader = BufReader::new(socket);
                if let Ok(Some((_, body))) = received(&mut reader) {
                    let asked = serde_json::from_str(&body).unwrap_or_default();
                    let answer = Answer { asked, socket: reader.into_inner() };
                    if sender.send(answer).is_err() {
                        return;
                    }
                }
            }
        });
        Self { asked }
    }

    /// Waits for the next request, and begins to answer it.
    pub(crate) fn answer(&self) -> Answer {
        let mut answer = self.asked.recv_timeout(PATIENCE).unwrap();
        answer.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n");
        answer
    }
}

impl Answer {
    /// Says more of the answer.
    pub(crate) fn say(&mut self, text: &str) {
        self.delta(&json!({"content": text}));
    }

    /// Says more of the reasoning.
    pub(crate) fn think(&mut self, text: &str) {
        self.delta(&json!({"reasoning_content": text}));
    }

    /// Ends the answer.
    pub(crate) fn end(mut self) {
        let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        self.write(&format!("data: {end}\n\ndata: [DONE]\n\n"));
    }

    fn delta(&mut self, delta: &Value) {
        let event = json!({"choices": [{"index": 0, "delta": delta}]});
        self.write(&format!("data: {event}\n\n"));
    }

    fn write(&mut self, text: &str) {
        // Whoever asked may have left, which is for the test to find out.
        let _ = self.socket.write_all(text.as_bytes());
    }
}
