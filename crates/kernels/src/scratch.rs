//! Memory for intermediate results, kept from call to call: fresh pages cost more than what is computed in them.

use std::cell::RefCell;

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// A cache line, in numbers.
pub(crate) const ALIGNMENT: usize = 64 / size_of::<f32>();

/// What a thread keeps at most, in numbers: 64 MB. Anything larger is given back at once.
const KEPT: usize = 16 << 20;

/// Runs `f` with `len` numbers of any value, which start at a cache line.
pub(crate) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut memory = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
    if memory.len() < len + ALIGNMENT {
        memory = vec![0.0; len + ALIGNMENT];
    }
    let start = memory.as_ptr().align_offset(64).min(ALIGNMENT);
    let result = f(&mut memory[start..start + len]);
    FREE.with_borrow_mut(|free| {
        let kept: usize = free.iter().map(Vec::len).sum();
        if kept + memory.len() <= KEPT {
            free.push(memory);
        }
    });
    result
}
