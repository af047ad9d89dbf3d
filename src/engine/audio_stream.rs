//! A reader's handle to a stream of the encoded mix.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::output::{AudioReader, Read};
use crate::source::DriverNotifier;

/// The reader of one stream. It goes on to the stream's end when the session is closed.
pub struct AudioStream {
    reader: Mutex<AudioReader>,
    notifier: Arc<DriverNotifier>,
}

impl AudioStream {
    pub(super) fn new(reader: AudioReader, notifier: Arc<DriverNotifier>) -> Self {
        Self { reader: Mutex::new(reader), notifier }
    }

    /// Reads what there is.
    pub fn read(&self) -> Read {
        let read = self.reader.lock().read();
        self.notify();
        read
    }

    /// Sets whether a manual clock waits for this reader.
    pub fn hold(&self, holds: bool) {
        self.reader.lock().hold(holds);
        self.notify();
    }

    /// Returns the number of frames that it did not get.
    pub fn dropped(&self) -> u64 {
        self.reader.lock().dropped()
    }

    /// Ends the stream.
    pub fn close(&self) {
        self.reader.lock().leave();
        // In real time too: whether anybody listens has changed.
        self.notifier.notify();
    }

    /// Wakes a manual clock that may wait for this reader.
    fn notify(&self) {
        if self.notifier.waits_for_sources {
            self.notifier.notify();
        }
    }
}

impl Drop for AudioStream {
    fn drop(&mut self) {
        self.close();
    }
}
