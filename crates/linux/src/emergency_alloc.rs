//! An allocator with a reserve: if the kernel gives no memory, the wipe and the report use the reserve.
//!
//! Every process of the same user can lower the limits of PID 1, and Rust ends a program if an allocation fails. The
//! reserve is not written before it is needed, so it costs address space only.
//!
//! Limits: the reserve gets memory back only in the order of a stack, and the C library's own allocations (in
//! opendir(3), for example) do not use it.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// The size in bytes: several times what a wipe and its threads hold at once.
const SIZE: usize = 16 << 20;

/// The system's allocator with a reserve behind it.
#[derive(Debug)]
struct EmergencyAllocator {
    bytes: Bytes,
    used: AtomicUsize,
}

#[repr(align(64))]
#[derive(Debug)]
struct Bytes(UnsafeCell<[u8; SIZE]>);

// SAFETY: `used` makes sure that each part of the bytes is given out once at a time.
unsafe impl Sync for Bytes {}

#[global_allocator]
static ALLOCATOR: EmergencyAllocator = EmergencyAllocator {
    bytes: Bytes(UnsafeCell::new([0; SIZE])),
    used: AtomicUsize::new(0),
};

/// Returns whether the reserve has been used because the kernel gave no memory.
#[must_use]
pub fn in_use() -> bool {
    ALLOCATOR.used.load(Relaxed) > 0
}

impl EmergencyAllocator {
    fn start(&self) -> usize {
        self.bytes.0.get() as usize
    }

    fn holds(&self, pointer: *mut u8) -> bool {
        (self.start()..self.start() + SIZE).contains(&(pointer as usize))
    }

    fn take(&self, layout: Layout) -> *mut u8 {
        let place = |used: usize| {
            let start = (self.start() + used).checked_next_multiple_of(layout.align())?;
            let offset = start - self.start();
            let end = offset.checked_add(layout.size())?;
            (end <= SIZE).then_some((offset, end))
        };
        let taken = self
            .used
            .fetch_update(AcqRel, Acquire, |used| place(used).map(|(_, end)| end));
        match taken.ok().and_then(place) {
            // SAFETY: the offset lies within the bytes.
            Some((offset, _)) => unsafe { self.bytes.0.get().cast::<u8>().add(offset) },
            None => null_mut(),
        }
    }

    /// Takes back the last part only. That is enough for buffers, which are freed in the order of a stack.
    fn give_back(&self, pointer: *mut u8, size: usize) {
        let offset = pointer as usize - self.start();
        // At least 1, so that `in_use` stays true.
        let _ = self
            .used
            .compare_exchange(offset + size, offset.max(1), AcqRel, Relaxed);
    }
}

// SAFETY: memory comes from the system or from a part of the reserve that is given out once; neither unwinds.
unsafe impl GlobalAlloc for EmergencyAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is passed on.
        let pointer = unsafe { System.alloc(layout) };
        if pointer.is_null() {
            return self.take(layout);
        }
        pointer
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is passed on.
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if !pointer.is_null() {
            return pointer;
        }
        let pointer = self.take(layout);
        if !pointer.is_null() {
            // SAFETY: `take` gave as many bytes. They are zeroed because the part may have been in use before.
            unsafe { pointer.write_bytes(0, layout.size()) };
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if self.holds(pointer) {
            self.give_back(pointer, layout.size());
        } else {
            // SAFETY: memory that is not from the reserve is from the system, with the same layout.
            unsafe { System.dealloc(pointer, layout) };
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.holds(pointer) {
            // SAFETY: the pointer is the system's, with the same layout.
            let moved = unsafe { System.realloc(pointer, layout, size) };
            if !moved.is_null() {
                return moved;
            }
        }
        // SAFETY: the caller guarantees the size and the old memory, and the new memory does not overlap it.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(pointer, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn take_gives_disjoint_parts_and_reuses_the_last() {
        static ALLOCATOR_UNDER_TEST: EmergencyAllocator = EmergencyAllocator {
            bytes: Bytes(UnsafeCell::new([0; SIZE])),
            used: AtomicUsize::new(0),
        };
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        let first = ALLOCATOR_UNDER_TEST.take(layout(10, 1)) as usize;
        let second = ALLOCATOR_UNDER_TEST.take(layout(100, 64)) as usize;
        assert!(second >= first + 10 && second.is_multiple_of(64));
        ALLOCATOR_UNDER_TEST.give_back(first as *mut u8, 10);
        assert_ne!(ALLOCATOR_UNDER_TEST.take(layout(1, 1)) as usize, first);
        let third = ALLOCATOR_UNDER_TEST.take(layout(4096, 8));
        ALLOCATOR_UNDER_TEST.give_back(third, 4096);
        assert_eq!(ALLOCATOR_UNDER_TEST.take(layout(4096, 8)), third);
        assert!(ALLOCATOR_UNDER_TEST.take(layout(SIZE, 1)).is_null());
    }
}
