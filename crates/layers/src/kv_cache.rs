//! The keys and values of what a decoder has read, so that the next token costs one token.
//!
//! Reference: `transformers.StaticCache`; Pope et al. 2022, *Efficiently Scaling Transformer Inference*,
//! arXiv:2211.05102, section 3.
//! Shapes: `B` sequences, `G` heads of keys and values, `T` new tokens, `S` tokens so far (new ones included), `D` width
//! of a head, `C` capacity.
//!
//! The buffers have their final size from the first token on, and new keys and values are written into them in place:
//! a step moves its own keys and values and no others (burn's cache concatenates, which copies all of them at each
//! step). Batches may be padded, on either side and anew at each step: padding takes a place in the buffers, is hidden
//! from attention, and doesn't count as a position.

use burn::tensor::{Bool, Device, Int, Tensor};

/// What a decoder has read so far: keys and values of each layer, and where padding stands.
///
/// A decoder calls [`advance`](Self::advance) once for each run of new tokens, then [`append`](Self::append) once in
/// each layer.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_layers::{AttentionOptions, Causal, KvCache, attention};
///
/// let device = libellus_backend::testing::device();
/// let mut cache = KvCache::new(1, 2, 11);
/// for new in [5, 1, 1] {
///     let heads = || Tensor::<4>::ones([2, 3, new, 7], &device);
///     let span = cache.advance(new, None, &device);
///     let kept = cache.append(0, heads(), heads());
///     let options = AttentionOptions { causal: Causal::Yes, mask: span.hidden, ..Default::default() };
///     assert_eq!(attention(heads(), kept.keys, kept.values, &options).dims(), [2, 3, new, 7]);
/// }
/// assert_eq!([cache.len(), cache.remaining()], [7, 4]);
/// ```
#[derive(Debug, Clone)]
pub struct KvCache {
    layers: Vec<Option<KeysValues>>,
    batch: usize,
    capacity: usize,
    len: usize,
    /// Length before the last `advance`, which is where the layers write.
    start: usize,
    /// 1 where a place holds a real token, `[B, C]`; `None` as long as all do. Integers, because burn-flex 0.22.1 can't
    /// select rows of booleans: they lose their type.
    real: Option<Tensor<2, Int>>,
}

/// Keys and values of one layer.
#[derive(Debug, Clone)]
pub struct KeysValues {
    /// `[B, G, S, D]`.
    pub keys: Tensor<4>,
    /// `[B, G, S, D]`.
    pub values: Tensor<4>,
}

/// Where new tokens stand, and what they may not see.
#[derive(Debug, Clone)]
pub struct Span {
    /// The position of each new token in its sequence, padding not counted: `[B, T]`, or `[1, T]` where all sequences
    /// agree. Padding itself has the position of the token before it, or 0.
    pub positions: Tensor<2, Int>,
    /// True where a token is padding, `[B, 1, 1, S]`; `None` if there is none. Goes into
    /// [`AttentionOptions::mask`](crate::AttentionOptions::mask).
    pub hidden: Option<Tensor<4, Bool>>,
}

impl Span {
    /// That of `tokens` tokens that follow nothing, which is what a decoder without a cache needs. `mask` as in
    /// [`KvCache::advance`].
    pub fn first(tokens: usize, mask: Option<Tensor<2, Bool>>, device: &Device) -> Self {
        match mask {
            None => Self { positions: range(0, tokens, device), hidden: None },
            Some(real) => Self {
                positions: positions(real.clone().int()),
                hidden: Some(real.bool_not().unsqueeze_dims(&[1, 1])),
            },
        }
    }
}

impl KvCache {
    /// An empty cache of `layers` layers for `batch` sequences of up to `capacity` tokens, padding included. The
    /// buffers, `[B, G, C, D]`, are made when a layer first writes, with its heads and precision.
    pub fn new(layers: usize, batch: usize, capacity: usize) -> Self {
        Self { layers: vec![None; layers], batch, capacity, len: 0, start: 0, real: None }
    }

    /// Number of sequences.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The most tokens that fit in a sequence.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Tokens in each sequence, padding included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been read.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many more tokens fit.
    pub fn remaining(&self) -> usize {
        self.capacity - self.len
    }

