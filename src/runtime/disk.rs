//! Threads for file I/O. A disk may be slow, or never answer (a network share whose server is gone), so no thread that ticks,
//! decodes or runs JavaScript may read, write, open or close a file.
//!
//! Each file has a lane: its calls run one after the other, and report their results through what they capture. Threads are
//! started when calls wait for them, up to a limit. A disk that does not answer occupies some of them, and never all: the number of
//! concurrent calls to one disk is limited, and the others wait in their order.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// The time after which an idle thread ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The time that a new thread leaves the calls to the others: a healthy disk is done by then.
const START_DELAY: Duration = Duration::from_millis(2);

/// The time that a disk may take for one operation (opening a file, taking a megabyte, renaming) before its caller gives up. Longer than
/// a disk takes to wake up, or the server of a share to restart within reason; short enough for a user who waits for `connect` or
/// `close`.
pub const DISK_LIMIT: Duration = Duration::from_secs(10);

/// The same in whole seconds, for counters and messages.
pub const DISK_SECONDS: u32 = DISK_LIMIT.as_secs() as u32;

/// The time for which the list of mounts is used before it is read again.
const MOUNTS_TTL: Duration = Duration::from_secs(5);

/// A disk, or another mount, by a number that is valid as long as it is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Disk(u64);

impl Disk {
    /// Returns the disk of a path, judged by the name alone: following links would access the disk. Where the system does not list its
    /// mounts, everything is one disk.
    pub fn of(path: &Path) -> Self {
        static KNOWN: Mutex<Option<(Instant, Mounts)>> = Mutex::new(None);
        let Ok(path) = std::path::absolute(path) else { return Self(0) };
        let mut known = KNOWN.lock();
        if known.as_ref().is_none_or(|(since, _)| since.elapsed() > MOUNTS_TTL) {
            *known = Some((Instant::now(), mounts()));
        }
        let (_, mounts) = known.as_ref().expect("it was just set");
        let under = mounts.iter().filter(|(mount_point, _)| path.starts_with(mount_point));
        Self(under.max_by_key(|(mount_point, _)| mount_point.components().count()).map_or(0, |(_, number)| *number))
    }
}

/// Mount points and their numbers.
type Mounts = Vec<(PathBuf, u64)>;

/// Reads the list of mounts. The kernel answers from memory, whatever the disks do.
fn mounts() -> Mounts {
    let list = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    list.lines().filter_map(mount).collect()
}

/// Parses a line of `/proc/<pid>/mountinfo` (proc(5)): the number is the first field, the mount point the fifth, with blanks in octal.
fn mount(line: &str) -> Option<(PathBuf, u64)> {
    let mut fields = line.split(' ');
    let number = fields.next()?.parse().ok()?;
    let mount_point = fields.nth(3)?.to_owned();
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    Some((escapes.iter().fold(mount_point, |text, (code, letter)| text.replace(code, letter)).into(), number))
}

/// A lane with calls that wait.
trait Calls: Send + Sync {
    /// Runs the next call. Returns true if more wait.
    fn turn(&self) -> bool;
}

#[derive(Default)]
struct DiskQueue {
    waiting: VecDeque<Arc<dyn Calls>>,
    running: usize,
}

#[derive(Default)]
struct State {
    disks: HashMap<Disk, DiskQueue>,
    threads: usize,
    idle: usize,
    /// A new thread is starting.
    is_starting: bool,
}

struct Shared {
    max_threads: usize,
    max_per_disk: usize,
    state: Mutex<State>,
    changed: Condvar,
}

/// The threads, and the lanes that wait for one.
pub struct Disks(Arc<Shared>);

impl Disks {
    /// Creates a pool of up to `max_threads`, of which one disk occupies up to `max_per_disk`. Starts the first thread at once, or fails
    /// with the system's error; a thread that is refused later is not an error.
    pub fn new(max_threads: usize, max_per_disk: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared { max_threads, max_per_disk, state: Mutex::default(), changed: Condvar::new() });
        shared.state.lock().threads = 1;
        let first = shared.clone();
        spawn(move || first.run())?;
        Ok(Self(shared))
    }

    /// Creates a lane on a disk for calls to `value`, which is also dropped there.
    pub fn lane<T: Send + 'static>(&self, disk: Disk, value: T) -> Lane<T> {
        let line = Line { calls: VecDeque::new(), has_turn: false, is_abandoned: false };
        Lane(Arc::new(Inner { disk, shared: self.0.clone(), line: Mutex::new(line), value: Mutex::new(Some(value)) }))
    }
}

