//! Arrays of NumPy that lie.

use super::archive::{deflated, entry, zip};
use super::*;

fn array(header: &str, data: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn open(bytes: Vec<u8>) -> Result<Checkpoint, WeightsError> {
    Checkpoint::from_bytes("w.npy", bytes)
}

fn error(bytes: Vec<u8>) -> String {
    let error = open(bytes).expect_err("it should be refused").to_string();
    assert!(error.contains("w.npy") && !error.contains('\n'), "{error}");
    error
}

#[test]
fn headers_are_read_as_numpy_writes_them() {
    let data = [1.5_f32, -2.0].map(f32::to_le_bytes).concat();
    for header in [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }   \n",
        "{\"shape\":(2,),\"descr\":\"<f4\",\"fortran_order\":True}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2L)}",
    ] {
        assert_eq!(
            floats(&open(array(header, &data)).unwrap().tensor("w").unwrap()),
            [1.5, -2.0],
            "{header}"
        );
    }
    let mut second = array("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", &data);
    second[6] = 2;
    second.splice(10..10, [0, 0]);
    assert_eq!(floats(&open(second).unwrap().tensor("w").unwrap()), [1.5, -2.0]);
}

#[test]
fn anything_else_than_a_plain_header_is_refused() {
    for header in [
        "",
        "{",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'other': 1}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
        "{'descr': __import__('os').system('x'), 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} + 1",
    ] {
        let text = error(array(header, &[0; 8]));
        assert!(text.contains("tensor `w`: its header isn't understood"), "{text}");
    }
    let objects = "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}";
    assert!(error(array(objects, &[0; 8])).contains("its elements are `|O`; only numbers"));
}

#[test]
fn sizes_are_compared_before_memory_is_taken() {
    let header = |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}");
    assert!(error(array(&header("(1152921504606846976,)"), &[0; 8])).contains("too large"));
    assert!(error(array(&header("(4294967296, 4294967296, 4294967296)"), &[0; 8])).contains("too large"));
    assert!(matches!(
        open(array(&header("(1099511627776,)"), &[0; 8])),
        Err(WeightsError::Truncated { expected, .. }) if expected > 1 << 42
    ));
    assert!(error(array(&header("(1,)"), &[0; 8])).contains("it has"));
    let mut long = array(&header("(2,)"), &[0; 8]);
    long[6] = 2;
    long[8..12].copy_from_slice(&[0xff; 4]);
    assert!(
        matches!(open(long), Err(WeightsError::TooLarge { claimed, .. }) if claimed == u64::from(u32::MAX))
    );
    let whole = array(&header("(2,)"), &[0; 8]);
    for length in 0..whole.len() {
        error(whole[..length].to_vec());
    }
}

#[test]
fn an_array_in_an_archive_is_named() {
    let good = array("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", &[0; 8]);
    let bad = array("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", &[0; 8]);
    assert_eq!(open(zip(&[entry("a.npy", &good), deflated("b.npy", &good)])).unwrap().names().len(), 2);
    for second in [entry("b.npy", &bad), deflated("b.npy", &bad)] {
        assert!(error(zip(&[entry("a.npy", &good), second])).contains("tensor `b`: its shape [3]"));
    }
    assert!(error(zip(&[entry("a.npy", b"nothing")])).contains("tensor `a`: it has 7 bytes"));
    assert_eq!(open(zip(&[])).unwrap().names().len(), 0);
}
