//! Writes lines to standard error.
//!
//! The reader of standard error may be slow, stopped or gone, and no other thread may wait for it: lines wait in a bounded queue for a
//! thread that writes them. Lines that do not fit are dropped and counted.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::redact::redact_to;
use crate::secrets;

/// The size of the queue, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// The longest line, in characters.
const MAX_LINE: usize = 2_000;

/// The time that a process that ends waits for the rest to be written.
const EXIT_TIMEOUT: Duration = Duration::from_millis(300);

/// The time that a thread that panics waits for that.
const PANIC_TIMEOUT: Duration = Duration::from_millis(10);

/// The interval of attempts to write to a non-blocking standard error that is full.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// Writes where a thread panicked.
pub fn report_panic(panic: &PanicHookInfo<'_>) {
    QUEUE.push(&describe(panic));
    // The process may end with it.
    QUEUE.flush(PANIC_TIMEOUT);
}

/// Queues a line to be written.
pub fn push(line: &str) {
    QUEUE.push(line);
}

/// Waits a short time until all queued lines are written.
pub fn flush() {
    QUEUE.flush(EXIT_TIMEOUT);
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let message = panic.payload_as_str().unwrap_or("a value that is no text");
    let location = panic.location().map_or_else(String::new, |location| format!(" at {location}"));
    format!("speaker-session: thread '{}' panicked{location}: {message}\n", thread.name().unwrap_or("unnamed"))
}

static QUEUE: Queue = Queue { state: Mutex::new(State::new()), changed: Condvar::new() };

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    lines: VecDeque<String>,
    /// The size of these, and of those that are being written.
    bytes: usize,
    /// The number of lines for which there was no room.
    lost: u64,
    has_thread: bool,
}

impl State {
    const fn new() -> Self {
        Self { lines: VecDeque::new(), bytes: 0, lost: 0, has_thread: false }
    }
}

impl Queue {
    /// Adds a line, if there is room, without waiting.
    fn push(&'static self, line: &str) {
        // Now, because a secret may be forgotten before its line is written.
        let line = secrets::mask(line).into_owned();
        let mut state = self.state.lock();
        if !state.has_thread {
            // Started with the first line. While the system refuses a thread there is no log.
            let thread = Builder::new().name("speaker-log".to_owned()).spawn(|| self.run());
            state.has_thread = thread.is_ok();
        }
        if !state.has_thread || state.bytes + line.len() > MAX_BYTES {
            state.lost += 1;
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line);
        self.changed.notify_all();
    }

    fn run(&self) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.write_all(&mut io::stderr())));
        // A line made it panic: the next one starts another thread.
        let mut state = self.state.lock();
        state.bytes = state.lines.iter().map(String::len).sum();
        state.has_thread = false;
    }

    /// Writes lines as they come, for ever.
    fn write_all(&self, to: &mut dyn Write) {
        let mut lost = 0;
        loop {
            let lines = self.take(&mut lost);
            for line in &lines {
                let shown = redact_to(line.trim_end(), MAX_LINE) + "\n";
                lost += u64::from(write(to, &shown).is_err());
            }
            if lost > 0 && write(to, &format!("speaker-session: {lost} lines of the log were lost here\n")).is_ok() {
                lost = 0;
            }
            self.state.lock().bytes -= lines.iter().map(String::len).sum::<usize>();
            self.changed.notify_all();
        }
    }

    /// Waits for lines and takes them; adds the number of those that had no room to `lost`.
    fn take(&self, lost: &mut u64) -> VecDeque<String> {
        let mut state = self.state.lock();
        while state.lines.is_empty() {
            self.changed.wait(&mut state);
        }
        *lost += std::mem::take(&mut state.lost);
        std::mem::take(&mut state.lines)
    }

    fn flush(&self, timeout: Duration) {
        let until = Instant::now() + timeout;
        let mut state = self.state.lock();
        while state.bytes > 0 && !self.changed.wait_until(&mut state, until).timed_out() {}
    }
}

/// Writes a whole line. Node may have made standard error non-blocking.
fn write(to: &mut dyn Write, line: &str) -> io::Result<()> {
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match to.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY_INTERVAL),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Takes one line for each permit. Blocks without one, as a full pipe does; broken once the permits end.
    struct Pipe {
        permits: Receiver<()>,
        written: Sender<String>,
    }

    impl Write for Pipe {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.permits.recv().map_err(|_| ErrorKind::BrokenPipe)?;
            self.written.send(String::from_utf8_lossy(line).into_owned()).map_err(|_| ErrorKind::BrokenPipe)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn queue() -> (&'static Queue, Sender<()>, Receiver<String>) {
        let queue: &'static Queue =
            Box::leak(Box::new(Queue { state: Mutex::new(State::new()), changed: Condvar::new() }));
        queue.state.lock().has_thread = true;
        let ((permit, permits), (written, lines)) = (channel(), channel());
        thread::spawn(move || queue.write_all(&mut Pipe { permits, written }));
        (queue, permit, lines)
    }

    #[test]
    fn never_waits_and_counts_lost_lines() {
        let (queue, permit, lines) = queue();
        let line = "x".repeat(1_000);
        // The first is taken, and waits for its permit; the others stay where they are.
        queue.push(&line);
        while !queue.state.lock().lines.is_empty() {
            thread::yield_now();
        }
        (0..5_000).for_each(|_| queue.push(&line));
        let lost = queue.state.lock().lost;
        assert_eq!(lost, 5_001 - (MAX_BYTES / line.len()) as u64);
        queue.flush(Duration::from_millis(1));
        (0..5_001).for_each(|_| permit.send(()).unwrap());
        let report = lines.iter().find(|line| line.contains("lost")).unwrap();
        assert_eq!(report, format!("speaker-session: {lost} lines of the log were lost here\n"));
        queue.push("goes on, password=hunter2\n");
        assert_eq!(lines.recv().unwrap(), "goes on, password=<masked>\n");
        queue.flush(Duration::from_secs(20));
        assert_eq!(queue.state.lock().bytes, 0);
    }

    #[test]
    fn a_closed_pipe_blocks_no_one() {
        let (queue, permit, _) = queue();
        drop(permit);
        (0..5_000).for_each(|_| queue.push("nobody reads this"));
        queue.flush(Duration::from_secs(20));
        assert_eq!(queue.state.lock().bytes, 0);
    }
}
