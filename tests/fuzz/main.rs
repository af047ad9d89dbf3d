//! The fuzzer: feeds hostile bytes to everything that reads foreign data. See docs/fuzzing.md for its use.
//!
//! Without arguments, as `cargo test` runs it, every file in `regressions/` runs through every check.
//!
//! ```text
//! supervise.rs ── a process a target ──▶ run.rs ── mutate.rs (tree.rs) ──▶ media.rs, pipe.rs, station.rs, text.rs, network.rs, voice.rs
//!      └─ what ended it: the ledger ◀──────┘ memory.rs counts
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

mod broken;
mod coverage;
mod keyless;
mod media;
mod memory;
mod mutate;
mod network;
mod pipe;
mod random;
mod run;
mod station;
mod supervise;
mod targets;
mod text;
mod tree;
mod voice;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use run::{Failure, Task};
use supervise::Report;
use targets::Target;

#[global_allocator]
static MEMORY: memory::Counting = memory::Counting;

/// The stack size: inputs are written and dropped by recursion, as deep as they are nested.
const STACK: usize = 1 << 30;

const SECONDS: u64 = 60;

fn main() -> ExitCode {
    let main = || match start(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error}");
            ExitCode::FAILURE
        }
    };
    let thread =
        std::thread::Builder::new().stack_size(STACK).spawn(main).expect("the operating system grants a thread");
    thread.join().unwrap_or(ExitCode::FAILURE)
}

/// Carries out the arguments. Returns false if something failed.
fn start(arguments: &[String]) -> io::Result<bool> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["child", name, seed, time, executions, folder] => {
            let (seed, executions) = (number("seed", seed)?, number("executions", executions)?);
            let time = Duration::from_millis(number("time", time)?);
            let told = run::fuzz(target(name)?, &Task { seed, time, executions, folder: folder.into() })?;
            println!("{}", serde_json::to_string(&told)?);
            Ok(true)
        }
        ["replay-child", name, file, ledger] => {
            let told = run::replay(target(name)?, &fs::read(file)?, Path::new(ledger))?;
            println!("{}", serde_json::to_string(&told)?);
            Ok(true)
        }
        ["fuzz", ref rest @ ..] => fuzz(rest),
        ["replay", folder] => replay(Path::new(folder)),
        // The options of other tests are not for the fuzzer.
        _ => Ok(check()? & replay(&home().join("regressions"))?),
    }
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// Returns the folder for inputs.
fn work() -> io::Result<PathBuf> {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    fs::create_dir_all(&work)?;
    Ok(work)
}

fn target(name: &str) -> io::Result<&'static Target> {
    targets::all().chain([&targets::BROKEN]).find(|target| target.name == name).ok_or_else(|| {
        let names: Vec<_> = targets::all().map(|target| target.name).collect();
        io::Error::other(format!("Expected one of {} for --target but received {name}", names.join(", ")))
    })
}

fn number(name: &str, text: &str) -> io::Result<u64> {
    text.parse().map_err(|_| io::Error::other(format!("Expected a whole number for --{name} but received {text}")))
}

fn fuzz(arguments: &[&str]) -> io::Result<bool> {
    let (mut seconds, mut executions, mut seed, mut chosen) = (None, None, 1, Vec::new());
    for pair in arguments.chunks(2) {
        match *pair {
            ["--seconds", value] => seconds = Some(number("seconds", value)?),
            ["--executions", value] => executions = Some(number("executions", value)?),
            ["--seed", value] => seed = number("seed", value)?,
            ["--target", value] => chosen.push(target(value)?),
            _ => {
                let message = "Expected --seconds, --executions, --target or --seed, each with a value, but received";
                return Err(io::Error::other(format!("{message} {}", pair.join(" "))));
            }
        }
    }
    let targets: Vec<&Target> = if chosen.is_empty() { targets::all().collect() } else { chosen };
    let time = match (seconds, executions) {
        // A century.
        (None, Some(_)) => Duration::from_secs(u64::from(u32::MAX)),
        (seconds, _) => Duration::from_secs(seconds.unwrap_or(SECONDS)) / targets.len() as u32,
    };
    let work = work()?;
    println!("target        executions     a second  corpus  restarts  peak MiB  longest ms  outcomes");
    let mut is_sound = true;
    for target in targets {
        let report = supervise::fuzz(target, seed, time, executions.unwrap_or(u64::MAX), &work)?;
        tell(target, &report);
        for (name, failure) in &report.told.failures {
            is_sound &= failure.is_borne();
            let file = work.join(target.name).join(name);
            let size = supervise::shrink(target, &file, failure, &work)?;
            println!("  {} ({size} bytes): {}", file.display(), line(failure));
        }
    }
    Ok(is_sound)
}

fn tell(target: &Target, Report { told, restarts, elapsed }: &Report) {
    let seen = &told.seen;
    let outcomes: Vec<_> = seen.outcomes.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let edges = match seen.edges {
        (_, 0) => String::new(),
        (taken, all) => format!("; {taken} of {all} edges"),
    };
    println!(
        "{:12} {:>11} {:>12.0} {:>7} {restarts:>9} {:>9.1} {:>11.1}  {}{edges}",
        target.name,
        seen.executions,
        seen.executions as f64 / elapsed.as_secs_f64(),
        seen.corpus,
        seen.peak as f64 / f64::from(1 << 20),
        seen.longest as f64 / 1e3,
        outcomes.join(", ")
    );
}

fn line(failure: &Failure) -> String {
    let rank = if failure.is_borne() { "borne: a panic that fails its own playback, at" } else { &failure.kind };
    format!("{rank} {}", failure.detail)
}

/// Tests the fuzzer with a target that fails in every way.
fn check() -> io::Result<bool> {
    let work = work()?;
    let look = |way, kind: &str| {
        let file = work.join(format!("broken-{kind}"));
        fs::write(&file, [way])?;
        let (failure, ..) = supervise::replay(&targets::BROKEN, &file, &work)?;
        let told = failure.map_or_else(|| "sound".to_owned(), |failure| failure.kind);
        if told != kind {
            println!("Expected {kind} for a target that is broken so but received {told}");
        }
        io::Result::Ok(told == kind)
    };
    // All at once, because one of them waits for the watchdog.
    std::thread::scope(|scope| {
        let ways = broken::WAYS.iter().chain(&[(b'-', "sound")]);
        let looks: Vec<_> = ways.map(|(way, kind)| scope.spawn(|| look(*way, kind))).collect();
        looks.into_iter().try_fold(true, |sound, look| Ok(look.join().expect("no panic inside")? & sound))
    })
}

/// Runs every file of a folder through every check, each in a process of its own.
fn replay(folder: &Path) -> io::Result<bool> {
    let (work, mut failed) = (work()?, 0);
    let files = supervise::files(folder)?;
    for (name, file) in &files {
        let (failure, longest, peak) = supervise::replay(target(name)?, file, &work)?;
        let shown = file.strip_prefix(folder).unwrap_or(file).display();
        if let Some(failure) = failure {
            failed += usize::from(!failure.is_borne());
            let (longest, peak) = (longest as f64 / 1e3, peak as f64 / f64::from(1 << 20));
            println!("{shown}: {} ({peak:.1} MiB, {longest:.1} ms)", line(&failure));
        }
    }
    println!("{} files, {failed} fail", files.len());
    Ok(failed == 0)
}
