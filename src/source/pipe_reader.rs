//! A pipe as its decoder reads it.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use symphonia::core::io::MediaSource;

use super::pipe::Outlet;
use super::shared::Reading;
use crate::runtime::suspend;

/// Reads on the decode pool, suspending the feeder where the writer is behind.
pub struct PipeReader {
    outlet: Arc<Outlet>,
    feeder: Reading,
}

impl PipeReader {
    pub fn new(outlet: Arc<Outlet>, feeder: Reading) -> Self {
        Self { outlet, feeder }
    }

    /// Waits for the next byte; `false` at the end.
    pub fn wait_for_bytes(&mut self) -> io::Result<bool> {
        loop {
            if let Some(found) = self.outlet.poll(&self.feeder.waker) {
                return found;
            }
            if self.feeder.progress.eager {
                self.feeder.progress.tell();
            }
            suspend();
            if self.feeder.shared.cancelled.load(Ordering::Acquire) {
                return Err(io::Error::other("cancelled"));
            }
        }
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() && self.wait_for_bytes()? {
            match self.outlet.take(&self.feeder.waker, buffer)? {
                0 => continue,
                read => return Ok(read),
            }
        }
        Ok(0)
    }
}

impl Seek for PipeReader {
    fn seek(&mut self, _to: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl MediaSource for PipeReader {
    fn is_seekable(&self) -> bool {
        false
    }

    fn byte_len(&self) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, SpeakerError};
    use crate::runtime::DECODERS;
    use crate::source::{Pipe, Shared};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    /// Reads on the decode pool and sends on what comes: pieces, and then how it ended.
    fn read(outlet: &Arc<Outlet>) -> (Receiver<Vec<u8>>, Receiver<io::Result<bool>>, Arc<Shared>) {
        let ((pieces, received), (ends, ended)) = (channel(), channel());
        let (shared, outlet) = (Arc::<Shared>::default(), outlet.clone());
        let (seen, progress) = (shared.clone(), Arc::default());
        DECODERS.start(|waker| {
            outlet.attach(&waker);
            move || {
                let mut reader = PipeReader::new(outlet, Reading { waker, shared: seen, progress });
                let mut buffer = [0; 7];
                let end = loop {
                    match reader.read(&mut buffer) {
                        Ok(0) => break Ok(true),
                        Ok(read) => pieces.send(buffer[..read].to_vec()).unwrap(),
                        Err(error) => break Err(error),
                    }
                };
                drop(reader);
                let _ = ends.send(end);
            }
        });
        (received, ended, shared)
    }

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn takes_no_more_than_it_holds_and_tells_of_room_once_half_is_free() {
        let (pipe, outlet) = Pipe::new(10, false);
        assert_eq!((pipe.write(&[1; 4], false), pipe.write(&[2; 9], false)), (Some(4), Some(6)));
        assert!(outlet.is_starved() && !outlet.has_more(), "nobody reads yet");
        let (told, room) = channel();
        pipe.when_room(move || told.send(()).unwrap());
        assert!(room.try_recv().is_err());
        let (pieces, ended, _) = read(&outlet);
        room.recv_timeout(SOON).expect("it was read");
        assert_eq!(pipe.write(&[3; 3], false), Some(3));
        pipe.end(Ok(()));
        assert!(ended.recv_timeout(SOON).unwrap().unwrap());
        assert_eq!(pieces.iter().flatten().collect::<Vec<u8>>(), [&[1; 4][..], &[2; 6], &[3; 3]].concat());
    }

    #[test]
    fn a_flush_drops_what_waits_and_only_a_new_reader_gets_what_follows() {
        let (pipe, outlet) = Pipe::new(10, false);
        let (old, old_end, shared) = read(&outlet);
        pipe.write(b"old", false);
        assert_eq!(old.recv_timeout(SOON).unwrap(), b"old");
        pipe.flush(true);
        pipe.write(b"new", false);
        assert!(outlet.is_starved() && !outlet.has_more(), "a clock that waits must not wait for nobody");
        pipe.end(Ok(()));
        let (new, new_end, _) = read(&outlet);
        assert!(new_end.recv_timeout(SOON).unwrap().unwrap());
        assert_eq!(new.iter().flatten().collect::<Vec<u8>>(), b"new");
        assert!(old_end.try_recv().is_err(), "the old one waits until it is cancelled");
        shared.cancelled.store(true, Ordering::Release);
    }

    #[test]
    fn what_came_is_read_before_the_failure_and_the_writer_learns_that_nobody_reads() {
        let (pipe, outlet) = Pipe::new(4, false);
        let (pieces, ended, _) = read(&outlet);
        pipe.write(b"abc", true);
        pipe.end(Err(SpeakerError::new(Code::Stream, "cut")));
        assert_eq!(ended.recv_timeout(SOON).unwrap().unwrap_err().to_string(), "cut");
        assert_eq!(pieces.iter().flatten().collect::<Vec<u8>>(), b"abc");
        assert_eq!(outlet.failure().unwrap().code, Code::Stream);

        let (pipe, outlet) = Pipe::new(4, false);
        assert_eq!(pipe.write(b"abcdef", false), Some(4));
        let (told, room) = channel();
        pipe.when_room(move || told.send(()).unwrap());
        drop(outlet);
        room.try_recv().expect("told when the last reader is gone");
        assert_eq!(pipe.write(b"abcdef", false), None);
    }
}
