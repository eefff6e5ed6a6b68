//! The module.

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor};
use libellus_layers::{Dropout, Embedding, EncoderBlock, KeysValues, KvCache, LayerNorm, Linear, trace};

use super::{Decoder, sinusoidal_positions};

/// An encoder that reads the source, and a decoder that predicts each token of the target from the source and from the
/// tokens before it.
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use libellus_models::TransformerConfig;
///
/// let device = libellus_backend::testing::device();
/// let model = TransformerConfig::tiny().init(&device)?;
/// let memory = model.encode(Tensor::<2, Int>::from_ints([[3, 1, 4, 1, 5]], &device), None);
/// let logits = model.decode(Tensor::<2, Int>::from_ints([[0, 2, 7]], &device), None, &memory);
/// assert_eq!(logits.dims(), [1, 3, 13]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct Transformer {
    /// Of source and target tokens, and of the output unless that has a layer of its own.
    pub(super) embedding: Embedding,
    pub(super) dropout: Dropout,
    pub(super) encoder: Encoder,
    pub(super) decoder: Decoder,
    pub(super) output: Option<Linear>,
}

/// A stack of encoder blocks.
#[derive(Module, Debug)]
pub struct Encoder {
    pub(super) layers: Vec<EncoderBlock>,
    pub(super) norm: Option<LayerNorm>,
}

/// What goes into a [`Transformer`]. Masks are true for tokens and false for padding.
#[derive(Debug, Clone)]
pub struct TransformerInput {
    /// `[B, S]`.
    pub source: Tensor<2, Int>,
    /// What the decoder is given, from the token that begins every target: `[B, T]`.
    pub target: Tensor<2, Int>,
    /// `[B, S]`.
    pub source_mask: Option<Tensor<2, Bool>>,
    /// `[B, T]`.
    pub target_mask: Option<Tensor<2, Bool>>,
}

/// What a [`Transformer`] puts out.
#[derive(Debug, Clone)]
pub struct TransformerOutput {
    /// What the encoder puts out, `[B, S, D]`. It means nothing where the source is padding.
    pub memory: Tensor<3>,
    /// Logits of the token after each of the target, `[B, T, V]`.
    pub logits: Tensor<3>,
}

/// A source that has been read. To search with several beams, repeat its rows.
#[derive(Debug, Clone)]
pub struct Memory {
    /// What the encoder puts out, `[B, S, D]`.
    pub tokens: Tensor<3>,
    /// True for tokens and false for padding, `[B, S]`.
    pub mask: Option<Tensor<2, Bool>>,
}

/// What a decoder has read so far: the memory, and the keys and values of the target.
#[derive(Debug, Clone)]
pub struct TransformerCache {
    target: KvCache,
    memory: Vec<KeysValues>,
    /// `[B, 1, 1, S]`.
    memory_hidden: Option<Tensor<4, Bool>>,
    /// Embeddings of all positions, `[C, D]`.
    positions: Tensor<2>,
}

impl TransformerCache {
    /// The target's part: how long it is, what remains.
    pub fn target(&self) -> &KvCache {
        &self.target
    }

    /// Makes sequence `rows[i]` sequence `i`, as [`KvCache::select`] does: the beams that go on.
    ///
    /// # Panics
    /// If a row isn't less than the number of sequences.
    pub fn select(&mut self, rows: &[usize]) {
        self.target.select(rows);
        let indices: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let indices = Tensor::<1, Int>::from_data(indices.as_slice(), &self.positions.device());
        for KeysValues { keys, values } in &mut self.memory {
            *keys = keys.clone().select(0, indices.clone());
            *values = values.clone().select(0, indices.clone());
        }
        // burn-flex 0.22.1 can't select rows of booleans.
        self.memory_hidden =
            self.memory_hidden.take().map(|hidden| hidden.int().select(0, indices).equal_elem(1));
    }
}

impl Memory {
    /// True where a token is hidden, `[B, 1, 1, S]`.
    pub(super) fn hidden(&self) -> Option<Tensor<4, Bool>> {
        let [batch, length, _] = self.tokens.dims();
        self.mask.clone().map(|mask| hide_padding(mask, [batch, length]))
    }
}

