//! A PostgreSQL server that lives no longer than whoever started it, where its binaries are installed.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The user that owns every database.
pub(crate) const USER: &str = "aichat";
/// That user's password over TCP; the socket asks for none.
pub(crate) const PASSWORD: &str = "postgres-test-password";

/// Ends the server and removes its directory once nobody holds its standard input any more, however they ended.
const SUPERVISE: &str = r#"
"$@" >"$DIR/log" 2>&1 & server=$!
read -r how || how=INT
kill -"$how" "$server"; wait "$server"
[ "$how" = INT ] && rm -rf "$DIR"
exit 0
"#;

/// A running server.
pub(crate) struct Server {
    bin: PathBuf,
    dir: PathBuf,
    port: u16,
    user: Option<String>,
    running: Option<(Child, ChildStdin)>,
    databases: AtomicU32,
}

impl Server {
    /// Starts a server, or says why there is none.
    pub(crate) fn start() -> Option<Self> {
        let Some(bin) = binaries() else {
            println!("skipped: no PostgreSQL server is installed");
            return None;
        };
        // The server refuses to be root.
        let is_root = output(Command::new("id").arg("-u")) == "0";
        let user = is_root.then(|| {
            let known = Command::new("id").arg("postgres").output().is_ok_and(|found| found.status.success());
            if known { "postgres" } else { "nobody" }.to_owned()
        });
        let dir = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap().keep();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        if let Some(user) = &user {
            done(Command::new("chown").arg(user).arg(&dir));
        }
        let password = dir.join("password");
        fs::write(&password, PASSWORD).unwrap();
        let mut server = Self { bin, dir, port: 0, user, running: None, databases: AtomicU32::new(0) };
        let mut initdb = server.command("initdb");
        initdb.args(["-U", USER, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--auth-local=trust"]);
        initdb
            .arg("--auth-host=scram-sha-256")
            .arg("--pwfile")
            .arg(&password)
            .arg("-D")
            .arg(server.dir.join("data"));
        done(&mut initdb);
        // A port that was free a moment ago may be taken by now.
        for _ in 0..5 {
            server.port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            if server.run() {
                return Some(server);
            }
        }
        panic!("no server: {}", server.log());
    }

    /// Runs the server on its directory, and tells whether it came up.
    pub(crate) fn run(&mut self) -> bool {
        let mut supervisor = as_user(self.user.as_deref(), Path::new("/bin/sh"));
        supervisor.args(["-c", SUPERVISE, "supervise"]).arg(self.bin.join("postgres"));
        supervisor.arg("-D").arg(self.dir.join("data"));
        for option in [
            "fsync=off".to_owned(),
            "full_page_writes=off".to_owned(),
            "shared_buffers=32MB".to_owned(),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.dir.display()),
        ] {
            supervisor.arg("-c").arg(option);
        }
        supervisor.env("DIR", &self.dir).current_dir(&self.dir);
        supervisor.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = supervisor.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        self.running = Some((child, stdin));
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            let mut ready = self.command("pg_isready");
            ready.arg("-q").arg("-h").arg(&self.dir).arg("-p").arg(self.port.to_string());
            if ready.status().unwrap().success()
                && TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
            {
                return true;
            }
            if self.log().contains("could not bind") {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.end("INT");
        false
    }

    /// Ends the server at once, as a loss of power would; its directory stays.
    pub(crate) fn crash(&mut self) {
        self.end("QUIT");
    }

    fn end(&mut self, how: &str) {
        if let Some((mut supervisor, mut stdin)) = self.running.take() {
            stdin.write_all(format!("{how}\n").as_bytes()).unwrap();
            supervisor.wait().unwrap();
        }
    }

    /// Makes a database, and returns the URL of it over the socket.
    pub(crate) fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Returns the URL of a database over the socket, where no password is asked for.
    pub(crate) fn url(&self, database: &str) -> String {
        let socket = self.dir.display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{socket}:{}/{database}", self.port)
    }

    /// Returns the same URL over TCP, where the password is asked for.
    pub(crate) fn url_over_tcp(&self, url: &str) -> String {
        let database = url.rsplit_once('/').unwrap().1;
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL in a database, and returns what it prints.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let database = database.rsplit_once('/').map_or(database, |(_, name)| name);
        let mut psql = self.command("psql");
        psql.args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", database, "-c", sql]);
        output(psql.arg("-h").arg(&self.dir).arg("-p").arg(self.port.to_string()))
    }

    /// Returns the directory of the socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.dir
    }

    /// Returns the port, which is also part of the socket's name.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Returns a program of the installation, run as the server's user.
    fn command(&self, program: &str) -> Command {
        let mut command = as_user(self.user.as_deref(), &self.bin.join(program));
        command.current_dir(&self.dir);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end("INT");
        // Gone already, unless the server crashed.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Returns where the newest PostgreSQL is installed: where Debian puts it, or on the path.
fn binaries() -> Option<PathBuf> {
    let version = |path: &Path| path.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut installed: Vec<_> = installed.map(|entry| entry.path().join("bin")).collect();
    installed.sort_by_key(|path| version(path));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&on_path).collect::<Vec<_>>();
    let mut all = installed.into_iter().rev().chain(on_path);
    all.find(|bin| ["initdb", "postgres", "psql", "pg_isready"].iter().all(|name| bin.join(name).exists()))
}

fn as_user(user: Option<&str>, program: &Path) -> Command {
    let mut command = match user {
        None => Command::new(program),
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]);
            command.arg(program);
            command
        }
    };
    // Variables of whoever runs the tests would change where the programs connect to.
    for name in ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGOPTIONS", "PGSSLMODE"] {
        command.env_remove(name);
    }
    command
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn done(command: &mut Command) {
    output(command);
}
