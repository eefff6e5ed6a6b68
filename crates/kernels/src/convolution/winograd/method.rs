//! The methods: what is transformed to what.

use macerator::Simd;

use super::tiles::MOST_PIXELS;
use super::transform::{Square, strided, unstrided};
use crate::vector::Line;

/// How tiles of the output come from windows of the input, in each direction alike.
pub(super) trait Method: Copy + Sync {
    /// Inputs from a window to the next.
    const STEP: usize;
    /// The sum that the products at each point belong to.
    const SUMS: &'static [usize];
    /// From a window of the input to the points.
    type OfWindow: Map;
    /// From a kernel to the points.
    type OfKernel: Map;
    /// From the sums to a tile of the output.
    type ToTile: Map;

    /// Inputs that a tile sees.
    const WINDOW: usize = Self::OfWindow::FROM;
    /// Outputs of a tile.
    const TILE: usize = Self::ToTile::TO;
    /// Elements of a channel's kernel, in both directions.
    const TAPS: usize = Self::OfKernel::FROM * Self::OfKernel::FROM;
    /// Products for each tile and each pair of channels, in both directions.
    const POINTS: usize = Self::SUMS.len() * Self::SUMS.len();
    /// Sums of them, in both directions.
    const ALL_SUMS: usize = Self::ToTile::FROM * Self::ToTile::FROM;

    /// Whether the maps fit each other and the memory for them.
    const IS_CONSISTENT: bool = Self::OfWindow::TO == Self::SUMS.len()
        && Self::OfKernel::TO == Self::SUMS.len()
        && Self::ToTile::FROM == count(Self::SUMS)
        && Self::TILE * Self::TILE <= MOST_PIXELS;

    /// The sum that the products at a point of the square belong to, and whether they are its first.
    fn sum_of(point: usize) -> (usize, bool) {
        let is_first = |index: usize| !Self::SUMS[..index].contains(&Self::SUMS[index]);
        let [row, column] = [point / Self::SUMS.len(), point % Self::SUMS.len()];
        let sum = Self::SUMS[row] * Self::ToTile::FROM + Self::SUMS[column];
        (sum, is_first(row) && is_first(column))
    }
}

/// How many sums there are, which are counted from 0.
const fn count(sums: &[usize]) -> usize {
    let (mut count, mut point) = (0, 0);
    while point < sums.len() {
        if sums[point] >= count {
            count = sums[point] + 1;
        }
        point += 1;
    }
    count
}

/// A method whose way back to the weights is known.
pub(super) trait Differentiable: Method {
    /// From a tile of the output's gradient to the sums'.
    type OfGradient: Map;
    /// From the gradients at the points to a kernel's.
    type ToKernel: Map;

    /// Whether these fit the method's maps.
    const IS_REVERSE: bool = Self::OfGradient::FROM == Self::TILE
        && Self::OfGradient::TO == Self::ToTile::FROM
        && Self::ToKernel::FROM == Self::SUMS.len()
        && Self::ToKernel::TO == Self::OfKernel::FROM;
}

/// A linear map of the columns of a square and then of its rows.
pub(super) trait Map {
    const FROM: usize;
    const TO: usize;

    /// Maps a square of lines, whose rows and columns start as many lines apart as `from` says, into a square as `to` says.
    fn apply<S: Simd>(source: &[Line], from: [usize; 2], target: &mut [Line], to: [usize; 2]);
}

/// 3x3, stride 1: F(4x4, 3x3). Its own gradient of the input, with kernels turned round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unstrided;

impl Method for Unstrided {
    const STEP: usize = 4;
    const SUMS: &'static [usize] = &[0, 1, 2, 3, 4, 5];
    type OfWindow = Square<unstrided::OfInput, 6, 6>;
    type OfKernel = Square<unstrided::OfKernel, 3, 6>;
    type ToTile = Square<unstrided::ToOutput, 6, 4>;
}

impl Differentiable for Unstrided {
    type OfGradient = Square<unstrided::OfGradient, 4, 6>;
    type ToKernel = Square<unstrided::ToKernel, 6, 3>;
}

/// 3x3, stride 2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strided3;

impl Method for Strided3 {
    const STEP: usize = 4;
    const SUMS: &'static [usize] = &[0, 1, 2, 0, 2];
    type OfWindow = Square<strided::OfWindow, 5, 5>;
    type OfKernel = Square<strided::OfKernel, 3, 5>;
    type ToTile = Square<strided::ToTile, 3, 2>;
}

impl Differentiable for Strided3 {
    type OfGradient = Square<strided::OfGradient, 2, 3>;
    type ToKernel = Square<strided::ToKernel, 5, 3>;
}

/// 4x4, stride 2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strided4;

impl Method for Strided4 {
    const STEP: usize = 4;
    const SUMS: &'static [usize] = &[0, 1, 2, 0, 1, 2];
    type OfWindow = Square<strided::OfWindow, 6, 6>;
    type OfKernel = Square<strided::OfKernel, 4, 6>;
    type ToTile = Square<strided::ToTile, 3, 2>;
}

impl Differentiable for Strided4 {
    type OfGradient = Square<strided::OfGradient, 2, 3>;
    type ToKernel = Square<strided::ToKernel, 6, 4>;
}

/// The way back to the input of [`Strided3`] with a padding of 1: from the output's gradient, with kernels turned round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread3;

impl Method for Spread3 {
    const STEP: usize = 2;
    const SUMS: &'static [usize] = &[0, 1, 2, 3, 4];
    type OfWindow = Square<strided::OfSpreadWindow, 3, 5>;
    type OfKernel = Square<strided::OfKernel, 3, 5>;
    type ToTile = Square<strided::ToSpreadTile, 5, 4>;
}

/// The same of [`Strided4`]. Its windows start a pixel before the gradient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread4;

impl Method for Spread4 {
    const STEP: usize = 2;
    const SUMS: &'static [usize] = &[0, 1, 2, 3, 4, 5];
    type OfWindow = Square<strided::OfSpreadWindow, 4, 6>;
    type OfKernel = Square<strided::OfKernel, 4, 6>;
    type ToTile = Square<strided::ToSpreadTile, 6, 4>;
}
