//! Reads of the page cache, which never access the disk: the only reads of a file that may run outside of its disk's threads.

use std::fs::File;

/// Reads from `offset` on what is in the page cache, as preadv2(2) does with `RWF_NOWAIT`. Returns `None` if nothing is, at the end of the
/// file, or where this system or file system (tmpfs, for one) can't tell.
pub fn read_cached(file: &File, offset: u64, buffer: &mut [u8]) -> Option<usize> {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::{ReadWriteFlags, preadv2};
        use std::io::IoSliceMut;
        preadv2(file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT).ok().filter(|read| *read > 0)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, offset, buffer);
        None
    }
}
