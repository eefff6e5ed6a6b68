//! A process that asks for threads where it is in a pool of its own.

use libellus_backend::set_threads;
use rayon::prelude::*;

#[test]
fn all_compute() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    pool.install(|| set_threads(Some(2)));
    assert_eq!((0..1000).into_par_iter().sum::<usize>(), 499_500);
}
