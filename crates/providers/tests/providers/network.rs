//! The transport against a socket of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aichat_message::ErrorKind;
use aichat_providers::{Driver, Endpoint, Error, Http, OpenaiChat, Profile, Timeout, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::canned::play;

/// What a server does once it has read a request's head.
enum Act {
    Say(&'static str),
    SayAndHang(&'static str),
    Reset,
}

async fn serve(act: Act) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 16 << 10];
            let _ = socket.read(&mut head).await;
            match act {
                Act::Say(text) => {
                    let _ = socket.write_all(text.as_bytes()).await;
                    let _ = socket.shutdown().await;
                }
                Act::SayAndHang(text) => {
                    let _ = socket.write_all(text.as_bytes()).await;
                    let _ = socket.read_to_end(&mut Vec::new()).await;
                }
                Act::Reset => reset(socket),
            }
        }
    });
    format!("http://{address}/v1")
}

fn reset(socket: TcpStream) {
    let _ = socket.set_zero_linger();
}

async fn fail(base: &str) -> Error {
    let timeouts = Timeouts { first_byte: Duration::from_millis(300), idle: Duration::from_millis(300) };
    let endpoint = Endpoint::new("p", base, Arc::new(Http::new())).with_timeouts(timeouts);
    play(&Driver::new(endpoint, OpenaiChat::new(Profile::generic())).unwrap()).await.1.unwrap()
}

#[tokio::test]
async fn an_answer_comes_through() {
    let base = serve(Act::SayAndHang(ANSWER)).await;
    let endpoint = Endpoint::new("p", base, Arc::new(Http::new()));
    let (fold, error) = play(&Driver::new(endpoint, OpenaiChat::new(Profile::generic())).unwrap()).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(fold.message().text(), "hi");
}

#[tokio::test]
async fn each_failure_says_what_failed() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let tls = serve(Act::Say("HTTP/1.1 400 Bad Request\r\n\r\n")).await.replace("http:", "https:");
    let cases = [
        (format!("http://{unused}/v1"), "the connection was refused; is the server running?"),
        (serve(Act::Reset).await, "the connection was reset"),
        (serve(Act::Say("hello, this is not http\r\n\r\n")).await, "the answer is not http"),
        (serve(Act::Say("")).await, "the connection was closed"),
        (tls, "tls failed: the server does not speak tls"),
        ("http://no-such-host.invalid/v1".to_owned(), "the host's name cannot be resolved"),
    ];
    for (base, message) in cases {
        let error = fail(&base).await;
        assert_eq!((error.kind(), error.message()), (ErrorKind::Transport, message), "{base} {error:?}");
    }
}

#[tokio::test]
async fn a_stalled_server_is_a_timeout_and_a_cut_body_is_truncated() {
    assert_eq!(fail(&serve(Act::SayAndHang("")).await).await.timeout(), Some(Timeout::FirstByte));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\n: ping\n\n";
    assert_eq!(fail(&serve(Act::SayAndHang(head)).await).await.timeout(), Some(Timeout::Idle));
    assert_eq!(fail(&serve(Act::Say(head)).await).await.kind(), ErrorKind::Truncated);
}

/// Answers every request with `reply`, and hands out what it was sent.
async fn overheard(reply: String) -> (SocketAddr, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, ears) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = vec![0; 16 << 10];
            let read = socket.read(&mut head).await.unwrap_or(0);
            let _ = heard.send(String::from_utf8_lossy(&head[..read]).into_owned());
            let _ = socket.write_all(reply.as_bytes()).await;
            let _ = socket.shutdown().await;
        }
    });
    (address, ears)
}

fn with_key(base: &str, http: Http) -> Driver<OpenaiChat> {
    let endpoint = Endpoint::new("p", base, Arc::new(http)).with_key("sk-a-secret".into());
    Driver::new(endpoint, OpenaiChat::new(Profile::generic())).unwrap()
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {\"choices\":[{\"delta\":\
                      {\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

#[tokio::test]
async fn a_redirect_is_not_followed_and_takes_no_key_along() {
    let (elsewhere, mut ears) = overheard(ANSWER.to_owned()).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let reply =
            format!("HTTP/1.1 {status}\r\nlocation: http://{elsewhere}/v1\r\ncontent-length: 0\r\n\r\n");
        let (address, mut asked) = overheard(reply).await;
        let error = play(&with_key(&format!("http://{address}/v1"), Http::new())).await.1.unwrap();
        assert_eq!(error.kind(), ErrorKind::Config, "{status}: {error:?}");
        assert!(asked.recv().await.unwrap().contains("Bearer sk-a-secret"));
    }
    assert!(ears.try_recv().is_err(), "nothing went elsewhere");
}

#[tokio::test]
async fn a_given_proxy_carries_every_request() {
    let (proxy, mut ears) = overheard(ANSWER.to_owned()).await;
    let http = Http::with_proxy(&format!("http://me:pass@{proxy}")).unwrap();
    let (fold, error) = play(&with_key("http://provider.invalid/v1", http)).await;
    assert_eq!(fold.message().text(), "hi", "{error:?}");
    let head = ears.recv().await.unwrap().to_ascii_lowercase();
    assert!(head.starts_with("post http://provider.invalid/v1/chat/completions http/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: basic bwu6cgfzcw=="), "{head}");

    // What is encrypted goes through a tunnel: the proxy sees a host, and neither path nor key.
    let http = Http::with_proxy(&format!("http://{proxy}")).unwrap();
    let error = play(&with_key("https://provider.invalid/v1", http)).await.1.unwrap();
    let head = ears.recv().await.unwrap();
    assert!(head.starts_with("CONNECT provider.invalid:443 "), "{head} {error:?}");
    assert!(!head.contains("sk-a-secret") && !head.contains("/v1"), "{head}");
}

#[test]
fn a_bad_proxy_address_is_not_repeated() {
    let proxied = Http::with_proxy("http://u:CANARY@localhost:1").unwrap();
    assert!(!format!("{proxied:?}").contains("CANARY"));
    let error = Http::with_proxy("http://CANARY:x@[").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error} {error:?}").contains("CANARY"));
}