impl Transformer {
    /// Logits of all targets, each of whose tokens sees those up to itself.
    ///
    /// # Shapes
    /// - `input`: source `[B, S]`, target `[B, T]`
    /// - output: memory `[B, S, D]`, logits `[B, T, V]`
    ///
    /// # Panics
    /// If the batches of source and target, or the shapes of tokens and masks, differ.
    pub fn forward(&self, input: TransformerInput) -> TransformerOutput {
        let memory = self.encode(input.source, input.source_mask);
        let logits = self.decode(input.target, input.target_mask, &memory);
        TransformerOutput { memory: memory.tokens, logits }
    }

    /// The targets' tokens in their context and the source's, which the output layer makes logits of.
    ///
    /// # Shapes
    /// - `input`: source `[B, S]`, target `[B, T]`
    /// - output: `[B, T, D]`
    ///
    /// # Panics
    /// As [`Transformer::forward`].
    pub fn forward_features(&self, input: TransformerInput) -> Tensor<3> {
        let memory = self.encode(input.source, input.source_mask);
        self.decode_features(input.target, input.target_mask, &memory)
    }

    /// Reads the source.
    ///
    /// # Shapes
    /// - `source`: `[B, S]`
    /// - `mask`: true for tokens, false for padding, `[B, S]`
    ///
    /// # Panics
    /// If the mask has another shape.
    pub fn encode(&self, source: Tensor<2, Int>, mask: Option<Tensor<2, Bool>>) -> Memory {
        let padding = mask.clone().map(|mask| hide_padding(mask, source.dims()));
        let positions = self.positions(source.dims()[1], &source.device());
        let embedded = self.embed(source, positions.unsqueeze());
        let tokens = trace::within("encoder", || self.encoder.forward(embedded, padding));
        Memory { tokens, mask }
    }

    /// Logits of the token after each of the target's. Padding stands behind the tokens.
    ///
    /// # Shapes
    /// - `target`: `[B, T]`
    /// - `mask`: true for tokens, false for padding, `[B, T]`
    /// - output: `[B, T, V]`
    ///
    /// # Panics
    /// If the memory has another batch, or the mask another shape.
    pub fn decode(
        &self,
        target: Tensor<2, Int>,
        mask: Option<Tensor<2, Bool>>,
        memory: &Memory,
    ) -> Tensor<3> {
        self.logits(self.decode_features(target, mask, memory))
    }

    fn decode_features(
        &self,
        target: Tensor<2, Int>,
        mask: Option<Tensor<2, Bool>>,
        memory: &Memory,
    ) -> Tensor<3> {
        let (embedded, padding) = self.embed_target(target, mask);
        trace::within("decoder", || {
            let read = self.decoder.read(&memory.tokens);
            let keep = |_, keys, values| KeysValues { keys, values };
            self.decoder.forward(embedded, padding, &read, memory.hidden(), keep)
        })
    }

    /// What the decoder's first block is given, `[B, T, D]`, and true where a token is hidden, `[B, 1, 1, T]`.
    pub(super) fn embed_target(
        &self,
        target: Tensor<2, Int>,
        mask: Option<Tensor<2, Bool>>,
    ) -> (Tensor<3>, Option<Tensor<4, Bool>>) {
        let hidden = mask.map(|mask| hide_padding(mask, target.dims()));
        let positions = self.positions(target.dims()[1], &target.device());
        (self.embed(target, positions.unsqueeze()), hidden)
    }

    /// An empty cache for targets of up to `capacity` tokens, padding included, one for each sequence of the memory.
    pub fn new_cache(&self, memory: &Memory, capacity: usize) -> TransformerCache {
        let ([batch, _, _], device) = (memory.tokens.dims(), memory.tokens.device());
        TransformerCache {
            target: KvCache::new(self.decoder.layers.len(), batch, capacity),
            memory: self.decoder.read(&memory.tokens),
            memory_hidden: memory.hidden(),
            positions: self.positions(capacity, &device),
        }
    }

