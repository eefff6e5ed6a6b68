//! A process whose computing thread ends.

use std::thread;

use libellus_backend::set_threads;
use rayon::prelude::*;

/// The thread that asks for threads is one of them; others go on without it.
#[test]
fn who_asks_computes() {
    let asks = || {
        assert_eq!(set_threads(Some(3)), 3);
        assert_eq!(rayon::current_thread_index(), Some(0));
    };
    thread::spawn(asks).join().expect("what it asserts holds");
    assert_eq!(rayon::current_thread_index(), None);
    assert_eq!((0..1000).into_par_iter().sum::<usize>(), 499_500);
}
