//! One test, because page faults are counted for the whole process.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::hint::black_box;

use libellus_kernels::keep_freed_memory;

/// How often the process touched a page that it had to be given.
fn page_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
    fields.split_whitespace().nth(7).and_then(|field| field.parse().ok()).expect("the tenth field of all")
}

/// Page faults of three blocks of 8 MB at a time and one of 48 MB, ten times.
fn faults_of_blocks() -> u64 {
    let before = page_faults();
    for _ in 0..10 {
        black_box([(); 3].map(|()| vec![1_u8; 8 << 20]));
        black_box(vec![1_u8; 48 << 20]);
    }
    page_faults() - before
}

#[test]
fn freed_memory_is_used_again() {
    faults_of_blocks();
    let before = faults_of_blocks();
    keep_freed_memory();
    faults_of_blocks();
    let after = faults_of_blocks();
    // 48 MB are 12288 pages of the usual size, or 24 large ones, which some systems give out.
    assert!(after <= 24, "{after} page faults, {before} before");
}
