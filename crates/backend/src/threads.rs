//! How many threads compute.

/// Sets the number of threads that compute, and returns the number in use.
///
/// flex with its matrix products and ndarray share one pool, rayon's global one. Two things have threads of their own:
/// `libellus_data` for decoding, and ndarray for its matrix products (`MATMUL_NUM_THREADS`, at most 4).
///
/// `None` and `Some(0)` stand for the environment variable `RAYON_NUM_THREADS` where it is set, and
/// otherwise for the cores this process may use, as its affinity mask and its control group give them.
///
/// The pool can be made once per process: a later call changes nothing, warns when it asks for another number, and
/// returns the number in use. Call it before the first tensor operation.
pub fn set_threads(threads: Option<usize>) -> usize {
    let asked = threads.unwrap_or(0);
    let made = rayon::ThreadPoolBuilder::new().num_threads(asked).build_global();
    let used = rayon::current_num_threads();
    if made.is_err() && asked != 0 && asked != used {
        tracing::warn!(asked, used, "the thread pool was already in use; its number of threads stays");
    }
    used
}

#[cfg(test)]
mod tests {
    use super::set_threads;

    #[test]
    fn the_first_number_stays() {
        let first = set_threads(None);
        assert!(first >= 1);
        assert_eq!(set_threads(Some(first + 3)), first);
        assert_eq!(set_threads(None), first);
    }
}
