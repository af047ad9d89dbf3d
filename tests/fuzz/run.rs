//! Executions, one after another, in a process of their own: each input is in a file before it runs, so that one that ends the process is
//! not lost.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::coverage;
use super::media::Bench;
use super::memory;
use super::mutate::mutate;
use super::random::{Random, hash};
use super::targets::Target;

/// The most memory that an execution may hold beside its input, in bytes.
const MAX_MEMORY: usize = 64 << 20;

/// The processor time after which an execution counts as hung; one takes milliseconds.
const HANG: Duration = Duration::from_secs(5);

/// The time on the wall after which an execution that uses no processor counts as hung.
const SLEEP: Duration = Duration::from_secs(60);

/// The number of ways in which an input is fed. A replayed file is fed in all of them.
pub const PLANS: u64 = 48;

/// The most inputs that are kept because they did something new.
const MAX_CORPUS: usize = 4_000;

/// The longest input that is kept: inputs made from longer ones would be long too, and slow.
const MAX_KEPT: usize = 16 << 10;

/// A failure: something that must not happen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    /// Its kind, in one word.
    pub kind: String,
    pub detail: String,
}

impl Failure {
    pub fn new(kind: &str, detail: String) -> Self {
        Self { kind: kind.to_owned(), detail }
    }

    /// Returns true if it is tolerated: a decoder's panic fails its own playback only.
    pub fn is_borne(&self) -> bool {
        self.kind == "borne"
    }

    /// Returns a name that is the same for duplicates of one failure.
    pub fn name(&self) -> String {
        let detail: String = self.detail.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        let detail = match self.kind.as_str() {
            "panic" | "borne" => hash(self.detail.split(": ").next().unwrap_or_default().as_bytes()),
            "outcome" => hash(detail.as_bytes()),
            _ => 0,
        };
        format!("{}-{:04x}", self.kind, detail & 0xffff)
    }
}

/// The observations of one execution, or of many.
#[derive(Default, Serialize, Deserialize)]
pub struct Seen {
    pub executions: u64,
    pub outcomes: BTreeMap<String, u64>,
    /// The longest time that a decode task kept its thread, in microseconds.
    pub longest: u64,
    /// The input that caused it.
    pub longest_input: String,
    /// The most memory, in bytes.
    pub peak: usize,
    /// The number of inputs that did something new.
    pub corpus: usize,
    /// The number of edges of the code that were taken, and of all; zeros if the build does not count them.
    pub edges: (usize, usize),
    /// The behaviour of this execution, in numbers that do not depend on time.
    #[serde(skip)]
    traits: DefaultHasher,
    #[serde(skip)]
    slice: Duration,
}

impl Seen {
    pub fn outcome(&mut self, name: &str, text: &str) {
        *self.outcomes.entry(name.to_owned()).or_default() += 1;
        text.chars().filter(|c| !c.is_ascii_digit()).for_each(|c| c.hash(&mut self.traits));
        name.hash(&mut self.traits);
    }

    pub fn sound(&mut self, samples: usize) {
        self.trait_of(samples);
    }

    /// Adds a number that roughly tells one execution from another.
    pub fn trait_of(&mut self, number: usize) {
        number.checked_ilog2().hash(&mut self.traits);
    }

    pub fn kept(&mut self, thread: Duration) {
        self.slice = self.slice.max(thread);
    }
}

/// The file that holds the running input and its state.
pub struct Ledger(File);

/// The last entry of a ledger whose process has ended.
pub struct Last {
    pub executions: u64,
    pub refused: u64,
    pub hung: bool,
    pub input: Vec<u8>,
}

const HEADER: usize = 32;

