//! What the system's allocator does with memory that is given back, and where its blocks begin.

use std::alloc::{GlobalAlloc, Layout, System};

/// Tells the allocator of the process to keep freed memory for the next tensor. For programs to call once, when they start;
/// a library has no business here.
///
/// A network makes the same large tensors again and again. glibc hands back to the system what is freed at the end of its
/// heap, and maps what is large anew each time; the system fills every page with zeros before it gives it out again, which
/// costs more than many an operation. With this, it keeps what is free, and maps blocks only where its heap can't grow. The process'
/// memory falls no more after its peak, which itself stays what it was for the models measured in the book.
///
/// Does nothing on systems without glibc.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[expect(unsafe_code, reason = "a C function, which has no safe counterpart in any crate")]
        // SAFETY: `mallopt` takes any numbers, and holds the allocator's lock while it sets them.
        unsafe {
            libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
            libc::mallopt(libc::M_MMAP_MAX, 0);
        }
    }
}

/// The system's allocator, with large blocks that start at a cache line, for programs to declare:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: libellus_kernels::CacheLineAllocator = libellus_kernels::CacheLineAllocator;
/// ```
///
/// Where vectors are as long as a cache line, as in AVX-512, each access to a block that starts anywhere else touches two lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct CacheLineAllocator;

/// Bytes of a cache line.
const LINE: usize = 64;
/// Bytes of blocks that are aligned.
const LARGE: usize = 4096;

/// What the system is asked for in place of a block that is to be aligned: room for it wherever a line begins, and for a mark before it.
fn enlarged(layout: Layout) -> Option<Layout> {
    let is_meant = layout.size() >= LARGE && layout.align() < LINE;
    is_meant.then(|| Layout::from_size_align(layout.size() + LINE, align_of::<usize>()).ok()).flatten()
}

#[expect(unsafe_code, reason = "an allocator is")]
// SAFETY: what is handed out lies within a block of the system's, which stays as it is. Whether a block was enlarged depends on its layout
// alone, which callers have to give again when they free it.
unsafe impl GlobalAlloc for CacheLineAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match enlarged(layout) {
            // SAFETY: the size isn't 0, and the block is as large as `aligned` wants it.
            Some(enlarged) => unsafe { aligned(System.alloc(enlarged)) },
            // SAFETY: as the caller says.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match enlarged(layout) {
            // SAFETY: as in `alloc`. The mark lies before what is handed out.
            Some(enlarged) => unsafe { aligned(System.alloc_zeroed(enlarged)) },
            // SAFETY: as the caller says.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match enlarged(layout) {
            // SAFETY: `aligned` has left the mark there, which leads back to the system's block.
            Some(enlarged) => unsafe {
                System.dealloc(block.sub(distance_of(block)), enlarged);
            },
            // SAFETY: as the caller says.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller says that the size isn't too large.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (enlarged(layout), enlarged(wanted)) {
            // SAFETY: as the caller says.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            // SAFETY: the mark is there, as in `dealloc`. The system keeps the bytes from its block's start on; they move by less than a
            // line to where the new block's line begins, before the mark is written, since it may lie where they did.
            (Some(before), Some(after)) => unsafe {
                let distance = distance_of(block);
                let inner = System.realloc(block.sub(distance), before, after.size());
                if !inner.is_null() {
                    inner.add(to_line(inner)).copy_from(inner.add(distance), layout.size().min(size));
                }
                aligned(inner)
            },
            // SAFETY: two blocks, of which the smaller one's size is copied; the old one is the caller's to give up.
            _ => unsafe {
                let new = self.alloc(wanted);
                if !new.is_null() {
                    new.copy_from_nonoverlapping(block, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                new
            },
        }
    }
}

/// From a block to the next start of a line, which isn't the block's own.
fn to_line(block: *mut u8) -> usize {
    LINE - block.addr() % LINE
}

