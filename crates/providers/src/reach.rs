//! The way to a server, one step after the other: its name, a connection, TLS.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use aichat_message::ErrorKind;

use crate::checkup::{Finding, Step};
use crate::endpoint::Base;
use crate::error::{Error, Obstacle, Timeout};
use crate::http::{describe, obstacle};

/// Goes the way to a base address step by step; needs no answer of the server. The connection, to whichever of the
/// host's addresses, and every wait within TLS take `limit` at most; the name takes as long as the system lets it. It
/// waits, so it is for a thread of its own.
pub(crate) fn reach(
    base_url: &str,
    tls: impl FnOnce() -> Result<ClientConfig, Error>,
    limit: Duration,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let failure = go(base_url, tls, limit, &mut findings).err();
    if let Some((step, error, took)) = failure {
        findings.push(Finding::failed(step, error, Some(took)));
    }
    findings
}

type Failed = (Step, Error, Duration);

fn go(
    base_url: &str,
    tls: impl FnOnce() -> Result<ClientConfig, Error>,
    limit: Duration,
    findings: &mut Vec<Finding>,
) -> Result<(), Failed> {
    let begun = Instant::now();
    let at = |step, begun: Instant| move |error: Error| (step, error, begun.elapsed());
    let base = Base::parse(base_url).map_err(at(Step::Name, begun))?;
    let is_secure = base.url.starts_with("https:");
    let (host, port) = match base.host.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, port.parse().unwrap_or_default()),
        _ => (base.host.as_str(), if is_secure { 443 } else { 80 }),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');

    let addresses: Vec<_> = (host, port)
        .to_socket_addrs()
        .map(Iterator::collect)
        .map_err(|error| {
            Error::new(ErrorKind::Transport, Obstacle::Name.phrase())
                .with_obstacle(Obstacle::Name)
                .with_source(error)
        })
        .map_err(at(Step::Name, begun))?;
    findings.push(Finding::ok(Step::Name, begun.elapsed()));

    let begun = Instant::now();
    let mut refused = Error::new(ErrorKind::Transport, Obstacle::Name.phrase()).with_obstacle(Obstacle::Name);
    let mut socket = None;
    for address in &addresses {
        let left = limit.saturating_sub(begun.elapsed());
        if left.is_zero() {
            refused = Error::timed_out(Timeout::Connect, limit);
            break;
        }
        match TcpStream::connect_timeout(address, left) {
            Ok(connected) => {
                socket = Some(connected);
                break;
            }
            Err(error) => refused = failure(error, Timeout::Connect, limit),
        }
    }
    let Some(mut socket) = socket else { return Err((Step::Connection, refused, begun.elapsed())) };
    findings.push(Finding::ok(Step::Connection, begun.elapsed()));
    if !is_secure {
        findings.push(Finding::skipped(Step::Tls, "the address begins with http://"));
        return Ok(());
    }

    let begun = Instant::now();
    let config = tls().map_err(at(Step::Tls, begun))?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Error::new(ErrorKind::Config, "the host's name is none that a certificate can have"))
        .map_err(at(Step::Tls, begun))?;
    let shake = || {
        socket.set_read_timeout(Some(limit))?;
        socket.set_write_timeout(Some(limit))?;
        let mut connection = ClientConnection::new(Arc::new(config), name)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(())
    };
    shake().map_err(|error| failure(error, Timeout::Connect, limit)).map_err(at(Step::Tls, begun))?;
    findings.push(Finding::ok(Step::Tls, begun.elapsed()));
    Ok(())
}

fn failure(error: io::Error, which: Timeout, limit: Duration) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(tls) = tls {
        let (what, obstacle) = describe(tls);
        return Error::new(ErrorKind::Transport, format!("tls failed: {what}"))
            .with_obstacle(obstacle)
            .with_source(error);
    }
    if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) {
        return Error::timed_out(which, limit).with_source(error);
    }
    match obstacle(error.kind()) {
        Some(obstacle) => {
            Error::new(ErrorKind::Transport, obstacle.phrase()).with_obstacle(obstacle).with_source(error)
        }
        None => Error::new(ErrorKind::Transport, "the connection failed").with_source(error),
    }
}