impl Ledger {
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(OpenOptions::new().create(true).truncate(true).write(true).open(path)?))
    }

    fn note(&self, executions: u64, input: &[u8]) {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&(input.len() as u64).to_le_bytes());
        header[8..16].copy_from_slice(&executions.to_le_bytes());
        self.0.write_all_at(input, HEADER as u64).and_then(|()| self.0.write_all_at(&header, 0)).expect("a ledger");
    }

    fn note_refusal(&self, bytes: u64) {
        let _ = self.0.write_all_at(&bytes.to_le_bytes(), 16);
    }

    fn note_hang(&self) {
        let _ = self.0.write_all_at(&1_u64.to_le_bytes(), 24);
    }

    pub fn read(path: &Path) -> io::Result<Last> {
        let bytes = std::fs::read(path)?;
        let word = |at| bytes.get(at..at + 8).map_or(0, |word| u64::from_le_bytes(word.try_into().expect("8 bytes")));
        let input = bytes.get(HEADER..HEADER + word(0) as usize).unwrap_or_default().to_vec();
        Ok(Last { executions: word(8), refused: word(16), hung: word(24) != 0, input })
    }
}

static LEDGER: OnceLock<Ledger> = OnceLock::new();
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// The number of the running execution, for the watchdog; 0 while none runs.
static RUNNING: AtomicU64 = AtomicU64::new(0);
static EXECUTIONS: AtomicU64 = AtomicU64::new(0);

/// Prepares this process for inputs that may end it.
fn guard(ledger: Ledger) {
    let _ = LEDGER.set(ledger);
    let _ = memory::ON_REFUSAL.set(|bytes| LEDGER.get().expect("it was set").note_refusal(bytes));
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(|| "nowhere".to_owned(), |at| place(at.file(), at.line()));
        let what = info.payload_as_str().unwrap_or("no message");
        *PANIC.lock().expect("no panic inside") = Some(format!("{place}: {what}"));
    }));
    std::thread::spawn(|| {
        let (mut since, mut spent, mut last) = (Instant::now(), cpu_time(), 0);
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let now = RUNNING.load(Ordering::Relaxed);
            if now != last || now == 0 {
                (since, spent, last) = (Instant::now(), cpu_time(), now);
            } else if cpu_time().saturating_sub(spent) > HANG || since.elapsed() > SLEEP {
                LEDGER.get().expect("it was set").note_hang();
                std::process::abort();
            }
        }
    });
}

/// Returns the processor time of this process so far: on a busy machine the clock on the wall is no measure. Zero where Linux does not
/// state it.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in brackets, may hold anything; the numbers behind it count hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Returns a place in the code, without the machine's own folders.
fn place(file: &str, line: u32) -> String {
    let file =
        file.split_once("/registry/src/").map_or(file, |(_, file)| file.split_once('/').map_or(file, |(_, f)| f));
    let file = file.split_once("/library/").map_or(file, |(_, file)| file);
    format!("{file}:{line}")
}

/// Runs one input in one way, and checks its cost.
fn execute(target: &Target, input: &[u8], plan: u64, bench: &mut Bench, seen: &mut Seen) -> Result<(), Failure> {
    let before = memory::begin();
    RUNNING.store(EXECUTIONS.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
    coverage::begin();
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input, plan, bench, seen)));
    RUNNING.store(0, Ordering::Relaxed);
    let peak = memory::peak(before);
    seen.trait_of(peak * 4);
    seen.peak = seen.peak.max(peak);
    let panicked = PANIC.lock().expect("no panic inside").take();
    if result.is_ok()
        && let Some(at) = &panicked
        && !at.starts_with("src/")
    {
        return Err(Failure::new("borne", at.clone()));
    }
    if let Some(at) = panicked {
        return Err(Failure::new("panic", at));
    }
    result.expect("there was no panic")?;
    if peak > MAX_MEMORY + input.len() {
        Err(Failure::new("memory", format!("{peak} bytes are held for {} of input", input.len())))
    } else {
        Ok(())
    }
}

/// The parameters of a run.
pub struct Task {
    pub seed: u64,
    pub time: Duration,
    pub executions: u64,
    /// The folder for inputs.
    pub folder: PathBuf,
}

/// The results of a process.
#[derive(Default, Serialize, Deserialize)]
pub struct Told {
    pub seen: Seen,
    /// The names of files in the folder, with their failures.
    pub failures: Vec<(String, Failure)>,
}

const TOLD: &str = "told.json";