    /// As [`Transformer::decode`], for tokens that follow those that `cache` has seen; they are added to it. Here padding
    /// may stand anywhere: it has no position.
    ///
    /// Meant for inference. Under autodiff it works, but copies the cache at each step.
    ///
    /// # Shapes
    /// - `target`: `[B, T]`
    /// - `mask`: true for tokens, false for padding, `[B, T]`
    /// - output: `[B, T, V]`
    ///
    /// # Panics
    /// If less than `T` tokens remain in the cache, or the mask has another shape.
    pub fn decode_cached(
        &self,
        target: Tensor<2, Int>,
        mask: Option<Tensor<2, Bool>>,
        cache: &mut TransformerCache,
    ) -> Tensor<3> {
        let TransformerCache { target: kept, memory, memory_hidden, positions } = cache;
        let span = kept.advance(target.dims()[1], mask, &target.device());
        let embedded = self.embed(target, select(positions.clone(), span.positions));
        self.logits(trace::within("decoder", || {
            let keep = |layer, keys, values| kept.append(layer, keys, values);
            self.decoder.forward(embedded, span.hidden, memory, memory_hidden.clone(), keep)
        }))
    }

    fn logits(&self, tokens: Tensor<3>) -> Tensor<3> {
        match &self.output {
            Some(output) => output.forward(tokens),
            None => self.similarity(tokens),
        }
    }

    /// Of the first `length` positions, `[T, D]`.
    fn positions(&self, length: usize, device: &Device) -> Tensor<2> {
        let [_, width] = self.embedding.weight.lazy_shape().dims();
        sinusoidal_positions(length, width, device)
    }

    /// Embeddings times `sqrt(D)` (section 3.4), plus those of the positions, `[B or 1, T, D]`.
    fn embed(&self, tokens: Tensor<2, Int>, positions: Tensor<3>) -> Tensor<3> {
        let embedded = self.embedding.forward(tokens);
        let scale = (embedded.dims()[2] as f64).sqrt();
        self.dropout.forward(embedded * scale + positions)
    }

    /// Dot products with the embeddings of all tokens.
    fn similarity(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let weight = &self.embedding.weight;
        let [vocabulary, _] = weight.lazy_shape().dims();
        let macs = (batch * length * width * vocabulary) as u64;
        trace::layer("Linear", weight, tokens, [batch, length, vocabulary], macs, |tokens| {
            let rows = tokens.reshape([batch * length, width]);
            rows.matmul(weight.val().transpose()).reshape([batch, length, vocabulary])
        })
    }
}

impl Encoder {
    /// The source's tokens in their context.
    ///
    /// # Shapes
    /// - `input`: `[B, S, D]`
    /// - `hidden`: true where a token is hidden, `[B, 1, 1, S]`
    /// - output: `[B, S, D]`
    pub fn forward(&self, input: Tensor<3>, hidden: Option<Tensor<4, Bool>>) -> Tensor<3> {
        let tokens = self.layers.iter().enumerate().fold(input, |tokens, (index, block)| {
            trace::tap(format_args!("layers.{index}"), block.forward(tokens, hidden.clone()))
        });
        match &self.norm {
            Some(norm) => trace::tap("norm", norm.forward(tokens)),
            None => tokens,
        }
    }
}

/// Rows of `[C, D]` by positions `[B or 1, T]`: `[B or 1, T, D]`.
fn select(rows: Tensor<2>, positions: Tensor<2, Int>) -> Tensor<3> {
    let ([batch, length], [_, width]) = (positions.dims(), rows.dims());
    rows.select(0, positions.reshape([batch * length])).reshape([batch, length, width])
}

/// True where a token is hidden, `[B, 1, 1, T]`.
fn hide_padding(mask: Tensor<2, Bool>, tokens: [usize; 2]) -> Tensor<4, Bool> {
    assert_eq!(mask.dims(), tokens, "a mask of another shape than the tokens");
    mask.bool_not().reshape([tokens[0], 1, 1, tokens[1]])
}
