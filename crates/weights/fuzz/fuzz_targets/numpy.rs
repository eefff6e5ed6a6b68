//! Fuzzes the reader of this format; see the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| libellus_weights_fuzz::check(bytes));
