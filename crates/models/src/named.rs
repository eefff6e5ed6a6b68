//! Fields of configurations that say their name when they can't be read.
//!
//! Which architecture a configuration is for stands in the configuration itself. serde therefore holds the values back
//! until it knows, and has forgotten by then where they came from: an error would tell the value, but not its key.

use serde::{Deserialize, Deserializer, de::Error};

/// A function for each field, to be its `deserialize_with`.
macro_rules! fields {
    ($($name:ident),+ $(,)?) => {
        $(pub(crate) fn $name<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<T, D::Error> {
            T::deserialize(value).map_err(|error| D::Error::custom(format_args!("`{}`: {error}", stringify!($name))))
        })+
    };
}

fields!(
    activation,
    attention_bias,
    attention_dropout,
    batch_norm,
    bias,
    bidirectional,
    block,
    blocks,
    cell,
    channels,
    context,
    convolutions,
    d_ff,
    d_hidden,
    d_input,
    d_model,
    d_output,
    depth,
    depths,
    drop_path,
    dropout,
    epsilon,
    expansion,
    final_norm,
    groups,
    head_dim,
    hidden,
    image_size,
    in_channels,
    input_size,
    kernel,
    last_gamma,
    last_width,
    layer_scale,
    n_decoder_layers,
    n_encoder_layers,
    n_heads,
    n_kv_heads,
    n_layers,
    norm_placement,
    num_classes,
    output,
    patch_size,
    pooler,
    pooling,
    resolution,
    rope_scaling,
    rope_theta,
    stages,
    stem_stride,
    stem_width,
    stride,
    tie_embeddings,
    token_types,
    upsampling,
    vocab_size,
    width,
    width_per_group,
);
