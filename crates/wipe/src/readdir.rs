//! Reads a directory in batches of bounded size, in the order of its inodes.
//!
//! Source: getdents(2).

use std::ffi::CStr;
use std::os::fd::AsFd;

use rustix::fs::{FileType, RawDir, SeekFrom, seek};
use rustix::io::Errno;

use super::progress::Progress;

/// The bytes that the kernel fills at a time, as in the C library.
const BUFFER: usize = 32 * 1024;

/// An entry of a directory. It takes eight bytes, so that many can be sorted at a time.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The lower half of the inode's number, which is enough for an order.
    inode: u32,
    /// The position of its name. The highest bit is set for a directory.
    name: u32,
}

const DIRECTORY: u32 = 1 << 31;

/// The reason why a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    /// The directory has no more entries.
    EndOfDirectory,
    /// The batch is full.
    BatchFull,
}

/// The size of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLimits {
    /// The bytes of entries and their names. The batch may exceed it by one buffer.
    pub(super) bytes: usize,
    /// The number of directories, exactly. Entries of unknown type count, because not every file system reports types.
    pub(super) directories: usize,
}

/// Returns how many entries there are. Stops counting when the budget is used up.
///
/// # Errors
/// As getdents(2).
pub(super) fn count(dir: &impl AsFd, progress: &Progress) -> Result<u64, Errno> {
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut raw = RawDir::new(dir, buffer.spare_capacity_mut());
    let mut found = 0;
    while let Some(entry) = raw.next() {
        entry?;
        found += 1;
        if raw.is_buffer_empty() && progress.is_over() {
            break;
        }
    }
    Ok(found)
}

/// A batch of entries. Each thread uses one again and again.
#[derive(Debug, Default)]
pub(super) struct Batch {
    buffer: Vec<u8>,
    names: Vec<u8>,
    entries: Vec<Entry>,
}

impl Batch {
    /// Reads on from the position of the descriptor.
    ///
    /// # Errors
    /// As getdents(2) and lseek(2). A directory that another process removed has no more entries.
    pub(super) fn fill(&mut self, dir: &impl AsFd, limits: BatchLimits) -> Result<Filled, Errno> {
        self.names.clear();
        self.entries.clear();
        let stopped = self.read(dir, limits)?;
        // Inodes lie on a disk in this order. The order of the names is that of their hashes.
        self.entries.sort_unstable_by_key(|entry| entry.inode);
        Ok(stopped)
    }

    fn read(&mut self, dir: &impl AsFd, limits: BatchLimits) -> Result<Filled, Errno> {
        let mut directories = 0;
        self.buffer.clear();
        self.buffer.reserve_exact(BUFFER);
        let mut raw = RawDir::new(dir, self.buffer.spare_capacity_mut());
        loop {
            let size = self.names.len() + self.entries.len() * size_of::<Entry>();
            if size >= limits.bytes && raw.is_buffer_empty() {
                return Ok(Filled::BatchFull);
            }
            let found = match raw.next() {
                None | Some(Err(Errno::NOENT)) => return Ok(Filled::EndOfDirectory),
                Some(found) => found?,
            };
            let name = found.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let directory = found.file_type() == FileType::Directory;
            let at = u32::try_from(self.names.len()).map_err(|_| Errno::OVERFLOW)?;
            let mark = if directory { DIRECTORY } else { 0 };
            self.entries.push(Entry {
                inode: u32::try_from(found.ino() & u64::from(u32::MAX)).unwrap_or(0),
                name: at | mark,
            });
            self.names.extend_from_slice(name.to_bytes_with_nul());
            let maybe = found.file_type() == FileType::Unknown;
            directories += usize::from(directory || maybe);
            if directories >= limits.directories {
                // The rest of the buffer is read again next time.
                seek(dir, SeekFrom::Start(found.next_entry_cookie()))?;
                return Ok(Filled::BatchFull);
            }
        }
    }

    /// Returns the memory of a large batch.
    pub(super) fn shrink(&mut self) {
        self.names = Vec::new();
        self.entries = Vec::new();
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the names of the entries that are not listed as directories.
    pub(super) fn files(&self) -> impl Iterator<Item = &CStr> {
        self.of(false)
    }

    /// Returns the names of the directories.
    pub(super) fn directories(&self) -> impl DoubleEndedIterator<Item = &CStr> {
        self.of(true)
    }

    fn of(&self, directory: bool) -> impl DoubleEndedIterator<Item = &CStr> {
        let entries = self.entries.iter();
        entries
            .filter(move |entry| (entry.name & DIRECTORY != 0) == directory)
            .map(|entry| {
                let name = &self.names[(entry.name & !DIRECTORY) as usize..];
                CStr::from_bytes_until_nul(name).unwrap_or_default()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs::File;

    fn read_all(limits: BatchLimits) -> (Vec<usize>, BTreeSet<String>) {
        let place = tempfile::tempdir().unwrap();
        for number in 0..300 {
            std::fs::create_dir(place.path().join(format!("d{number}"))).unwrap();
            std::fs::write(place.path().join(format!("f{number}")), "").unwrap();
        }
        let dir = File::open(place.path()).unwrap();
        let mut batch = Batch::default();
        let (mut sizes, mut names) = (Vec::new(), BTreeSet::new());
        loop {
            let stopped = batch.fill(&dir, limits).unwrap();
            let all = batch.files().chain(batch.directories());
            names.extend(all.map(|name| name.to_str().unwrap().to_owned()));
            sizes.push(batch.directories().count());
            if stopped == Filled::EndOfDirectory {
                return (sizes, names);
            }
        }
    }

    #[test]
    fn fill_in_small_batches_misses_nothing() {
        for directories in [1, 16, 1000] {
            let limits = BatchLimits {
                bytes: 1000,
                directories,
            };
            let (sizes, names) = read_all(limits);
            assert_eq!(names.len(), 600);
            assert!(sizes.iter().all(|&size| size <= directories), "{sizes:?}");
        }
    }
}
