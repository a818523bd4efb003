//! The transport against a socket of its own.

use std::sync::Arc;
use std::time::Duration;

use aichat_message::ErrorKind;
use aichat_providers::{Driver, Endpoint, Error, Http, OpenaiChat, Profile, Timeout, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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
    let text = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {\"choices\":[{\"delta\":\
                {\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let base = serve(Act::SayAndHang(text)).await;
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

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let base =
        serve(Act::Say("HTTP/1.1 307 Temporary Redirect\r\nlocation: /v2\r\ncontent-length: 0\r\n\r\n"))
            .await;
    let error = fail(&base).await;
    assert_eq!((error.kind(), error.status()), (ErrorKind::Config, Some(307)));
}

#[test]
fn a_bad_proxy_address_is_not_repeated() {
    let proxied = Http::with_proxy("http://u:CANARY@localhost:1").unwrap();
    assert!(!format!("{proxied:?}").contains("CANARY"));
    let error = Http::with_proxy("http://CANARY:x@[").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error} {error:?}").contains("CANARY"));
}