impl Shared {
    fn add(self: &Arc<Self>, disk: Disk, calls: Arc<dyn Calls>) {
        let mut state = self.state.lock();
        state.disks.entry(disk).or_default().waiting.push_back(calls);
        let needs_thread = self.needs_thread(&mut state);
        drop(state);
        self.changed.notify_one();
        if needs_thread {
            self.start_thread();
        }
    }

    /// Returns true, and counts the new thread, if one has to be started: more calls may run than threads are idle, and none is starting.
    fn needs_thread(&self, state: &mut State) -> bool {
        let due = state.disks.values().map(|disk| disk.due(self.max_per_disk)).sum::<usize>();
        let needs_thread = due > state.idle && state.threads < self.max_threads && !state.is_starting;
        state.is_starting |= needs_thread;
        state.threads += usize::from(needs_thread);
        needs_thread
    }

    fn start_thread(self: &Arc<Self>) {
        let shared = self.clone();
        let run = move || {
            std::thread::sleep(START_DELAY);
            shared.state.lock().is_starting = false;
            shared.run();
        };
        if let Err(error) = spawn(run) {
            let mut state = self.state.lock();
            state.threads -= 1;
            state.is_starting = false;
            drop(state);
            tracing::warn!(%error, "no thread for a disk: its calls wait for another");
        }
    }

    fn run(self: &Arc<Self>) {
        while let Some((disk, calls, needs_thread)) = self.next() {
            if needs_thread {
                self.start_thread();
            }
            let has_more = calls.turn();
            let mut state = self.state.lock();
            let queue = state.disks.entry(disk).or_default();
            queue.running -= 1;
            if has_more {
                queue.waiting.push_back(calls);
            } else if queue.running == 0 && queue.waiting.is_empty() {
                state.disks.remove(&disk);
            }
        }
    }

    /// Returns the next lane, of the disk with the fewest threads, and true if one more thread has to be started for those behind it.
    /// Returns `None` for a thread that was idle for [`IDLE_TIMEOUT`], unless it is the last one.
    fn next(&self) -> Option<(Disk, Arc<dyn Calls>, bool)> {
        let mut state = self.state.lock();
        loop {
            let due = state.disks.iter_mut().filter(|(_, queue)| queue.due(self.max_per_disk) > 0);
            if let Some((disk, queue)) = due.min_by_key(|(_, queue)| queue.running)
                && let Some(calls) = queue.waiting.pop_front()
            {
                queue.running += 1;
                let disk = *disk;
                return Some((disk, calls, self.needs_thread(&mut state)));
            }
            state.idle += 1;
            let timed_out = self.changed.wait_for(&mut state, IDLE_TIMEOUT).timed_out();
            state.idle -= 1;
            if timed_out && state.threads > 1 && state.disks.values().all(|queue| queue.due(self.max_per_disk) == 0) {
                state.threads -= 1;
                return None;
            }
        }
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name("speaker-disk".to_owned()).spawn(run).map(drop)
}

impl DiskQueue {
    /// Returns the number of lanes that may have a thread now, where `max` may at a time.
    fn due(&self, max: usize) -> usize {
        self.waiting.len().min(max.saturating_sub(self.running))
    }
}

type Call<T> = Box<dyn FnOnce(&mut T) + Send>;

struct Line<T> {
    calls: VecDeque<Call<T>>,
    /// The lane waits for a thread or has one.
    has_turn: bool,
    /// The lane was dropped: no call follows.
    is_abandoned: bool,
}

struct Inner<T> {
    disk: Disk,
    shared: Arc<Shared>,
    line: Mutex<Line<T>>,
    /// Locked only by the thread that runs a call. `None` after a call that panicked.
    value: Mutex<Option<T>>,
}

/// The calls to one file. Dropping it waits for none: the calls that were queued still run, and then the file is closed, all on the
/// threads of the disk.
pub struct Lane<T: Send + 'static>(Arc<Inner<T>>);

impl<T: Send + 'static> Lane<T> {
    /// Queues a call behind the earlier ones, without waiting. `call` itself reports its result.
    pub fn call(&self, call: impl FnOnce(&mut T) + Send + 'static) {
        self.update(|line| line.calls.push_back(Box::new(call)));
    }

