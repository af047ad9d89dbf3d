//! Threads for what a disk does. A disk may be slow, or never answer (a network share whose server is gone), so no thread that ticks,
//! decodes or runs JavaScript may read, write, open or close a file.
//!
//! Each file has a lane: its calls are made one after the other, and what becomes of them is told by what they capture. Threads are
//! made when calls wait for them, up to a bound. A disk that does not answer holds some of them, and never all: so many calls of one
//! disk are made at a time, and the others wait in their order.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long a thread waits for a call before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// How long a new thread leaves the calls to the others: a disk that is well is done by then.
const RISE: Duration = Duration::from_millis(2);

/// How long a disk may take for one thing that it is asked for (to open a file, to take a megabyte, to rename) before whoever waits for
/// it gives up. Longer than a disk that wakes up, or a share whose server starts anew within reason; short enough for who waits for
/// `connect` or `close`.
pub const DISK_LIMIT: Duration = Duration::from_secs(10);

/// The same in whole seconds, to be counted and shown.
pub const DISK_SECONDS: u32 = DISK_LIMIT.as_secs() as u32;

/// How long the list of what is mounted holds.
const MOUNTS: Duration = Duration::from_secs(5);

/// A disk, or whatever else is mounted, by a number that holds as long as it is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Disk(u64);

impl Disk {
    /// The disk on which a path lies by its name alone: to follow links would ask the disk. Where the system does not list what is
    /// mounted, all is one disk.
    pub fn of(path: &Path) -> Self {
        static KNOWN: Mutex<Option<(Instant, Mounts)>> = Mutex::new(None);
        let Ok(path) = std::path::absolute(path) else { return Self(0) };
        let mut known = KNOWN.lock();
        if known.as_ref().is_none_or(|(since, _)| since.elapsed() > MOUNTS) {
            *known = Some((Instant::now(), mounts()));
        }
        let (_, mounts) = known.as_ref().expect("it was just set");
        let under = mounts.iter().filter(|(place, _)| path.starts_with(place));
        Self(under.max_by_key(|(place, _)| place.components().count()).map_or(0, |(_, number)| *number))
    }
}

/// What is mounted where, and its number.
type Mounts = Vec<(PathBuf, u64)>;

/// The kernel answers from memory, whatever the disks do.
fn mounts() -> Mounts {
    let list = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    list.lines().filter_map(mount).collect()
}

/// A line of `/proc/<pid>/mountinfo` (proc(5)): its number is the first field, its place the fifth, in which blanks are octal.
fn mount(line: &str) -> Option<(PathBuf, u64)> {
    let mut fields = line.split(' ');
    let number = fields.next()?.parse().ok()?;
    let place = fields.nth(3)?.to_owned();
    let signs = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    Some((signs.iter().fold(place, |place, (code, sign)| place.replace(code, sign)).into(), number))
}

/// What has calls to be made.
trait Calls: Send + Sync {
    /// Makes the next one. Returns true if more wait.
    fn turn(&self) -> bool;
}

#[derive(Default)]
struct OfDisk {
    waiting: VecDeque<Arc<dyn Calls>>,
    running: usize,
}

#[derive(Default)]
struct State {
    disks: HashMap<Disk, OfDisk>,
    threads: usize,
    idle: usize,
    /// A new thread is on its way.
    is_rising: bool,
}

struct Shared {
    most: usize,
    most_each: usize,
    state: Mutex<State>,
    changed: Condvar,
}

/// The threads, and what waits for one.
pub struct Disks(Arc<Shared>);

impl Disks {
    /// Up to `most` threads, of which one disk holds up to `most_each`. The first is made at once, or the system says why not; one
    /// that is refused later is done without.
    pub fn new(most: usize, most_each: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared { most, most_each, state: Mutex::default(), changed: Condvar::new() });
        shared.state.lock().threads = 1;
        let first = shared.clone();
        spawn(move || first.run())?;
        Ok(Self(shared))
    }

    /// A lane on a disk for the calls to `value`, which also ends there.
    pub fn lane<T: Send + 'static>(&self, disk: Disk, value: T) -> Lane<T> {
        let line = Line { calls: VecDeque::new(), has_turn: false, is_left: false };
        Lane(Arc::new(Inner { disk, shared: self.0.clone(), line: Mutex::new(line), value: Mutex::new(Some(value)) }))
    }
}

impl Shared {
    fn add(self: &Arc<Self>, disk: Disk, calls: Arc<dyn Calls>) {
        let mut state = self.state.lock();
        state.disks.entry(disk).or_default().waiting.push_back(calls);
        let rises = self.rises(&mut state);
        drop(state);
        self.changed.notify_one();
        self.rise(rises);
    }

    /// Returns true if one more thread is to be made: more calls may be made than threads are idle, and none is on its way.
    fn rises(&self, state: &mut State) -> bool {
        let due = state.disks.values().map(|disk| disk.due(self.most_each)).sum::<usize>();
        let rises = due > state.idle && state.threads < self.most && !state.is_rising;
        state.is_rising |= rises;
        state.threads += usize::from(rises);
        rises
    }

