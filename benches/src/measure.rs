//! CPU, wall time and memory of whole processes, taken in turns.
//!
//! A process is measured by a shim, this program once more: the shim has exactly one child, so that the kernel's
//! account of its children is that child's.

use std::error::Error;
use std::io::Read;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};

/// The first argument of a shim.
pub(crate) const WORD: &str = "--measure";

/// What one run of a process took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// From the start to the end.
    pub(crate) wall: Duration,
    /// From the start to the first byte of output.
    pub(crate) first: Duration,
    /// The most memory it had at once, in KiB.
    pub(crate) rss: u64,
}

/// A program under measurement; `command` makes its next run.
pub(crate) struct Subject<'a> {
    pub(crate) name: String,
    pub(crate) command: Box<dyn FnMut() -> Command + 'a>,
}

impl Subject<'_> {
    /// Makes a subject whose runs are all the same.
    pub(crate) fn of(name: &str, command: Command) -> Subject<'static> {
        let again = move || {
            let mut copy = Command::new(command.get_program());
            copy.args(command.get_args());
            environment(&command, &mut copy);
            copy
        };
        Subject { name: name.to_owned(), command: Box::new(again) }
    }
}

/// Gives `to` what was set in the environment of `from`.
fn environment(from: &Command, to: &mut Command) {
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
}

/// Returns the user and system time of all children that have ended.
pub(crate) fn children_cpu() -> Result<Duration, Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = |time: nix::sys::time::TimeVal| (time.tv_sec() as u64) * 1_000_000 + time.tv_usec() as u64;
    Ok(Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time())))
}

/// Returns the user and system time of this thread; a mock works on others.
pub(crate) fn thread_cpu() -> Result<Duration, Box<dyn Error>> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// Runs the program in `arguments` and prints its sample; what it prints itself is read and thrown away.
pub(crate) fn shim(arguments: &[String]) -> ExitCode {
    match measured(arguments) {
        Ok(sample) => {
            let us = [sample.cpu, sample.wall, sample.first].map(|time| time.as_micros().to_string());
            println!("{} {}", us.join(" "), sample.rss);
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn measured(arguments: &[String]) -> Result<Sample, Box<dyn Error>> {
    let (program, rest) = arguments.split_first().ok_or("no program")?;
    let start = Instant::now();
    let mut child = Command::new(program).args(rest).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut out = child.stdout.take().ok_or("no output")?;
    let mut buffer = [0; 1 << 16];
    let mut first = None;
    while out.read(&mut buffer)? > 0 {
        first.get_or_insert_with(|| start.elapsed());
    }
    let status = child.wait()?;
    let wall = start.elapsed();
    if !status.success() {
        return Err("it failed".into());
    }
    let most = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss() as u64;
    let rss = if cfg!(target_os = "macos") { most / 1024 } else { most };
    Ok(Sample { cpu: children_cpu()?, wall, first: first.unwrap_or(wall), rss })
}

/// Runs `command` in a shim.
///
/// # Errors
/// Fails with the program's last words where it does not end well.
pub(crate) fn once(command: &Command) -> Result<Sample, Box<dyn Error>> {
    let mut shim = Command::new(std::env::current_exe()?);
    shim.arg(WORD).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    environment(command, &mut shim);
    let output = shim.output()?;
    if !output.status.success() {
        let talk = String::from_utf8_lossy(&output.stderr);
        return Err(talk.lines().last().unwrap_or("failed without a word").to_owned().into());
    }
    let text = String::from_utf8(output.stdout)?;
    let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    let [cpu, wall, first, rss] = numbers[..] else { return Err("the shim said something else".into()) };
    let [cpu, wall, first] = [cpu, wall, first].map(Duration::from_micros);
    Ok(Sample { cpu, wall, first, rss })
}

/// Measures all subjects in turns, `rounds` times, and returns the median of each; slow ones take part in the
/// first rounds only. A subject that fails is reported and has none.
pub(crate) fn interleave(subjects: &mut [Subject<'_>], rounds: usize) -> Vec<Option<Sample>> {
    const SLOW: Duration = Duration::from_millis(500);
    let mut samples: Vec<Vec<Sample>> = subjects.iter().map(|_| Vec::new()).collect();
    let mut failed = vec![false; subjects.len()];
    for round in 0..rounds {
        for (index, subject) in subjects.iter_mut().enumerate() {
            let slow = samples[index].first().is_some_and(|sample| sample.cpu > SLOW);
            if failed[index] || (slow && round >= 5) {
                continue;
            }
            match once(&(subject.command)()) {
                Ok(sample) => samples[index].push(sample),
                Err(error) => {
                    println!("{}: {error}", subject.name);
                    failed[index] = true;
                }
            }
        }
    }
    samples.iter().zip(failed).map(|(samples, failed)| if failed { None } else { median(samples) }).collect()
}

fn median(samples: &[Sample]) -> Option<Sample> {
    let middle = |of: fn(&Sample) -> Duration| {
        let mut times: Vec<Duration> = samples.iter().map(of).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    };
    let mut rss: Vec<u64> = samples.iter().map(|sample| sample.rss).collect();
    rss.sort_unstable();
    Some(Sample {
        cpu: middle(|sample| sample.cpu)?,
        wall: middle(|sample| sample.wall)?,
        first: middle(|sample| sample.first)?,
        rss: *rss.get(rss.len() / 2)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_takes_each_column_for_itself() {
        let sample = |cpu, rss| Sample {
            cpu: Duration::from_micros(cpu),
            wall: Duration::from_micros(10 - cpu),
            first: Duration::ZERO,
            rss,
        };
        let median = median(&[sample(1, 30), sample(5, 10), sample(9, 20)]).unwrap();
        assert_eq!((median.cpu.as_micros(), median.wall.as_micros(), median.rss), (5, 5, 20));
        assert!(super::median(&[]).is_none());
    }

    #[test]
    fn a_process_has_a_first_byte_and_a_size() {
        let sample = measured(&["sh", "-c", "echo x; sleep 0.05"].map(str::to_owned)).unwrap();
        assert!(sample.first < sample.wall && sample.rss > 0);
        assert!(measured(&["false".to_owned()]).is_err());
    }
}
