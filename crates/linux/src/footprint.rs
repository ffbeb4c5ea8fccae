//! Giving memory back before a long sleep: what starting took is not needed while the job runs.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

use nix::libc;

/// How much of the file one page fault maps again at most, in bytes. Linux maps 64 KiB around a fault (fault_around_bytes),
/// and from 6.18 on the whole folio of the page cache that holds the page: up to 2 MiB, as the file happens to be cached.
const CHUNK: u64 = 0x8000;

/// Returns free heap to the kernel, and unmaps the pages of code and constants that starting read.
///
/// The latter stay in the page cache. What runs again is mapped again, at most [`CHUNK`] bytes with each fault.
pub fn shrink() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
    // SAFETY: the callback fits the type, and is given nothing.
    unsafe { libc::dl_iterate_phdr(Some(unmap_segments), null_mut()) };
}

extern "C" fn unmap_segments(
    object: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut c_void,
) -> c_int {
    // SAFETY: dl_iterate_phdr(3) hands over a valid description, with that many headers, for this call.
    let (base, headers) = unsafe {
        let object = &*object;
        let count = usize::from(object.dlpi_phnum);
        (
            object.dlpi_addr,
            std::slice::from_raw_parts(object.dlpi_phdr, count),
        )
    };
    for header in headers {
        // What was never writable equals the file; relocated constants lie in a segment that was.
        if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0 {
            let start = base + header.p_vaddr;
            let (start, end) = whole_pages(start, start + header.p_memsz, page_size());
            for chunk in odd_chunks(start, end) {
                // The flag keeps the kernel from joining neighbours, and says nothing that matters: nothing dumps core here.
                advise(chunk, libc::MADV_DONTDUMP);
            }
            advise((start, end), libc::MADV_DONTNEED);
        }
    }
    0
}

fn page_size() -> u64 {
    // SAFETY: sysconf(3) only reads.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(0x1_0000).max(1)
}

/// The pages that lie wholly between two addresses: the first and the last may be shared with a neighbour.
fn whole_pages(start: u64, end: u64, page: u64) -> (u64, u64) {
    (start.next_multiple_of(page), end / page * page)
}

/// Every second chunk between two addresses. A fault never maps more than what the area (`struct vm_area_struct`) of its page
/// has, so that areas of one chunk bound it; the flags of an area are its own.
fn odd_chunks(start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> {
    let first = (start / CHUNK + 1) * CHUNK;
    let step = usize::try_from(2 * CHUNK).unwrap_or(usize::MAX);
    (first..end)
        .step_by(step)
        .map(move |chunk| (chunk, end.min(chunk + CHUNK)))
}

/// Failures change nothing but the memory used.
fn advise((start, end): (u64, u64), advice: c_int) {
    if let (Ok(address), Ok(length @ 1..)) = (
        usize::try_from(start),
        usize::try_from(end.saturating_sub(start)),
    ) {
        // SAFETY: the range lies in a segment of ours that is private, unwritten and backed by a file; a page that
        // is dropped is read from there again at its next use, and the other advice concerns core dumps alone.
        unsafe { libc::madvise(address as *mut c_void, length, advice) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_shared_with_a_neighbour_are_left_alone() {
        assert_eq!(whole_pages(0x1000, 0x3fff, 0x1000), (0x1000, 0x3000));
        assert_eq!(whole_pages(0x1001, 0x4000, 0x1000), (0x2000, 0x4000));
    }

    #[test]
    fn every_second_chunk_begins_at_a_multiple_of_its_size() {
        let chunks = |start, end| odd_chunks(start, end).collect::<Vec<_>>();
        assert_eq!(
            chunks(0x1000, 0x1a000),
            [(0x8000, 0x10000), (0x18000, 0x1a000)]
        );
        assert_eq!(chunks(0x8000, 0x10000), []);
        assert_eq!(chunks(0x1000, 0x8000), []);
    }
}
