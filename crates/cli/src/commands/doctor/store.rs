//! The place where sessions are kept.

use std::path::Path;
use std::time::Duration;

use aichat_engine::{Engine, Overview};

use super::surroundings::unwritable;
use super::{Findings, Section};
use crate::assemble;
use crate::commands::Context;
use crate::failure::Failure;
use crate::location::Location;
use crate::paths::Paths;
use crate::plural::plural;

/// How long the store may take to open: somebody else may hold it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many events are verified here; more take their time.
const FEW: u64 = 5_000;
/// How little space is a problem, in bytes.
const SCARCE: u64 = 100 << 20;
/// How little space is worth a note, in bytes.
const LITTLE: u64 = 1 << 30;

/// Looks at the store, and neither makes nor changes one.
pub(super) async fn look(context: &Context, paths: Option<&Paths>, is_read: bool) -> Findings {
    let mut findings = Findings::default();
    let location = match (paths, is_read || context.global.store.is_some()) {
        (None, _) => {
            findings.note(Section::Store, "store", "not looked at, for nobody knows where it is");
            return findings;
        }
        (Some(_), true) => assemble::location(context),
        (Some(paths), false) => Ok(Location::Directory(paths.data.clone())),
    };
    let location = match location {
        Ok(location) => location,
        Err(failure) => {
            let fix = match context.global.store {
                Some(_) => "aichat doctor --store default",
                None => "aichat settings set store default",
            };
            findings.failed(Section::Store, "place", failure, fix);
            return findings;
        }
    };
    let directory = match &location {
        Location::Directory(path) => Some(path),
        #[cfg(feature = "postgres")]
        Location::Database(_) => None,
    };
    if let Some(path) = directory {
        // What is wrong with the usual directory is said among the paths.
        let unwritable = |path: &Path| match paths.is_some_and(|paths| paths.data == path) {
            true => None,
            false => unwritable(path),
        };
        space(path, &mut findings);
        if !assemble::is_there(path) {
            let what = format!("there is none in {} yet; it is made when it is needed", path.display());
            findings.ok(Section::Store, "store", what);
            let above = path.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
            if let Some((why, fix)) = unwritable(above) {
                let what = format!("it cannot be made: {} cannot be written to{why}", above.display());
                findings.problem(Section::Store, "store", what, fix);
            }
            return findings;
        }
        if let Some((why, fix)) = unwritable(path) {
            let what = format!("{} cannot be written to{why}", path.display());
            findings.problem(Section::Store, "store", what, fix);
        }
    }
    match assemble::observer_of(context, &location) {
        Ok(engine) => open(&engine, &mut findings).await,
        Err(failure) => findings.failed(Section::Store, "store", failure, "aichat paths"),
    }
    findings
}

async fn open(engine: &Engine, findings: &mut Findings) {
    let overview = match tokio::time::timeout(PATIENCE, engine.overview()).await {
        Err(_) => {
            let what =
                format!("somebody else has held it for {} s; it was not looked at", PATIENCE.as_secs());
            findings.note(Section::Store, "store", what);
            findings.fix("aichat store info");
            return;
        }
        Ok(Err(error)) => {
            findings.failed(Section::Store, "store", Failure::from(error), "aichat store verify");
            return;
        }
        Ok(Ok(overview)) => overview,
    };
    let Overview { backend, place, layout, sessions, events, turns_in_flight, set_aside, .. } = overview;
    findings.ok(Section::Store, "store", format!("{place}: {backend}, layout {layout}"));
    findings.ok(
        Section::Store,
        "content",
        format!("{}, {}", plural(sessions, "session"), plural(events, "event")),
    );
    if turns_in_flight > 0 {
        let verb = if turns_in_flight == 1 { "is in flight, or waits" } else { "are in flight, or wait" };
        let what = format!("{} {verb} to be brought into the log", plural(turns_in_flight, "turn"));
        findings.note(Section::Store, "journals", what);
        findings.fix("aichat sessions list");
    }
    for name in set_aside {
        findings.note(Section::Store, name, "it was set aside, because it was damaged or late");
        findings.fix("aichat store info");
    }
    match engine.ledger_faults().await {
        Ok(faults) => {
            for fault in faults {
                findings.problem(Section::Store, "ledger", fault, "aichat store rebuild");
            }
        }
        Err(error) => {
            findings.failed(Section::Store, "ledger", Failure::from(error), "aichat store verify");
        }
    }
    if events > FEW {
        findings.note(Section::Store, "chains", "not verified here, for there are many events");
        findings.fix("aichat store verify");
        return;
    }
    match tokio::time::timeout(PATIENCE, engine.examine()).await {
        Err(_) => {
            findings.note(Section::Store, "chains", "not verified here, for it takes too long");
            findings.fix("aichat store verify");
        }
        Ok(Ok(examined)) if examined.findings.is_empty() => {
            findings.ok(Section::Store, "chains", "all hold");
        }
        Ok(Ok(examined)) => {
            let first = &examined.findings[0];
            let count = examined.findings.len();
            let what =
                format!("{count} faults, the first in {} {}: {}", first.subject, first.place, first.fault);
            findings.problem(Section::Store, "chains", what, "aichat store verify");
        }
        Ok(Err(error)) => {
            findings.failed(Section::Store, "chains", Failure::from(error), "aichat store verify");
        }
    }
}

fn space(path: &Path, findings: &mut Findings) {
    let Some(there) = path.ancestors().find(|above| above.exists()) else { return };
    let Ok(about) = rustix::fs::statvfs(there) else { return };
    let left = about.f_bavail.saturating_mul(about.f_frsize);
    let what = format!("{} MB are left", left >> 20);
    match left {
        0..SCARCE => findings.problem(Section::Store, "space", what, format!("df -h {}", there.display())),
        SCARCE..LITTLE => findings.note(Section::Store, "space", what),
        _ => findings.ok(Section::Store, "space", what),
    }
}
