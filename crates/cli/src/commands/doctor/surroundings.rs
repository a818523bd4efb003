//! What this program finds around it: directories, the terminal, proxies.

use std::io::IsTerminal;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{Findings, Section, Verdict};
use crate::args::Color;
use crate::assemble;
use crate::commands::Context;
use crate::paths::Paths;

/// Variables that name a proxy, in both ways of writing them.
const PROXIES: [(&str, &str); 4] = [
    ("HTTPS_PROXY", "https_proxy"),
    ("HTTP_PROXY", "http_proxy"),
    ("ALL_PROXY", "all_proxy"),
    ("NO_PROXY", "no_proxy"),
];

/// Looks at the directories, and returns them where they are known.
pub(super) fn paths(context: &Context, findings: &mut Findings) -> Option<Paths> {
    let paths = match context.paths() {
        Ok(paths) => paths,
        Err(failure) => {
            findings.failed(Section::Paths, "directories", failure, "export HOME=\"$(eval echo ~)\"");
            return None;
        }
    };
    for (name, path) in
        [("config", &paths.config), ("data", &paths.data), ("state", &paths.state), ("cache", &paths.cache)]
    {
        directory(name, path, findings);
    }
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"] {
        if context.env.path(name).is_some_and(|path| !path.is_absolute()) {
            findings.note(Section::Paths, name, "it is not an absolute path, and counts as unset");
            findings.fix(format!("unset {name}"));
        }
    }
    Some(paths)
}

fn directory(name: &str, path: &Path, findings: &mut Findings) {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            findings.ok(Section::Paths, name, format!("{shown}, made when it is needed"));
        }
        Err(error) => {
            let what = format!("{shown}: {}", aichat_engine::phrase(&error));
            findings.problem(Section::Paths, name, what, format!("ls -ld {shown}"));
        }
        Ok(about) if !about.is_dir() => {
            let what = format!("{shown} is no directory");
            findings.problem(Section::Paths, name, what, format!("mv {shown} {shown}.old"));
        }
        Ok(about) if about.permissions().mode() & 0o022 != 0 => {
            let what = format!("others can write to {shown}");
            findings.problem(Section::Paths, name, what, format!("chmod 700 {shown}"));
        }
        Ok(_) => match unwritable(path) {
            Some((why, fix)) => {
                let rest = match name == "data" && assemble::is_there(path) {
                    true => "; a copy of it is read",
                    false => "",
                };
                let what = format!("{shown} cannot be written to{why}{rest}");
                findings.problem(Section::Paths, name, what, fix);
            }
            None => findings.ok(Section::Paths, name, shown.to_string()),
        },
    }
}

/// Says why this process may not write to a directory, as far as that says more, and what mends it; `None` where it
/// may.
pub(super) fn unwritable(path: &Path) -> Option<(&'static str, String)> {
    let refusal = access(path, Access::WRITE_OK | Access::EXEC_OK).err()?;
    let is_ours = std::fs::metadata(path).is_ok_and(|about| about.uid() == geteuid().as_raw());
    Some(cure(refusal, path, is_ours))
}

fn cure(refusal: Errno, path: &Path, is_ours: bool) -> (&'static str, String) {
    let shown = path.display();
    match refusal {
        Errno::ROFS => {
            (": it is on a read-only file system", format!("mount -o remount,rw {}", mount(path).display()))
        }
        _ if is_ours => ("", format!("chmod u+rwx {shown}")),
        _ => (": it belongs to somebody else", format!("sudo chown \"$(id -un)\" {shown}")),
    }
}

/// Returns where the file system of a path is mounted.
fn mount(path: &Path) -> &Path {
    let device = |path: &Path| std::fs::metadata(path).ok().map(|about| about.dev());
    let here = device(path);
    path.ancestors().take_while(|above| device(above) == here).last().unwrap_or(path)
}

