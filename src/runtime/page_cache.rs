//! What the system holds of a file in memory, read without ever asking its disk: the one read of a file that is not made by a thread of
//! its disk.

use std::fs::File;

/// Reads from a place on what lies in the page cache, as preadv2(2) does with `RWF_NOWAIT`. `None` if that is nothing, or the end of the
/// file, or if this system or this file system (tmpfs, for one) can't tell.
pub fn read_cached(file: &File, place: u64, buffer: &mut [u8]) -> Option<usize> {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::{ReadWriteFlags, preadv2};
        use std::io::IoSliceMut;
        preadv2(file, &mut [IoSliceMut::new(buffer)], place, ReadWriteFlags::NOWAIT).ok().filter(|read| *read > 0)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, place, buffer);
        None
    }
}
