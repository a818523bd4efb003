//! A mock OpenAI-compatible upstream whose workload is written in the model name, for tests and benchmarks.
//!
//! A model name is a list of words joined by `-`, for example `c100-d500-l20`:
//!
//! | word | meaning |
//! |---|---|
//! | `c<N>` | answer in N chunks, numbered `0 1 2 …` (1) |
//! | `d<us>` | microseconds between chunks (0: the whole body in one write) |
//! | `l<bytes>` | length of each chunk's text; shorter numbers are padded with `.` |
//! | `t<us>` | microseconds before the headers |
//! | `echo` | answer with the last user prompt, cut into at most `c` chunks |
//! | `e<status>` | an HTTP error with a JSON body; `r<seconds>` adds `retry-after` |
//! | `x<N>` | the fault strikes only the first N requests of one prompt |
//! | `ehtml502` | a proxy's HTML page with status 502 |
//! | `k` | status 401; the authorization header comes back in the body and in a header |
//! | `cut<N>` | the connection closes after N chunks |
//! | `end<N>` | the body ends properly after N chunks, without finish reason and `[DONE]` |
//! | `stall<N>` | nothing more comes after N chunks until the client leaves |
//! | `err<N>` | an error object inside the 200 after N chunks |
//! | `badutf8` | the first chunk's text holds the bytes `ff fe` |
//! | `hugeline<MiB>` | the first chunk's text is that long (64) |
//!
//! Any other word makes the model unknown: status 404. The same request always gets the same bytes.
//!
//! ```
//! use std::io::{Read, Write};
//!
//! let mock = aichat_mock::Mock::start().unwrap();
//! let mut socket = std::net::TcpStream::connect(mock.address()).unwrap();
//! let body = r#"{"model":"c3","messages":[{"role":"user","content":"hi"}]}"#;
//! write!(socket, "POST /v1/chat/completions HTTP/1.1\r\nconnection: close\r\n").unwrap();
//! write!(socket, "content-length: {}\r\n\r\n{body}", body.len()).unwrap();
//! let mut answer = String::new();
//! socket.read_to_string(&mut answer).unwrap();
//! assert!(answer.contains("0 1 2 "));
//! assert_eq!(mock.requests()[0].prompt, "hi");
//! ```

mod answer;
mod http;
mod json;
mod reply;
mod server;
mod workload;

pub use server::{Exchange, Mock};
pub use workload::{Fault, Workload};