/// Looks at the variables that name proxies; what is shown of them is a host.
pub(super) fn proxies(context: &Context, findings: &mut Findings) {
    if let Some(proxy) = &context.global.proxy {
        findings.ok(Section::Network, "--proxy", host(proxy));
        return;
    }
    let mut is_direct = true;
    for (upper, lower) in PROXIES {
        let (loud, quiet) = (context.env.text(upper), context.env.text(lower));
        let Some((name, value)) =
            loud.clone().map(|value| (upper, value)).or(quiet.clone().map(|value| (lower, value)))
        else {
            continue;
        };
        is_direct = false;
        if loud.is_some() && quiet.is_some() && loud != quiet {
            findings.note(
                Section::Network,
                name,
                format!("{upper} and {lower} differ; some programs read one only"),
            );
            findings.fix(format!("unset {lower}"));
        }
        let shown = if upper == "NO_PROXY" { value.clone() } else { host(&value) };
        match upper != "NO_PROXY" && shown.is_empty() {
            true => findings.problem(Section::Network, name, "it names no host", format!("unset {name}")),
            false => findings.ok(Section::Network, name, shown),
        }
    }
    if is_direct {
        findings.ok(Section::Network, "proxy", "none");
    }
}

/// Returns host and port of an address.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned()
}

/// Looks at the terminal.
pub(super) fn terminal(context: &Context, findings: &mut Findings) {
    let (stdin, stdout, stderr) =
        (std::io::stdin().is_terminal(), std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
    let is_one = |is: bool| if is { "a terminal" } else { "none" };
    let what = format!("input {}, output {}, messages {}", is_one(stdin), is_one(stdout), is_one(stderr));
    findings.ok(Section::Terminal, "terminal", what);
    let env = &context.env;
    let colour = match (context.global.color, env.text("NO_COLOR"), env.text("TERM").as_deref()) {
        (Color::Always, ..) => "always, as --color says",
        (Color::Never, ..) => "never, as --color says",
        (_, Some(_), _) => "no, as NO_COLOR says",
        (_, _, Some("dumb")) => "no, as TERM=dumb says",
        _ if stdout || stderr => "yes",
        _ => "no, for there is no terminal",
    };
    findings.ok(Section::Terminal, "colour", colour);
    if stdout || stderr {
        let size = rustix::termios::tcgetwinsize(std::io::stdout())
            .or_else(|_| rustix::termios::tcgetwinsize(std::io::stderr()));
        match size.map(|size| size.ws_col) {
            Ok(width @ 1..) => findings.ok(Section::Terminal, "width", format!("{width} columns")),
            _ => {
                findings.note(Section::Terminal, "width", "the terminal does not say; 80 columns are assumed")
            }
        }
        if env.text("TERM").is_none() {
            findings.note(Section::Terminal, "TERM", "it is not set");
            findings.fix("export TERM=xterm-256color");
        }
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| Some((name, env.text(name)?)));
    let is_utf8 = |value: &str| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    };
    match locale {
        Some((name, value)) if is_utf8(&value) => {
            findings.ok(Section::Terminal, "locale", format!("{name}={value}"));
        }
        found => {
            let what = found.map_or("no locale is set".to_owned(), |(name, value)| format!("{name}={value}"));
            findings.add(
                Section::Terminal,
                Verdict::Note,
                "locale",
                format!("{what}; text is UTF-8 all the same, and the terminal may show it wrongly"),
            );
            findings.fix("export LC_ALL=C.UTF-8");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_proxy_only_the_host_is_shown() {
        assert_eq!(host("http://user:secret@proxy:3128/"), "proxy:3128");
        assert_eq!(host("proxy"), "proxy");
        assert_eq!(host("http://"), "");
    }

    #[test]
    fn each_reason_has_a_cure_of_its_own() {
        let root = Path::new("/");
        let fix = |refusal, is_ours| cure(refusal, root, is_ours).1;
        assert_eq!(fix(Errno::ROFS, true), "mount -o remount,rw /");
        assert_eq!(fix(Errno::ACCESS, true), "chmod u+rwx /");
        assert_eq!(fix(Errno::ACCESS, false), "sudo chown \"$(id -un)\" /");
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(unwritable(dir.path()), None);
        assert!(dir.path().starts_with(mount(dir.path())));
    }
}
