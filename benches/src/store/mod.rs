//! Benchmark 8: the embedded store beside SQLite and a bare write, from a thousand events to a million.

mod ours;
#[cfg(feature = "sqlite")]
mod sqlite;
mod work;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use aichat_message::SessionId;
use aichat_store::Unit;

use self::ours::Ours;
#[cfg(feature = "sqlite")]
use self::sqlite::Sqlite;
use self::work::{Maker, Session};
use crate::Outcome;
use crate::measure;
use crate::table::{at_most, ms, ratio};

/// How many events there are in the end.
pub(crate) const EVENTS: usize = 1_000_000;
/// How many events a session has.
const PER_SESSION: usize = 100;
/// How many events the long session has, which is read.
const LONG: usize = 1_000;
/// How many sessions a list shows, and of how many.
const LISTED: usize = 50;
const LISTED_OF: usize = 100_000;
/// How many events one commit of the filling takes in.
const BATCH: usize = 2_000;
/// The first argument of a process that only opens a store.
pub(crate) const WORD: &str = "--open";

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Party {
    Ours,
    #[cfg(feature = "sqlite")]
    Sqlite,
    Bare,
}

impl Party {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "aichat",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "SQLite",
            Self::Bare => "bare write",
        }
    }
}

/// What is measured.
const OPERATIONS: [&str; 6] =
    ["append 1, durable", "turn of 8 and rows", "append 100", "read 1,000", "list 50", "open"];

/// Medians in microseconds, by operation, party and size.
type Curve = BTreeMap<(usize, Party), Vec<(usize, f64)>>;