impl Told {
    /// Saves them for the supervisor, which reads them once this process has ended.
    fn save(&self, folder: &Path) -> io::Result<()> {
        std::fs::write(folder.join(TOLD), serde_json::to_vec(self)?)
    }

    /// Reads the results of a process that has ended.
    pub fn saved(folder: &Path) -> Self {
        let saved = std::fs::read(folder.join(TOLD)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        saved.unwrap_or_default()
    }
}

/// Makes inputs and runs them until the time or the number is reached.
pub fn fuzz(target: &Target, task: &Task) -> io::Result<Told> {
    guard(Ledger::create(&task.folder.join("now"))?);
    let begun = Instant::now();
    let mut random = Random::new(task.seed);
    let mut told = Told::default();
    let mut corpus: Vec<Arc<[u8]>> = (target.seeds)().into_iter().map(Arc::from).collect();
    // The corpus of earlier processes of this run; sorted by name, so that it is the same each time.
    let kept = task.folder.join("corpus");
    let mut names: Vec<_> = std::fs::read_dir(&kept)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    names.sort();
    for name in &names {
        corpus.push(std::fs::read(name)?.into());
    }
    let seeds = corpus.len() - names.len();
    let (mut known, mut names) = (HashSet::new(), HashSet::new());
    let mut bench = Bench::new();
    for number in 0..task.executions {
        if number % 16 == 0 && begun.elapsed() >= task.time {
            break;
        }
        if number % 256 == 0 {
            told.save(&task.folder)?;
        }
        let input: Arc<[u8]> = match corpus.get(number as usize) {
            // First each seed, unchanged.
            Some(input) => input.clone(),
            // A third from the seeds, a third from recent new ones, a third from all.
            None => {
                let from = match random.below(3) {
                    0 => &corpus[..seeds],
                    1 => &corpus[corpus.len().saturating_sub(64)..],
                    _ => &corpus[..],
                };
                mutate(from, &mut random).into()
            }
        };
        let plan = random.below(PLANS as usize) as u64;
        let seen = &mut told.seen;
        seen.executions += 1;
        (seen.traits, seen.slice) = (DefaultHasher::new(), Duration::ZERO);
        LEDGER.get().expect("it was set").note(seen.executions, &input);
        let result = execute(target, &input, plan, &mut bench, seen);
        let slice = seen.slice.as_micros() as u64;
        if slice > seen.longest {
            (seen.longest, seen.longest_input) = (slice, format!("longest-{:016x}", hash(&input)));
            std::fs::write(task.folder.join(&seen.longest_input), &input)?;
        }
        if let Err(failure) = result {
            bench = Bench::new();
            let name = failure.name();
            if names.insert(name.clone()) {
                std::fs::write(task.folder.join(&name), &input)?;
                told.failures.push((name, failure));
                told.save(&task.folder)?;
            }
            continue;
        }
        let is_new = known.insert(seen.traits.finish()) | coverage::is_new();
        let is_kept = corpus.len() < MAX_CORPUS && input.len() <= MAX_KEPT;
        if is_new && is_kept && number as usize >= corpus.len() {
            std::fs::write(kept.join(format!("{:08}", corpus.len())), &input)?;
            corpus.push(input);
        }
        seen.corpus = corpus.len();
    }
    told.seen.edges = coverage::edges();
    Ok(told)
}

/// Runs a file in every way.
pub fn replay(target: &Target, input: &[u8], ledger: &Path) -> io::Result<Told> {
    guard(Ledger::create(ledger)?);
    let (mut bench, mut told) = (Bench::new(), Told::default());
    LEDGER.get().expect("it was set").note(1, input);
    for plan in 0..PLANS {
        told.seen.slice = Duration::ZERO;
        let result = execute(target, input, plan, &mut bench, &mut told.seen);
        told.seen.longest = told.seen.longest.max(told.seen.slice.as_micros() as u64);
        told.seen.executions += 1;
        if let Err(failure) = result {
            bench = Bench::new();
            told.failures.push((failure.name(), failure));
        }
    }
    // Tolerated failures come last.
    told.failures.sort_by_key(|(_, failure)| failure.is_borne());
    Ok(told)
}
