//! One answer on its way out: paced, cut, stalled or whole.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;

use crate::http::head;
use crate::json::quote;
use crate::reply;
use crate::server::Shared;
use crate::workload::{Fault, Workload};

/// What becomes of the connection.
pub(crate) enum Flow {
    /// The next request may come.
    Next,
    /// The mock closes it.
    Close,
    /// The client has closed it.
    Left,
}

/// One answer on its way.
pub(crate) struct Answer<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) index: usize,
    pub(crate) work: &'a Workload,
    pub(crate) model: &'a str,
    pub(crate) prompt: &'a str,
}

impl Answer<'_> {
    /// Streams it.
    pub(crate) fn stream(&self, out: &mut TcpStream, usage: bool) -> io::Result<Flow> {
        let headers = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")];
        out.write_all(head(200, &headers).as_bytes())?;
        if self.work.delay.is_zero() && self.work.fault.is_none() {
            let chunks = if self.work.echo { self.work.texts(self.prompt).len() } else { self.work.chunks };
            out.write_all(&self.shared.rendered(self.work, self.model, self.prompt))?;
            self.shared.sent(self.index, chunks);
            return self.finish(out, chunks, usage);
        }
        let texts = self.work.texts(self.prompt);
        out.write_all(&reply::opening(self.model))?;
        for (done, text) in texts.iter().enumerate() {
            if self.last() == Some(done) {
                break;
            }
            thread::sleep(self.work.delay);
            out.write_all(&match self.work.fault {
                Some(Fault::BadUtf8) if done == 0 => reply::bad_delta(self.model),
                Some(Fault::HugeLine(mib)) if done == 0 => reply::delta(self.model, &"x".repeat(mib << 20)),
                _ => reply::delta(self.model, text),
            })?;
            self.shared.sent(self.index, done + 1);
        }
        match self.work.fault {
            Some(Fault::Cut(_)) => return Ok(Flow::Close),
            Some(Fault::Stall(_)) => return Ok(wait_for_leave(out)),
            Some(Fault::Error(_)) => out.write_all(&reply::error_event())?,
            Some(Fault::End(_)) => {}
            _ => return self.finish(out, texts.len(), usage),
        }
        out.write_all(b"0\r\n\r\n")?;
        Ok(Flow::Next)
    }

    /// Writes the end of a whole stream.
    fn finish(&self, out: &mut TcpStream, chunks: usize, usage: bool) -> io::Result<Flow> {
        let mut end = reply::closing(self.model, self.prompt, chunks, usage);
        end.extend_from_slice(b"0\r\n\r\n");
        out.write_all(&end)?;
        Ok(Flow::Next)
    }

    /// Sends it whole.
    pub(crate) fn whole(&self, out: &mut TcpStream) -> io::Result<Flow> {
        let texts = self.work.texts(self.prompt);
        let text = match self.work.fault {
            Some(Fault::HugeLine(mib)) => "x".repeat(mib << 20),
            _ => texts.concat(),
        };
        let mut body = reply::whole(self.model, &quote(&text), self.prompt, texts.len()).into_bytes();
        if self.work.fault == Some(Fault::BadUtf8) {
            let at =
                body.windows(9).position(|window| window == b"\"content\"").expect("the body has a content");
            body.splice(at + 11..at + 11, *b"\xff\xfe");
        }
        match self.work.fault {
            Some(Fault::Error(_)) => {
                return whole(out, 200, &[], reply::error_of(500).as_bytes());
            }
            Some(Fault::End(_)) => body.truncate(body.len() / 2),
            Some(Fault::Cut(_) | Fault::Stall(_)) => {
                let length = body.len().to_string();
                let headers = [("content-type", "application/json"), ("content-length", length.as_str())];
                out.write_all(head(200, &headers).as_bytes())?;
                out.write_all(&body[..body.len() / 2])?;
                let stalled = matches!(self.work.fault, Some(Fault::Stall(_)));
                return Ok(if stalled { wait_for_leave(out) } else { Flow::Close });
            }
            _ => {}
        }
        let flow = whole(out, 200, &[], &body)?;
        self.shared.sent(self.index, texts.len());
        Ok(flow)
    }

    /// Returns after how many chunks the fault strikes.
    fn last(&self) -> Option<usize> {
        match self.work.fault? {
            Fault::Cut(n) | Fault::End(n) | Fault::Stall(n) | Fault::Error(n) => Some(n),
            _ => None,
        }
    }
}

/// Blocks until the client closes the connection.
fn wait_for_leave(out: &mut TcpStream) -> Flow {
    while matches!(out.read(&mut [0; 512]), Ok(1..)) {}
    Flow::Left
}

/// Sends a JSON body.
pub(crate) fn whole(
    out: &mut TcpStream,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Flow> {
    let mut all = vec![("content-type", "application/json")];
    all.extend(headers);
    send(out, status, &all, body)
}

/// Sends a body.
pub(crate) fn send(
    out: &mut TcpStream,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Flow> {
    let length = body.len().to_string();
    let mut all = headers.to_vec();
    all.push(("content-length", length.as_str()));
    let mut bytes = head(status, &all).into_bytes();
    bytes.extend_from_slice(body);
    out.write_all(&bytes)?;
    Ok(Flow::Next)
}