/// Opens what is at a path and nothing else, to see what that takes.
pub(crate) fn open(arguments: &[String]) -> ExitCode {
    let [party, path] = arguments else { return ExitCode::FAILURE };
    let path = Path::new(path);
    let opened = match party.as_str() {
        #[cfg(feature = "sqlite")]
        "SQLite" => Sqlite::open(path).is_ok_and(|base| base.list(1).is_ok()),
        _ => Ours::open(path).is_ok_and(|store| store.list(1).is_ok()),
    };
    if opened { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs it.
pub(crate) fn run(events: usize) -> Outcome {
    // A disk in earnest: temporary directories are often kept in memory.
    let place = std::env::current_exe()?.parent().ok_or("no directory")?.to_path_buf();
    let place = tempfile::Builder::new().prefix("bench-store-").tempdir_in(place)?;
    println!("on {}", file_system(place.path()));
    let mut bench = Bench::new(place.path())?;
    let sizes: Vec<usize> = [1_000, 10_000, 100_000, 1_000_000]
        .into_iter()
        .filter(|size| *size < events)
        .chain([events])
        .collect();
    for size in &sizes {
        let start = Instant::now();
        bench.grow(*size)?;
        eprint_time(*size, start.elapsed());
        bench.measure(*size)?;
    }
    bench.print(&sizes);
    bench.goals(events);
    bench.whole_processes()?;
    list_of_many(&place.path().join("many"), events)
}

fn eprint_time(size: usize, time: Duration) {
    println!("grown to {size} events in {:.1} s", time.as_secs_f64());
}

/// Names the file system that a path is on.
fn file_system(path: &Path) -> String {
    let output = Command::new("df").args(["-PT"]).arg(path).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let fields: Vec<&str> = text.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    match fields[..] {
        [device, kind, ..] => format!("{kind} ({device})"),
        _ => "an unknown file system".to_owned(),
    }
}

struct Bench {
    place: PathBuf,
    ours: Ours,
    #[cfg(feature = "sqlite")]
    sqlite: Sqlite,
    bare: File,
    maker: Maker,
    long: SessionId,
    sessions: Vec<Session>,
    events: usize,
    curve: Curve,
}

impl Bench {
    fn new(place: &Path) -> Result<Self, Box<dyn Error>> {
        let mut maker = Maker::new();
        let mut session = maker.session();
        let long = session.id.clone();
        let mut this = Self {
            ours: Ours::open(&place.join("ours"))?,
            #[cfg(feature = "sqlite")]
            sqlite: Sqlite::open(&place.join("sqlite"))?,
            bare: File::create(place.join("bare"))?,
            place: place.to_owned(),
            long,
            sessions: Vec::new(),
            events: LONG,
            curve: Curve::new(),
            maker,
        };
        let unit = this.maker.grown(&mut session, LONG);
        this.commit(vec![unit])?;
        // What is appended later goes to sessions of their own, so that the long one stays as it is.
        this.sessions.push(this.maker.session());
        Ok(this)
    }

    fn commit(&mut self, units: Vec<Unit>) -> Outcome {
        #[cfg(feature = "sqlite")]
        self.sqlite.commit(&units)?;
        self.ours.commit(units)
    }

    fn grow(&mut self, size: usize) -> Outcome {
        while self.events < size {
            let mut units = Vec::new();
            while self.events < size && units.len() * PER_SESSION < BATCH {
                let mut session = self.maker.session();
                units.push(self.maker.grown(&mut session, PER_SESSION));
                self.events += PER_SESSION;
                self.sessions.push(session);
            }
            self.commit(units)?;
        }
        Ok(())
    }

    fn measure(&mut self, size: usize) -> Outcome {
        for (operation, rounds) in [(0, 101), (1, 101), (2, 41)] {
            let mut times = BTreeMap::<Party, Vec<Duration>>::new();
            for round in 0..rounds {
                let at = round * 7_919 % self.sessions.len();
                let mut session = self.sessions[at].clone();
                let unit = match operation {
                    0 => self.maker.events(&mut session, 1),
                    1 => self.maker.turn(&mut session),
                    _ => self.maker.events(&mut session, 100),
                };
                self.sessions[at] = session;
                self.durable(unit, &mut times)?;
            }
            self.note(operation, size, times);
        }
        let mut times = BTreeMap::<Party, Vec<Duration>>::new();
        for _ in 0..31 {
            let (bytes, time) = timed(|| self.ours.read(&self.long))?;
            times.entry(Party::Ours).or_default().push(time);
            #[cfg(feature = "sqlite")]
            {
                let (same, time) = timed(|| Ok(self.sqlite.read(&self.long)?))?;
                assert_eq!(bytes, same, "both read the same");
                times.entry(Party::Sqlite).or_default().push(time);
            }
            assert!(bytes > 0, "the session is there");
        }
        self.note(3, size, times);
        let mut times = BTreeMap::<Party, Vec<Duration>>::new();
        for _ in 0..101 {
            let (_bytes, time) = timed(|| self.ours.list(LISTED))?;
            times.entry(Party::Ours).or_default().push(time);
            #[cfg(feature = "sqlite")]
            {
                let (same, time) = timed(|| Ok(self.sqlite.list(LISTED)?))?;
                assert_eq!(_bytes, same, "both list the same");
                times.entry(Party::Sqlite).or_default().push(time);
            }
        }
        self.note(4, size, times);
        let mut times = BTreeMap::<Party, Vec<Duration>>::new();
        for _ in 0..5 {
            self.ours = Ours::open(&self.place.join("elsewhere"))?;
            let (ours, time) = timed(|| Ours::open(&self.place.join("ours")))?;
            self.ours = ours;
            times.entry(Party::Ours).or_default().push(time);
            #[cfg(feature = "sqlite")]
            {
                self.sqlite = Sqlite::open(&self.place.join("elsewhere.db"))?;
                let (sqlite, time) = timed(|| Ok(Sqlite::open(&self.place.join("sqlite"))?))?;
                self.sqlite = sqlite;
                times.entry(Party::Sqlite).or_default().push(time);
            }
        }
        self.note(5, size, times);
        Ok(())
    }

    /// Makes a unit durable with every party in turn.
    fn durable(&mut self, unit: Unit, times: &mut BTreeMap<Party, Vec<Duration>>) -> Outcome {
        let rows = unit.writes.iter().filter_map(|write| write.value.as_ref().map(Vec::len)).sum::<usize>();
        let bytes = vec![b'x'; rows + unit.events.iter().map(|row| row.bytes.len()).sum::<usize>()];
        let bare = &mut self.bare;
        let (_, time) = timed(|| {
            bare.write_all(&bytes)?;
            Ok(bare.sync_data()?)
        })?;
        times.entry(Party::Bare).or_default().push(time);
        #[cfg(feature = "sqlite")]
        {
            let (_, time) = timed(|| Ok(self.sqlite.commit(std::slice::from_ref(&unit))?))?;
            times.entry(Party::Sqlite).or_default().push(time);
        }
        let (_, time) = timed(|| self.ours.commit(vec![unit]))?;
        times.entry(Party::Ours).or_default().push(time);
        Ok(())
    }

    fn note(&mut self, operation: usize, size: usize, times: BTreeMap<Party, Vec<Duration>>) {
        for (party, mut times) in times {
            times.sort_unstable();
            let median = times[times.len() / 2].as_secs_f64() * 1e6;
            self.curve.entry((operation, party)).or_default().push((size, median));
        }
    }

    fn print(&self, sizes: &[usize]) {
        let columns: String = sizes.iter().map(|size| format!("{size:>12}")).collect();
        println!("\n{:<34}{columns}", "median us, by how many events");
        for ((operation, party), points) in &self.curve {
            let row: String = points.iter().map(|(_, us)| format!("{us:>12.1}")).collect();
            println!("{:<22}{:<12}{row}", OPERATIONS[*operation], party.name());
        }
        println!();
    }

    fn last(&self, operation: usize, party: Party) -> Option<f64> {
        Some(self.curve.get(&(operation, party))?.last()?.1)
    }

    fn goals(&self, events: usize) {
        let beside = |operation, party, goal| {
            if let (Some(ours), Some(theirs)) =
                (self.last(operation, Party::Ours), self.last(operation, party))
            {
                let what = format!("{}, aichat / {}, {events} events", OPERATIONS[operation], party.name());
                at_most(&what, ours / theirs, goal);
            }
        };
        beside(1, Party::Bare, 1.05);
        beside(0, Party::Bare, 1.05);
        #[cfg(feature = "sqlite")]
        {
            for operation in [0, 1, 2] {
                beside(operation, Party::Sqlite, 1.0);
            }
            beside(3, Party::Sqlite, 2.0);
            beside(4, Party::Sqlite, 1.0);
        }
        for (operation, name) in OPERATIONS.iter().enumerate().take(5) {
            let Some(points) = self.curve.get(&(operation, Party::Ours)) else { continue };
            if let (Some((small, first)), Some((large, last))) = (points.first(), points.last()) {
                println!("{name}: {:.2} times as long at {large} events as at {small}", last / first);
            }
        }
    }

    /// Prints what a process takes that only opens the store, and how large it is.
    fn whole_processes(&mut self) -> Outcome {
        self.ours = Ours::open(&self.place.join("elsewhere"))?;
        let payload = self.bare_bytes();
        println!("\n{:<12}{:>10}{:>10}{:>10}{:>10}", "process", "CPU ms", "wall ms", "RSS MiB", "disk MiB");
        let parties = [
            ("aichat", "ours"),
            #[cfg(feature = "sqlite")]
            ("SQLite", "sqlite"),
        ];
        for (name, folder) in parties {
            let path = self.place.join(folder);
            let mut samples = Vec::new();
            for _ in 0..5 {
                let mut command = Command::new(std::env::current_exe()?);
                command.args([WORD, name]).arg(&path);
                samples.push(measure::once(&command)?);
            }
            samples.sort_by_key(|sample| sample.wall);
            let middle = samples[samples.len() / 2];
            let disk = size(&path)? + size(&self.place.join(format!("{folder}-wal")))?;
            println!(
                "{name:<12}{:>10.1}{:>10.1}{:>10.1}{:>10.1}",
                ms(middle.cpu),
                ms(middle.wall),
                middle.rss as f64 / 1024.0,
                disk as f64 / 1_048_576.0
            );
        }
        println!("payload of the events: about {:.1} MiB", payload / 1_048_576.0);
        Ok(())
    }

    fn bare_bytes(&self) -> f64 {
        (self.events * 800) as f64
    }
}

/// Measures the list of many sessions of one event each.
fn list_of_many(path: &Path, events: usize) -> Outcome {
    let count = LISTED_OF.min(events);
    let ours = Ours::open(path)?;
    #[cfg(feature = "sqlite")]
    let mut sqlite = Sqlite::open(&path.with_extension("db"))?;
    let mut maker = Maker::new();
    for _ in 0..count / 500 {
        let unit = |maker: &mut Maker| {
            let mut session = maker.session();
            maker.grown(&mut session, 1)
        };
        let units: Vec<Unit> = (0..500).map(|_| unit(&mut maker)).collect();
        #[cfg(feature = "sqlite")]
        sqlite.commit(&units)?;
        ours.commit(units)?;
    }
    let (mut mine, mut theirs) = (Vec::new(), Vec::<Duration>::new());
    for _ in 0..301 {
        mine.push(timed(|| ours.list(LISTED))?.1);
        #[cfg(feature = "sqlite")]
        theirs.push(timed(|| Ok(sqlite.list(LISTED)?))?.1);
    }
    mine.sort_unstable();
    theirs.sort_unstable();
    let middle = mine[mine.len() / 2];
    println!();
    at_most(&format!("list {LISTED} of {count} sessions, us"), middle.as_secs_f64() * 1e6, 50.0);
    if let Some(sqlite) = theirs.get(theirs.len() / 2) {
        println!(
            "the same, aichat / SQLite: {:.3} ({:.1} us)",
            ratio(middle, *sqlite),
            sqlite.as_secs_f64() * 1e6
        );
    }
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<(T, Duration), Box<dyn Error>> {
    let start = Instant::now();
    let done = work()?;
    Ok((done, start.elapsed()))
}

/// Returns how many bytes a file or the files below a directory have; none where there is nothing.
fn size(path: &Path) -> Result<u64, Box<dyn Error>> {
    let Ok(found) = fs::metadata(path) else { return Ok(0) };
    if !found.is_dir() {
        return Ok(found.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}
