//! Gives memory back to the kernel before a long sleep. The job runs without what the start needed.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

use nix::libc;

/// The most bytes of the file that one page fault may map again.
///
/// Linux maps 64 KiB around a fault (fault_around_bytes). Since 6.18 it maps the whole folio of the page cache that
/// holds the page: up to 2 MiB, depending on how the file is cached.
const CHUNK: u64 = 0x8000;

/// Returns free heap to the kernel, and unmaps the pages of code and constants that the start has used.
///
/// The pages stay in the page cache. Code that runs again is mapped again, at most 32 KiB with each fault.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
    // SAFETY: the callback has the right type and gets no data.
    unsafe { libc::dl_iterate_phdr(Some(unmap_segments), null_mut()) };
}

extern "C" fn unmap_segments(
    object: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut c_void,
) -> c_int {
    // SAFETY: dl_iterate_phdr(3) passes a valid description, with that many headers, for this call.
    let (base, headers) = unsafe {
        let object = &*object;
        let count = usize::from(object.dlpi_phnum);
        (
            object.dlpi_addr,
            std::slice::from_raw_parts(object.dlpi_phdr, count),
        )
    };
    for header in headers {
        // Memory that was never writable equals the file. Relocated constants lie in a segment that was writable.
        if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0 {
            let start = base + header.p_vaddr;
            let (start, end) = whole_pages(start, start + header.p_memsz, page_size());
            for chunk in odd_chunks(start, end) {
                // The flag keeps the kernel from joining neighbours. It has no other effect here, because core dumps
                // are off.
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

/// Returns the pages that lie wholly between two addresses. A neighbour may share the first and the last page.
fn whole_pages(start: u64, end: u64, page: u64) -> (u64, u64) {
    (start.next_multiple_of(page), end / page * page)
}

/// Returns every second chunk between two addresses.
///
/// A fault maps no more than the area (`struct vm_area_struct`) of its page, and an area has one set of flags. So areas
/// of one chunk bound a fault.
fn odd_chunks(start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> {
    let first = (start / CHUNK + 1) * CHUNK;
    let step = usize::try_from(2 * CHUNK).unwrap_or(usize::MAX);
    (first..end)
        .step_by(step)
        .map(move |chunk| (chunk, end.min(chunk + CHUNK)))
}

/// Ignores failures, which change only the memory used.
fn advise((start, end): (u64, u64), advice: c_int) {
    if let (Ok(address), Ok(length @ 1..)) = (
        usize::try_from(start),
        usize::try_from(end.saturating_sub(start)),
    ) {
        // SAFETY: the range lies in a segment that is private, unwritten and backed by a file. A dropped page is read
        // from there again at its next use, and the other advice concerns core dumps only.
        unsafe { libc::madvise(address as *mut c_void, length, advice) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pages_excludes_pages_of_a_neighbour() {
        assert_eq!(whole_pages(0x1000, 0x3fff, 0x1000), (0x1000, 0x3000));
        assert_eq!(whole_pages(0x1001, 0x4000, 0x1000), (0x2000, 0x4000));
    }

    #[test]
    fn odd_chunks_begin_at_multiples_of_the_chunk_size() {
        let chunks = |start, end| odd_chunks(start, end).collect::<Vec<_>>();
        assert_eq!(
            chunks(0x1000, 0x1a000),
            [(0x8000, 0x10000), (0x18000, 0x1a000)]
        );
        assert_eq!(chunks(0x8000, 0x10000), []);
        assert_eq!(chunks(0x1000, 0x8000), []);
    }
}
