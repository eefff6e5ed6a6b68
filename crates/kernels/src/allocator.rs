//! What the system's allocator does with memory that is given back.

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