    fn update(&self, change: impl FnOnce(&mut Line<T>)) {
        let is_first = {
            let mut line = self.0.line.lock();
            change(&mut line);
            !std::mem::replace(&mut line.has_turn, true)
        };
        if is_first {
            self.0.shared.add(self.0.disk, self.0.clone());
        }
    }
}

impl<T: Send + 'static> Drop for Lane<T> {
    fn drop(&mut self) {
        self.update(|line| line.is_abandoned = true);
    }
}

impl<T: Send> Calls for Inner<T> {
    fn turn(&self) -> bool {
        let mut value = self.value.lock();
        let call = self.line.lock().calls.pop_front();
        let made = catch_unwind(AssertUnwindSafe(|| match (call, &mut *value) {
            (Some(call), Some(value)) => call(value),
            // Dropping what it captured reports that it never ran.
            (Some(call), None) => drop(call),
            (None, _) => drop(value.take()),
        }));
        if made.is_err() {
            tracing::error!("a call to a file panicked: please report it");
            let _ = catch_unwind(AssertUnwindSafe(|| drop(value.take())));
        }
        let mut line = self.line.lock();
        line.has_turn = !line.calls.is_empty() || (line.is_abandoned && value.is_some());
        line.has_turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn runs_a_lanes_calls_in_order() {
        struct Reporter(std::sync::mpsc::Sender<usize>);
        impl Drop for Reporter {
            fn drop(&mut self) {
                self.0.send(usize::MAX).unwrap();
            }
        }
        let disks = Disks::new(4, 4).unwrap();
        let (sender, reports) = channel();
        let lane = disks.lane(Disk(1), Reporter(sender));
        (0..100).for_each(|number| lane.call(move |reporter| reporter.0.send(number).unwrap()));
        drop(lane);
        let all: Vec<_> = (0..=100).map(|_| reports.recv_timeout(SOON).unwrap()).collect();
        assert_eq!(all, (0..100).chain([usize::MAX]).collect::<Vec<_>>());
    }

    #[test]
    fn a_hung_disk_blocks_no_other() {
        let disks = Disks::new(5, 3).unwrap();
        let (sender, told) = channel();
        let (hold, held) = channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let running = Arc::new(AtomicUsize::new(0));
        let hung: Vec<_> = (0..10)
            .map(|_| {
                let (held, running) = (held.clone(), running.clone());
                let lane = disks.lane(Disk(1), ());
                lane.call(move |()| {
                    running.fetch_add(1, Ordering::SeqCst);
                    let _ = held.lock().recv();
                });
                lane
            })
            .collect();
        for number in 0..100 {
            let sender = sender.clone();
            disks.lane(Disk(2), ()).call(move |()| sender.send(number).unwrap());
        }
        let mut all: Vec<_> = (0..100).map(|_| told.recv_timeout(SOON).unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        assert!(running.load(Ordering::SeqCst) <= 3 && disks.0.state.lock().threads <= 5);
        // It answers again.
        drop(hold);
        let sender = Arc::new(sender);
        hung.iter().enumerate().for_each(|(number, lane)| {
            let sender = sender.clone();
            lane.call(move |()| sender.send(number).unwrap());
        });
        (0..10).for_each(|_| assert!(told.recv_timeout(SOON).is_ok()));
        assert_eq!(running.load(Ordering::SeqCst), 10);
    }

    #[test]
    fn a_panic_ends_only_its_lane() {
        let disks = Disks::new(1, 1).unwrap();
        let (sender, told) = channel();
        let (broken, other) = (disks.lane(Disk(1), ()), disks.lane(Disk(1), ()));
        broken.call(|()| std::panic::resume_unwind(Box::new("a fault")));
        let captured = sender.clone();
        broken.call(move |()| captured.send("made").unwrap());
        other.call(move |()| sender.send("another's").unwrap());
        assert_eq!(told.recv_timeout(SOON), Ok("another's"));
        assert!(told.recv_timeout(SOON).is_err(), "the call was dropped, and nothing else holds the channel");
    }

    #[test]
    fn a_path_is_on_its_nearest_mount() {
        let line = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        assert_eq!(mount(line), Some(("/mnt 2".into(), 36)));
        assert_eq!(mount("nonsense"), None);
        if cfg!(target_os = "linux") {
            assert_ne!(Disk::of(Path::new("/proc/self/status")), Disk::of(Path::new("/")));
            assert_eq!(Disk::of(Path::new("/no/such/file")), Disk::of(Path::new("/")));
        }
    }
}