    fn rise(self: &Arc<Self>, rises: bool) {
        if !rises {
            return;
        }
        let shared = self.clone();
        let run = move || {
            std::thread::sleep(RISE);
            shared.state.lock().is_rising = false;
            shared.run();
        };
        if let Err(error) = spawn(run) {
            let mut state = self.state.lock();
            (state.threads, state.is_rising) = (state.threads - 1, false);
            drop(state);
            tracing::warn!(%error, "no thread for a disk: its calls wait for another");
        }
    }

    fn run(self: &Arc<Self>) {
        while let Some((disk, calls, rises)) = self.next() {
            self.rise(rises);
            let more = calls.turn();
            let mut state = self.state.lock();
            let of_disk = state.disks.entry(disk).or_default();
            of_disk.running -= 1;
            if more {
                of_disk.waiting.push_back(calls);
            } else if of_disk.running == 0 && of_disk.waiting.is_empty() {
                state.disks.remove(&disk);
            }
        }
    }

    /// What is next: of the disk that has the fewest threads; and whether one more thread is to be made for what is behind it. `None` for
    /// a thread that was idle for long, unless it is the last one.
    fn next(&self) -> Option<(Disk, Arc<dyn Calls>, bool)> {
        let mut state = self.state.lock();
        loop {
            let due = state.disks.iter_mut().filter(|(_, of_disk)| of_disk.due(self.most_each) > 0);
            if let Some((disk, of_disk)) = due.min_by_key(|(_, of_disk)| of_disk.running)
                && let Some(calls) = of_disk.waiting.pop_front()
            {
                of_disk.running += 1;
                let disk = *disk;
                return Some((disk, calls, self.rises(&mut state)));
            }
            state.idle += 1;
            let timed_out = self.changed.wait_for(&mut state, IDLE).timed_out();
            state.idle -= 1;
            if timed_out && state.threads > 1 && state.disks.values().all(|of_disk| of_disk.due(self.most_each) == 0) {
                state.threads -= 1;
                return None;
            }
        }
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name("speaker-disk".to_owned()).spawn(run).map(drop)
}

impl OfDisk {
    /// How many calls may be made now.
    fn due(&self, most: usize) -> usize {
        self.waiting.len().min(most.saturating_sub(self.running))
    }
}

type Call<T> = Box<dyn FnOnce(&mut T) + Send>;

struct Line<T> {
    calls: VecDeque<Call<T>>,
    /// It waits for a thread or has one.
    has_turn: bool,
    /// No call follows.
    is_left: bool,
}

struct Inner<T> {
    disk: Disk,
    shared: Arc<Shared>,
    line: Mutex<Line<T>>,
    /// Locked only by the thread that makes a call. Gone after a call that panicked.
    value: Mutex<Option<T>>,
}

/// The calls to one file. Dropping it waits for none: those that were asked for are made, and then the file is closed, all by the
/// threads of the disk.
pub struct Lane<T: Send + 'static>(Arc<Inner<T>>);

impl<T: Send + 'static> Lane<T> {
    /// Asks for a call, to be made behind those asked for before. It waits for nobody; `call` tells what becomes of it.
    pub fn call(&self, call: impl FnOnce(&mut T) + Send + 'static) {
        self.tell(|line| line.calls.push_back(Box::new(call)));
    }

    fn tell(&self, change: impl FnOnce(&mut Line<T>)) {
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
        self.tell(|line| line.is_left = true);
    }
}

impl<T: Send> Calls for Inner<T> {
    fn turn(&self) -> bool {
        let mut value = self.value.lock();
        let call = self.line.lock().calls.pop_front();
        let made = catch_unwind(AssertUnwindSafe(|| match (call, &mut *value) {
            (Some(call), Some(value)) => call(value),
            // What a call captured tells by being dropped that it was not made.
            (Some(call), None) => drop(call),
            (None, _) => drop(value.take()),
        }));
        if made.is_err() {
            tracing::error!("a call to a file panicked: please report it");
            let _ = catch_unwind(AssertUnwindSafe(|| drop(value.take())));
        }
        let mut line = self.line.lock();
        line.has_turn = !line.calls.is_empty() || (line.is_left && value.is_some());
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
    fn the_calls_of_a_lane_are_made_in_their_order_and_its_value_ends_behind_them() {
        struct Told(std::sync::mpsc::Sender<usize>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send(usize::MAX).unwrap();
            }
        }
        let disks = Disks::new(4, 4).unwrap();
        let (sender, told) = channel();
        let lane = disks.lane(Disk(1), Told(sender));
        (0..100).for_each(|number| lane.call(move |told| told.0.send(number).unwrap()));
        drop(lane);
        let all: Vec<_> = (0..=100).map(|_| told.recv_timeout(SOON).unwrap()).collect();
        assert_eq!(all, (0..100).chain([usize::MAX]).collect::<Vec<_>>());
    }

    #[test]
    fn a_disk_that_never_answers_holds_no_other_and_what_it_holds_is_bounded() {
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
    fn a_call_that_panics_ends_its_lane_alone() {
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
    fn a_path_lies_on_what_is_mounted_nearest_above_it() {
        let line = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        assert_eq!(mount(line), Some(("/mnt 2".into(), 36)));
        assert_eq!(mount("nonsense"), None);
        if cfg!(target_os = "linux") {
            assert_ne!(Disk::of(Path::new("/proc/self/status")), Disk::of(Path::new("/")));
            assert_eq!(Disk::of(Path::new("/no/such/file")), Disk::of(Path::new("/")));
        }
    }
}
