//! Runs executions in processes of their own, so that an input that ends its process is found and reported; shrinks such inputs.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::memory;
use super::random::hash;
use super::run::{Failure, Ledger, Told};
use super::targets::Target;

/// The time for shrinking an input that failed.
const SHRINK: Duration = Duration::from_secs(8);

/// The most restarts after inputs that end the process. Those that end it in the same way are one failure.
const MAX_RESTARTS: u64 = 2_000;

/// The findings on a target.
pub struct Report {
    pub told: Told,
    pub restarts: u64,
    pub elapsed: Duration,
}

/// Runs a target for `time`, or `executions` executions, whichever is first; its inputs go to a folder in `work`.
pub fn fuzz(target: &Target, seed: u64, time: Duration, executions: u64, work: &Path) -> io::Result<Report> {
    let folder = work.join(target.name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("corpus"))?;
    let begun = Instant::now();
    let mut report = Report { told: Told::default(), restarts: 0, elapsed: Duration::ZERO };
    while report.restarts < MAX_RESTARTS && report.told.seen.executions < executions {
        let left = time.saturating_sub(begun.elapsed());
        if left.is_zero() {
            break;
        }
        let arguments = [
            "child".to_owned(),
            target.name.to_owned(),
            (seed + report.restarts).to_string(),
            left.as_millis().to_string(),
            (executions - report.told.seen.executions).to_string(),
        ];
        let (status, output) = run(&arguments, &folder)?;
        let told = match serde_json::from_slice::<Told>(&output) {
            Ok(told) if status.success() => told,
            _ => {
                report.restarts += 1;
                let last = Ledger::read(&folder.join("now"))?;
                let failure = ended(status, last.refused, last.hung);
                let name = failure.name();
                let mut told = Told::saved(&folder);
                told.failures.push((name.clone(), failure));
                told.seen.executions = last.executions;
                // The smallest one is kept.
                let path = folder.join(&name);
                if fs::metadata(&path).map_or(true, |old| old.len() > last.input.len() as u64) {
                    fs::write(path, &last.input)?;
                }
                told
            }
        };
        merge(&mut report.told, told);
    }
    report.elapsed = begun.elapsed();
    Ok(report)
}

fn merge(all: &mut Told, new: Told) {
    all.seen.executions += new.seen.executions;
    for (name, count) in new.seen.outcomes {
        *all.seen.outcomes.entry(name).or_default() += count;
    }
    if new.seen.longest > all.seen.longest {
        (all.seen.longest, all.seen.longest_input) = (new.seen.longest, new.seen.longest_input);
    }
    all.seen.peak = all.seen.peak.max(new.seen.peak);
    all.seen.edges = all.seen.edges.max(new.seen.edges);
    all.seen.corpus = all.seen.corpus.max(new.seen.corpus);
    for (name, failure) in new.failures {
        if all.failures.iter().all(|(known, _)| *known != name) {
            all.failures.push((name, failure));
        }
    }
}

fn run(arguments: &[String], folder: &Path) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).arg(folder).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output()?;
    Ok((output.status, output.stdout))
}

/// Returns the failure of a process that ended without results.
fn ended(status: ExitStatus, refused: u64, hung: bool) -> Failure {
    match (status.signal(), refused) {
        _ if hung => Failure::new("hang", "an execution does not end".to_owned()),
        (_, 1..) if refused > memory::MAX_HELD as u64 => {
            Failure::new("reservation", format!("{refused} bytes are reserved at once"))
        }
        (_, 1..) => Failure::new("memory", format!("more than {} bytes are held", memory::MAX_HELD)),
        (Some(7 | 11), _) => Failure::new("overflow", "the stack overflows".to_owned()),
        (Some(signal), _) => Failure::new("abort", format!("the process ends by signal {signal}")),
        (None, _) => Failure::new("abort", format!("the process ends with {status}")),
    }
}

/// Runs one input in every way, in a process of its own. Returns the first failure, the longest slice in microseconds, and the most memory.
pub fn replay(target: &Target, file: &Path, work: &Path) -> io::Result<(Option<Failure>, u64, usize)> {
    let ledger = work.join(format!("replay-{}-{:x}", std::process::id(), hash(file.to_string_lossy().as_bytes())));
    let arguments = ["replay-child".to_owned(), target.name.to_owned(), file.to_string_lossy().into_owned()];
    let (status, output) = run(&arguments, &ledger)?;
    let answer = match serde_json::from_slice::<Told>(&output) {
        Ok(told) if status.success() => {
            (told.failures.into_iter().next().map(|(_, failure)| failure), told.seen.longest, told.seen.peak)
        }
        _ => {
            let last = Ledger::read(&ledger)?;
            (Some(ended(status, last.refused, last.hung)), 0, 0)
        }
    };
    let _ = fs::remove_file(&ledger);
    Ok(answer)
}

/// Shrinks an input while it fails in the same way, and writes it back. Returns its size.
pub fn shrink(target: &Target, file: &Path, failure: &Failure, work: &Path) -> io::Result<usize> {
    let begun = Instant::now();
    let mut best = fs::read(file)?;
    let trial = work.join(format!("trial-{:x}", hash(file.to_string_lossy().as_bytes())));
    let fails = |bytes: &[u8]| -> io::Result<bool> {
        fs::write(&trial, bytes)?;
        Ok(replay(target, &trial, work)?.0.is_some_and(|other| other.name() == failure.name()))
    };
    if failure.kind == "hang" || !fails(&best)? {
        return Ok(best.len());
    }
    let mut step = best.len() / 2;
    while step > 0 && begun.elapsed() < SHRINK {
        let (mut at, mut smaller) = (0, false);
        while at < best.len() && begun.elapsed() < SHRINK {
            let mut less = best.clone();
            less.drain(at..(at + step).min(best.len()));
            if fails(&less)? { (best, smaller) = (less, true) } else { at += step }
        }
        step = if smaller { step.min(best.len() / 2) } else { step / 2 };
    }
    let _ = fs::remove_file(trial);
    fs::write(file, &best)?;
    Ok(best.len())
}

/// Returns every file of a folder of targets, in order.
pub fn files(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(entry.path())? {
            files.push((entry.file_name().to_string_lossy().into_owned(), file?.path()));
        }
    }
    files.sort();
    Ok(files)
}
