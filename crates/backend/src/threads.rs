//! How many threads compute.

use std::env;
use std::error::Error;
use std::num::NonZero;
use std::thread::available_parallelism;

/// Sets the number of threads that compute, and returns the number in use.
///
/// The thread that calls is one of them, where there are two or more, so it is the one to compute on: an operation then starts at once, and
/// waits for nobody who has to be woken. Operations of other threads are computed by the others alone, and so are all once it has ended.
///
/// flex with its matrix products and ndarray share one pool, rayon's global one. Two things have threads of their own:
/// `libellus_data` for decoding, and ndarray for its matrix products (`MATMUL_NUM_THREADS`, at most 4).
///
/// `None` and `Some(0)` stand for the environment variable `RAYON_NUM_THREADS` where it is set, and
/// otherwise for the cores this process may use, as its affinity mask and its control group give them.
///
/// The pool can be made once per process: a later call changes nothing, warns when it asks for another number, and
/// returns the number in use. Call it before the first tensor operation.
///
/// # Panics
/// If the system gives no threads.
pub fn set_threads(threads: Option<usize>) -> usize {
    let asked = threads.unwrap_or(0);
    let number = if asked > 0 { asked } else { usual() };
    let mut pool = rayon::ThreadPoolBuilder::new().num_threads(number);
    // An only thread would have to take up what others ask for, at any time; and none can be in two pools.
    if number > 1 && rayon::current_thread_index().is_none() {
        pool = pool.use_current_thread();
    }
    let made = pool.build_global();
    if let Err(error) = &made
        && let Some(cause) = error.source()
    {
        panic!("no threads to compute with: {cause}");
    }
    let used = rayon::current_num_threads();
    if made.is_err() && asked != 0 && asked != used {
        tracing::warn!(asked, used, "the thread pool was already in use; its number of threads stays");
    }
    used
}

/// As many threads as rayon would make.
fn usual() -> usize {
    let named = env::var("RAYON_NUM_THREADS").ok().and_then(|number| number.parse().ok());
    named.filter(|&number| number > 0).unwrap_or_else(|| available_parallelism().map_or(1, NonZero::get))
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
