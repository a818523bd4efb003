//! Who is let in, and what a failure says of it: host, port and database, and never a password.

use aichat_store::{ErrorKind, Postgres, PostgresAddress, Store};
use secrecy::SecretString;

use super::server::PASSWORD;
use super::{row, server, session, unit};

fn over_tcp(url: &str, password: Option<&str>) -> Postgres {
    let address = PostgresAddress::parse(url).unwrap();
    Postgres::at(match password {
        Some(password) => address.with_password(SecretString::from(password)),
        None => address,
    })
}

#[tokio::test]
async fn a_password_lets_in_and_is_never_shown() {
    let Some(server) = server() else { return };
    let url = server.url_over_tcp(&server.database());
    let store = over_tcp(&url, Some(PASSWORD));
    store.commit(vec![unit(1, 1..=1)]).await.unwrap();
    assert_eq!(store.events(&session(1), 1, 9).await.unwrap(), [row(1, 1)]);

    let place = url.rsplit_once('@').unwrap().1;
    for (store, wanted) in [
        (over_tcp(&url, Some("wr0ng-passw0rd")), "28P01"),
        (over_tcp(&url, None), "28P01"),
        (over_tcp(&format!("{url}nowhere"), Some(PASSWORD)), "3D000"),
    ] {
        let error = store.head(&session(1)).await.unwrap_err();
        let said = format!("{error} {error:?} {store:?}");
        assert_eq!(error.kind(), ErrorKind::Io, "{said}");
        assert_eq!(error.code(), Some(wanted));
        assert!(said.contains(wanted) && said.contains(place), "{said}");
        assert!(!said.contains("wr0ng") && !said.contains(PASSWORD), "{said}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_reason_to_wait() {
    // Nothing listens on the port of somebody's connection.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let held = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let port = held.local_addr().unwrap().port();
    let store =
        over_tcp(&format!("postgres://me@127.0.0.1:{port}/chat?sslmode=disable"), Some("s3cr3t-w0rd"));
    let error = store.backlog().await.unwrap_err();
    let said = format!("{error} {error:?}");
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{said}");
    assert!(said.contains(&format!("the database 127.0.0.1:{port}/chat does not answer")), "{said}");
    assert!(!said.contains("s3cr3t") && !said.contains("sslmode"), "{said}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let Some(server) = server() else { return };
    let url = format!("{}?sslmode=require", server.url_over_tcp(&server.database()));
    let error = over_tcp(&url, Some(PASSWORD)).head(&session(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
    assert!(error.to_string().contains("TLS"), "{error}");
}

#[tokio::test]
async fn a_role_that_may_only_read_reads() {
    let Some(server) = server() else { return };
    let url = server.database();
    super::open(&url, super::LONG).commit(vec![unit(1, 1..=1)]).await.unwrap();
    server.sql(&url, "CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA aichat TO reader");
    server.sql(&url, "GRANT SELECT ON ALL TABLES IN SCHEMA aichat TO reader");
    let store = super::open(&url.replacen("aichat@", "reader@", 1), super::LONG);
    assert_eq!(store.events(&session(1), 1, 9).await.unwrap(), [row(1, 1)]);
    let error = store.commit(vec![unit(1, 2..=2)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
    assert!(format!("{error:?}").contains("42501"), "{error:?}");
}
