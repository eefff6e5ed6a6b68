//! The product of few vectors and a matrix, which is read where it lies, once and in long pieces: the way from memory takes longer than
//! the multiplications.

use std::ops::Range;

use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::Order;
use super::multiply::columns;
use crate::fresh::{Fresh, Writer, filled};
use crate::matrix::Matrix;
use crate::memory::for_each_of;
use crate::scratch::with_scratch;
use crate::vector::{Floats, lanes, load, multiply_add, splat, store};

/// Rows, or columns, of the matrix that are read at a time. Processors fetch several pieces of memory ahead, if they are asked for
/// them side by side: see docs/src/kernels.md.
const AT_ONCE: usize = 8;
/// Parts of the matrix at most, and numbers of a part at least: 128 kB.
const PARTS: usize = 16;
const PART: usize = 1 << 15;
/// What reading a number takes, in multiplications: more than there are vectors.
const READING: usize = 16;

/// The products, a vector of outputs for each row of `input`. None of the sizes may be 0.
pub(super) fn multiply_few(input: Matrix<'_>, matrix: Matrix<'_>, bias: Option<&[f32]>) -> Vec<f32> {
    match matrix.order() {
        Order::Rows => of_rows(input, matrix, bias),
        Order::Columns => of_columns(input, matrix.transposed(), bias),
    }
}

/// How many of so many lines of memory, of `len` numbers each, make a part of them.
fn lines_of_a_part(lines: usize, len: usize) -> usize {
    lines.div_ceil(PARTS).max(PART.div_ceil(len)).next_multiple_of(AT_ONCE)
}

/// The rows of the matrix, each times a number of a vector, are added up. Each part of them has sums of its own, so that it is read from
/// end to end.
fn of_rows(input: Matrix<'_>, matrix: Matrix<'_>, bias: Option<&[f32]>) -> Vec<f32> {
    let d_output = matrix.columns;
    let len = input.rows * d_output;
    let at_a_time = lines_of_a_part(matrix.rows, d_output);
    with_scratch(matrix.rows.div_ceil(at_a_time) * len, |sums| {
        for_each_of(READING * d_output * at_a_time, sums.par_chunks_mut(len).enumerate(), |(part, sums)| {
            let rows = part * at_a_time..matrix.rows.min((part + 1) * at_a_time);
            AutoArch::new().dispatch(AddRows { input, matrix, rows, sums });
        });
        let (first, others) = sums.split_at(len);
        filled(len, |output| {
            let output = output.copied(first);
            for sums in others.chunks_exact(len) {
                add(output, sums);
            }
            if let Some(bias) = bias {
                output.chunks_exact_mut(d_output).for_each(|output| add(output, bias));
            }
        })
    })
}

fn add(sums: &mut [f32], numbers: &[f32]) {
    for (sum, number) in sums.iter_mut().zip(numbers) {
        *sum += number;
    }
}

struct AddRows<'a> {
    input: Matrix<'a>,
    matrix: Matrix<'a>,
    /// Of the matrix.
    rows: Range<usize>,
    /// Those of a vector after those of the one before.
    sums: &'a mut [f32],
}

impl WithSimd for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { input, matrix, rows, sums } = self;
        sums.fill(0.0);
        let whole = rows.end - rows.len() % AT_ONCE;
        for first in (rows.start..whole).step_by(AT_ONCE) {
            let rows: [&[f32]; AT_ONCE] = std::array::from_fn(|row| matrix.row(first + row));
            for (vector, sums) in sums.chunks_exact_mut(matrix.columns).enumerate() {
                let numbers = std::array::from_fn(|row| input.row(vector)[first + row]);
                add_rows::<S, AT_ONCE>(rows, numbers, sums);
            }
        }
        for index in whole..rows.end {
            for (vector, sums) in sums.chunks_exact_mut(matrix.columns).enumerate() {
                add_rows::<S, 1>([matrix.row(index)], [input.row(vector)[index]], sums);
            }
        }
    }
}

#[inline(always)]
fn add_rows<S: Simd, const N: usize>(rows: [&[f32]; N], numbers: [f32; N], sums: &mut [f32]) {
    let factors: [Floats<S>; N] = numbers.map(splat);
    let width = rows[0].len();
    let whole = width - width % lanes::<S>();
    for at in (0..whole).step_by(lanes::<S>()) {
        let mut sum = load(&sums[at..]);
        for (row, factor) in rows.iter().zip(factors) {
            sum = multiply_add(factor, load(&row[at..]), sum);
        }
        store(&mut sums[at..], sum);
    }
    for at in whole..width {
        for (row, number) in rows.iter().zip(numbers) {
            sums[at] += number * row[at];
        }
    }
}

/// Each row of the transposed matrix makes an output of each vector.
fn of_columns(input: Matrix<'_>, transposed: Matrix<'_>, bias: Option<&[f32]>) -> Vec<f32> {
    let (d_output, d_input) = (transposed.rows, transposed.columns);
    let at_a_time = lines_of_a_part(d_output, d_input);
    filled(input.rows * d_output, |output| {
        let parts = columns(output, d_output, at_a_time).into_par_iter().enumerate();
        for_each_of(READING * d_input * at_a_time, parts, |(part, outputs)| {
            let first = part * at_a_time;
            let transposed = transposed.narrowed(first..d_output.min(first + at_a_time));
            let bias = bias.map(|bias| &bias[first..]);
            let mut outputs: Vec<Writer<'_>> = outputs.into_iter().map(Fresh::writer).collect();
            AutoArch::new().dispatch(Products { input, transposed, bias, outputs: &mut outputs });
            Writer::finish_all(outputs);
        });
    })
}

struct Products<'a, 'b> {
    input: Matrix<'a>,
    transposed: Matrix<'a>,
    /// From the first output of these rows on.
    bias: Option<&'a [f32]>,
    /// Of each vector.
    outputs: &'a mut [Writer<'b>],
}

impl WithSimd for Products<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { input, transposed, bias, outputs } = self;
        let whole = transposed.rows - transposed.rows % AT_ONCE;
        for first in (0..whole).step_by(AT_ONCE) {
            let rows: [&[f32]; AT_ONCE] = std::array::from_fn(|row| transposed.row(first + row));
            for (vector, output) in outputs.iter_mut().enumerate() {
                let mut products = products::<S, AT_ONCE>(rows, input.row(vector));
                if let Some(bias) = bias {
                    add(&mut products, &bias[first..]);
                }
                output.push(&products);
            }
        }
        for index in whole..transposed.rows {
            for (vector, output) in outputs.iter_mut().enumerate() {
                let [product] = products::<S, 1>([transposed.row(index)], input.row(vector));
                output.push(&[product + bias.map_or(0.0, |bias| bias[index])]);
            }
        }
    }
}

#[inline(always)]
fn products<S: Simd, const N: usize>(rows: [&[f32]; N], vector: &[f32]) -> [f32; N] {
    let whole = vector.len() - vector.len() % lanes::<S>();
    let mut sums = [splat::<S>(0.0); N];
    for at in (0..whole).step_by(lanes::<S>()) {
        let numbers = load(&vector[at..]);
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum = multiply_add(numbers, load(&row[at..]), *sum);
        }
    }
    let mut products = [0.0; N];
    for ((product, sum), row) in products.iter_mut().zip(sums).zip(rows) {
        *product = sum.reduce_add();
        for (x, y) in vector[whole..].iter().zip(&row[whole..]) {
            *product += x * y;
        }
    }
    products
}