    /// Makes room for `tokens` new tokens in each sequence. `mask` is true where one is real and false where it is
    /// padding, `[B, T]`; without it all are real.
    ///
    /// # Panics
    /// If less than `tokens` remain, or the mask has another shape.
    pub fn advance(&mut self, tokens: usize, mask: Option<Tensor<2, Bool>>, device: &Device) -> Span {
        let (batch, start, len) = (self.batch, self.len, self.len + tokens);
        assert!(
            len <= self.capacity,
            "the cache is full: it has {start} of {} tokens, {tokens} more don't fit",
            self.capacity
        );
        if let Some(mask) = &mask {
            assert_eq!(mask.dims(), [batch, tokens], "a mask of another shape (actual, expected)");
        }
        (self.start, self.len) = (start, len);
        if mask.is_none() && self.real.is_none() {
            return Span { positions: range(start, tokens, device), hidden: None };
        }

        let everywhere = |width| Tensor::<2, Int>::ones([batch, width], device);
        let real = self.real.take().unwrap_or_else(|| everywhere(self.capacity));
        let mask = mask.map_or_else(|| everywhere(tokens), |mask| mask.int());
        let real = real.slice_assign([0..batch, start..len], mask);
        let seen = real.clone().slice([0..batch, 0..len]);
        self.real = Some(real);
        Span {
            positions: positions(seen.clone()).slice([0..batch, start..len]),
            hidden: Some(seen.equal_elem(0).unsqueeze_dims(&[1, 1])),
        }
    }

    /// Writes what layer `layer` makes of the tokens that the last [`advance`](Self::advance) made room for, and
    /// returns all that the layer has seen.
    ///
    /// What is returned are views of the buffers. Drop them before the layer writes again, or it has to copy.
    ///
    /// # Shapes
    /// - `keys`, `values`: `[B, G, T, D]`
    /// - output: `[B, G, S, D]` each
    ///
    /// # Panics
    /// If there is no such layer, or the shapes are others than announced or than before.
    pub fn append(&mut self, layer: usize, keys: Tensor<4>, values: Tensor<4>) -> KeysValues {
        let [batch, groups, tokens, width] = keys.dims();
        assert_eq!(
            [batch, tokens],
            [self.batch, self.len - self.start],
            "keys of other sequences and tokens than announced (actual, expected)"
        );
        let buffer = |like: &Tensor<4>| {
            let [batch, groups, _, width] = like.dims();
            Tensor::zeros([batch, groups, self.capacity, width], (&like.device(), like.dtype()))
        };
        let KeysValues { keys: all_keys, values: all_values } = self.layers[layer]
            .take()
            .unwrap_or_else(|| KeysValues { keys: buffer(&keys), values: buffer(&values) });
        let value_width = values.dims()[3];
        let new = |width| [0..batch, 0..groups, self.start..self.len, 0..width];
        let seen = |width| [0..batch, 0..groups, 0..self.len, 0..width];
        // The buffers are owned here, nobody else holds them: they are written in place.
        let all_keys = all_keys.slice_assign(new(width), keys);
        let all_values = all_values.slice_assign(new(value_width), values);
        let seen = KeysValues {
            keys: all_keys.clone().slice(seen(width)),
            values: all_values.clone().slice(seen(value_width)),
        };
        self.layers[layer] = Some(KeysValues { keys: all_keys, values: all_values });
        seen
    }

    /// Forgets all but the first `len` tokens, padding included: what follows overwrites them. Does nothing if there
    /// are no more than that.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.start = self.len;
    }

    /// Makes sequence `rows[i]` sequence `i`, for each of `rows`: the beams that go on (in any order, some twice, some
    /// not at all), or a prompt that is to have several continuations. Costs a copy of what has been read.
    ///
    /// # Panics
    /// If a row isn't less than [`batch`](Self::batch).
    pub fn select(&mut self, rows: &[usize]) {
        assert!(
            rows.iter().all(|&row| row < self.batch),
            "rows {rows:?} of a cache with {} sequences",
            self.batch
        );
        if rows.iter().copied().eq(0..self.batch) {
            return;
        }
        let indices: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let indices = |device: &Device| Tensor::<1, Int>::from_data(indices.as_slice(), device);
        self.real = self.real.take().map(|real| {
            let rows = indices(&real.device());
            real.select(0, rows)
        });
        for layer in self.layers.iter_mut().flatten() {
            for buffer in [&mut layer.keys, &mut layer.values] {
                let ([batch, groups, capacity, width], device) = (buffer.dims(), buffer.device());
                let seen = buffer.clone().slice([0..batch, 0..groups, 0..self.len, 0..width]);
                let fresh = Tensor::zeros([rows.len(), groups, capacity, width], (&device, buffer.dtype()));
                let seen = seen.select(0, indices(&device));
                *buffer = fresh.slice_assign([0..rows.len(), 0..groups, 0..self.len, 0..width], seen);
            }
        }
        self.batch = rows.len();
    }
}

/// `[1, T]`: positions from `start` on.
fn range(start: usize, tokens: usize, device: &Device) -> Tensor<2, Int> {
    Tensor::<1, Int>::arange(start as i64..(start + tokens) as i64, device).unsqueeze()
}

/// The position of each token among the real ones, `[B, S]`.
fn positions(real: Tensor<2, Int>) -> Tensor<2, Int> {
    (real.cumsum(1) - 1).clamp_min(0)
}

#[cfg(test)]
mod tests;
