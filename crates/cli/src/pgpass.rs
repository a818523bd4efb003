//! The password of a database, from where every client of PostgreSQL looks for it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use aichat_message::ErrorKind;
use aichat_store::PostgresAddress;
use secrecy::SecretString;

use crate::env::Env;
use crate::failure::Failure;
use crate::paths::is_absent;

/// Returns the password for a database: `PGPASSWORD`, or the first line of the password file that fits.
///
/// # Errors
/// Fails with kind `config` where the file cannot be read, or others can read it.
pub(crate) fn find(env: &Env, address: &PostgresAddress) -> Result<Option<SecretString>, Failure> {
    if let Some(password) = env.text("PGPASSWORD") {
        return Ok(Some(SecretString::from(password)));
    }
    let usual = || env.directory("HOME").map(|home| home.join(".pgpass"));
    let Some(path) = env.path("PGPASSFILE").or_else(usual) else { return Ok(None) };
    let unreadable = |error| Failure::file(ErrorKind::Config, "cannot read", &path, &error);
    let mut file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    if file.metadata().map_err(unreadable)?.permissions().mode() & 0o077 != 0 {
        let what = format!("{} can be read by others", path.display());
        return Err(Failure::new(ErrorKind::Config, what)
            .hint(format!("run `chmod 600 {}`, and consider the passwords in it known", path.display())));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    Ok(text.lines().find_map(|line| fitting(line, address)).map(SecretString::from))
}

/// Returns the password of a line `host:port:database:user:password` that fits; `*` fits everything.
fn fitting(line: &str, address: &PostgresAddress) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line.chars();
    let port = address.port().to_string();
    // A socket is known by its directory, and by the name of the machine it is on.
    let host = [address.host(), if address.host().starts_with('/') { "localhost" } else { address.host() }];
    for wanted in [&host[..], &[&port], &[address.database()], &[address.user()]] {
        let found = field(&mut rest)?;
        if found != "*" && !wanted.contains(&found.as_str()) {
            return None;
        }
    }
    let mut password = String::new();
    while let Some(letter) = rest.next() {
        password.extend(if letter == '\\' { rest.next() } else { Some(letter) });
    }
    Some(password)
}

/// Takes what stands before the next colon; a backslash goes before a colon or a backslash that is meant.
fn field(rest: &mut std::str::Chars<'_>) -> Option<String> {
    let mut field = String::new();
    loop {
        match rest.next()? {
            ':' => return Some(field),
            '\\' => field.push(rest.next()?),
            letter => field.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn found(text: &str, mode: u32, url: &str) -> Result<Option<String>, u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pass");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let path: &'static str = path.display().to_string().leak();
        let address = PostgresAddress::parse(url).unwrap();
        let password = find(&Env::of([("PGPASSFILE", path)]), &address).map_err(|failure| failure.code())?;
        Ok(password.map(|password| password.expose_secret().to_owned()))
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# me@db\nother:*:*:*:no\ndb:5432:chat:me:a\\:b\\\\c\n*:*:*:me:later\nshort:1\n";
        let password = |url| found(text, 0o600, url);
        assert_eq!(password("postgres://me@db/chat"), Ok(Some("a:b\\c".to_owned())));
        assert_eq!(password("postgres://me@db:99/chat"), Ok(Some("later".to_owned())));
        assert_eq!(password("postgres://you@db/chat"), Ok(None));
        let socket = found("localhost:*:*:*:s", 0o600, "postgres://me@%2Frun%2Fpg/chat");
        assert_eq!(socket, Ok(Some("s".to_owned())));
    }

    #[test]
    fn the_variable_goes_first_and_a_public_file_is_refused() {
        assert_eq!(found("*:*:*:*:p", 0o640, "postgres://me@db/chat"), Err(78));
        let address = PostgresAddress::parse("postgres://me@db/chat").unwrap();
        let env = Env::of([("PGPASSWORD", "p"), ("PGPASSFILE", "/nowhere")]);
        let Ok(Some(password)) = find(&env, &address) else { panic!("no password") };
        assert_eq!(password.expose_secret(), "p");
        assert!(matches!(find(&Env::of([("PGPASSFILE", "/nowhere")]), &address), Ok(None)));
    }
}