/// How far what was handed out lies behind the start of the system's block.
///
/// # Safety
/// It comes from [`aligned`].
#[expect(unsafe_code, reason = "part of an allocator")]
unsafe fn distance_of(block: *mut u8) -> usize {
    // SAFETY: the mark lies there, in the same block of the system's.
    unsafe { block.cast::<usize>().sub(1).read() }
}

/// The first cache line's start within a block, but not the block's own, with a mark before it that says how far it is.
///
/// # Safety
/// The block is null, or aligned as a `usize`, and a line longer than what is made of it.
#[expect(unsafe_code, reason = "part of an allocator")]
unsafe fn aligned(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        return block;
    }
    let distance = to_line(block);
    // SAFETY: the distance is at least the alignment, so that there is room for the mark, and at most a line.
    unsafe {
        let start = block.add(distance);
        start.cast::<usize>().sub(1).write(distance);
        start
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout};
    use std::hint::black_box;

    use super::{CacheLineAllocator, LARGE, LINE};

    /// A block, written from end to end, then as another size, then given back: valgrind watches.
    #[test]
    #[expect(unsafe_code, reason = "the calls that collections make")]
    fn blocks_keep_what_they_hold() {
        let sizes = [1, 63, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE + 17];
        for (size, align) in sizes.iter().flat_map(|&size| [1, 4, 8, 16, 64, 128].map(|align| (size, align)))
        {
            let layout = Layout::from_size_align(size, align).expect("valid");
            for new_size in sizes {
                // SAFETY: sizes aren't 0, the layouts are those of the blocks, and each is given back once.
                unsafe {
                    let block = CacheLineAllocator.alloc_zeroed(layout);
                    assert!(!block.is_null() && block.addr().is_multiple_of(align));
                    assert!(
                        size < LARGE || block.addr().is_multiple_of(LINE),
                        "{size} bytes start within a line"
                    );
                    assert!((0..size).all(|at| block.add(at).read() == 0));
                    (0..size).for_each(|at| block.add(at).write(at as u8));
                    let block = CacheLineAllocator.realloc(block, layout, new_size);
                    assert!(!block.is_null() && block.addr().is_multiple_of(align));
                    assert!(new_size < LARGE || block.addr().is_multiple_of(LINE));
                    assert!((0..size.min(new_size)).all(|at| block.add(at).read() == at as u8));
                    block.add(new_size - 1).write(1);
                    let layout = Layout::from_size_align(new_size, align).expect("valid");
                    CacheLineAllocator.dealloc(block, layout);
                    let block = CacheLineAllocator.alloc(layout);
                    assert!(!block.is_null());
                    block.write_bytes(1, new_size);
                    CacheLineAllocator.dealloc(block, layout);
                }
            }
        }
    }

    /// Where there is no such block, there is none, and no panic.
    #[test]
    #[expect(unsafe_code, reason = "the calls that collections make")]
    fn too_large_a_block() {
        // With room for a line, and without.
        let layouts =
            [4095, 15].map(|less| Layout::from_size_align(isize::MAX as usize - less, 16).expect("valid"));
        // SAFETY: the sizes aren't 0.
        let blocks = layouts.map(|layout| unsafe {
            [CacheLineAllocator.alloc(layout), CacheLineAllocator.alloc_zeroed(layout)]
        });
        // A compiler may take it that what nobody reads was there.
        assert!(black_box(blocks).as_flattened().iter().all(|block| block.is_null()));

        let layout = Layout::from_size_align(LARGE, 16).expect("valid");
        // SAFETY: a block that can't grow stays what it is.
        unsafe {
            let block = CacheLineAllocator.alloc(layout);
            assert!(!block.is_null());
            block.write_bytes(7, LARGE);
            assert!(black_box(CacheLineAllocator.realloc(block, layout, layouts[0].size())).is_null());
            assert!((0..LARGE).all(|at| block.add(at).read() == 7));
            CacheLineAllocator.dealloc(block, layout);
        }
    }
}
