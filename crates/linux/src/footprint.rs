//! Giving memory back before a long sleep: what starting took is not needed while the job runs.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

use nix::libc;

/// Returns free heap to the kernel, and unmaps the pages of code and constants that starting read.
///
/// The latter stay in the page cache: what runs again is mapped again, some 64 KiB with each fault.
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
            unmap(base + header.p_vaddr, header.p_memsz);
        }
    }
    0
}

/// Only whole pages: the first and the last may be shared with a neighbour.
fn unmap(start: u64, size: u64) {
    const PAGE: u64 = 0x1_0000;
    let first = start.next_multiple_of(PAGE);
    let end = (start + size) / PAGE * PAGE;
    if let (Ok(address), Ok(length @ 1..)) = (
        usize::try_from(first),
        usize::try_from(end.saturating_sub(first)),
    ) {
        // SAFETY: the range lies in a segment of ours that is private, unwritten and backed by a file; a page
        // that is dropped is read from there again at its next use.
        unsafe { libc::madvise(address as *mut c_void, length, libc::MADV_DONTNEED) };
    }
}
