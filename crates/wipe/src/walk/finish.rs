//! Removes files, and directories when all in them is done.

use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rustix::io::Errno;

use super::super::directory::Directory;
use super::super::mountpoint;
use super::super::remove::{self, Removed};
use super::{Buffers, Task, Walk};

impl Walk<'_> {
    pub(super) fn remove_files(&self, dir: &Arc<Directory>, buffers: &mut Buffers) {
        let Buffers { batch, tasks } = buffers;
        for (number, name) in batch.files().enumerate() {
            if number % 64 == 63 && self.progress.is_over() {
                return;
            }
            if !self.remove_file(dir, name) {
                tasks.push(Task::Enter(Arc::clone(dir), name.into()));
            }
        }
    }

    /// Removes an entry. Returns false for a directory, in spite of the listing.
    fn remove_file(&self, dir: &Arc<Directory>, name: &CStr) -> bool {
        match remove::file(dir, name, self.free_before.is_none()) {
            Ok(Removed::Freed(bytes)) => {
                self.progress.files.fetch_add(1, Relaxed);
                self.progress.bytes.fetch_add(bytes, Relaxed);
            }
            Ok(Removed::Absent) => {}
            Ok(Removed::Directory) => return false,
            Err(errno) => self.failed(dir, name, errno),
        }
        true
    }

    /// Removes an entry that was listed as a directory and has another type now. If it is a directory again, the next round
    /// finds it.
    pub(super) fn remove_other(&self, dir: &Arc<Directory>, name: &CStr) {
        self.remove_file(dir, name);
    }

    /// Records that `dir` waits for one entry less. The last one removes it, and so on upwards.
    pub(super) fn done(&self, dir: &Arc<Directory>) {
        let mut dir = Arc::clone(dir);
        while dir.finish_one() {
            if self.progress.is_over() || self.finish_directory(&dir) {
                return;
            }
            match dir.parent() {
                Some(parent) => dir = Arc::clone(parent),
                None => return,
            }
        }
    }

    /// Removes a directory if all its entries are done. Returns true if it must be listed again.
    fn finish_directory(&self, dir: &Arc<Directory>) -> bool {
        let list_again = match dir.to_remove() {
            Some((parent, name)) => self.remove_directory(parent, name, dir),
            None => self.keep_directory(dir),
        };
        if list_again {
            self.queue.push_all(&mut vec![Task::List(Arc::clone(dir))]);
        }
        list_again
    }

    fn remove_directory(&self, parent: &Arc<Directory>, name: &CStr, dir: &Arc<Directory>) -> bool {
        match remove::directory(parent, name, dir) {
            Ok(Removed::Freed(_)) => {
                self.progress.directories.fetch_add(1, Relaxed);
            }
            Ok(_) => {}
            // The error does not matter, because the kernel checks permission before emptiness.
            Err(_) if dir.may_retry_for_moved() => return true,
            Err(Errno::NOTEMPTY) if dir.stuck.load(Relaxed) => parent.stuck.store(true, Relaxed),
            Err(Errno::NOTEMPTY) if dir.may_retry(self.progress.elapsed()) => return true,
            Err(errno) => self.failed(parent, name, errno),
        }
        false
    }

    /// Keeps a directory that stays. It is done if a listing found nothing.
    fn keep_directory(&self, dir: &Arc<Directory>) -> bool {
        let stuck = dir.stuck.load(Relaxed);
        let more = dir.saw.load(Relaxed) && !stuck;
        if dir.may_retry_for_moved() || (more && dir.may_retry(self.progress.elapsed())) {
            return true;
        }
        self.remove_user_attributes(dir);
        if let Some(parent) = dir.parent() {
            parent.stuck.fetch_or(stuck, Relaxed);
        }
        false
    }

    fn remove_user_attributes(&self, dir: &Arc<Directory>) {
        let forgotten = mountpoint::remove_user_attributes(dir).or_else(|_| {
            dir.unlock();
            mountpoint::remove_user_attributes(dir)
        });
        if let Err(errno) = forgotten {
            self.progress.record_failure(&dir.path(), errno);
        }
    }

    pub(super) fn failed(&self, dir: &Arc<Directory>, name: &CStr, errno: Errno) {
        dir.stuck.store(true, Relaxed);
        let path = if name == c"." {
            dir.path()
        } else {
            dir.path_of(name)
        };
        let other_root = errno == Errno::XDEV
            && self
                .roots
                .iter()
                .any(|root| root.as_os_str().as_encoded_bytes() == path);
        if !other_root {
            self.progress.record_failure(&path, errno);
        }
    }
}
