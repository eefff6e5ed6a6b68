//! The module.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use libellus_layers::{Conv2d, Dropout, EncoderBlock, LayerNorm, Linear, trace};

use super::resample_positions;
use crate::ConfigError;
use crate::error::{check_multiple, check_side};

/// A Vision Transformer with a classification head: patches as tokens, a class token before them, learned positions,
/// pre-norm encoder blocks, and a linear layer. The fields are named as in timm.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_models::VitConfig;
///
/// let device = libellus_backend::testing::device();
/// let model = VitConfig::tiny().init(&device)?;
/// assert_eq!(model.forward(Tensor::zeros([4, 2, 9, 15], &device)).dims(), [4, 7]);
///
/// // The same network for larger images.
/// let model = model.resize([15, 21])?;
/// assert_eq!(model.forward(Tensor::zeros([4, 2, 15, 21], &device)).dims(), [4, 7]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct Vit {
    pub(super) patch_embed: Conv2d,
    pub(super) cls_token: Param<Tensor<3>>,
    pub(super) pos_embed: Param<Tensor<3>>,
    pub(super) dropout: Dropout,
    pub(super) blocks: Vec<EncoderBlock>,
    /// Of all tokens, where the head looks at the class token.
    pub(super) norm: Option<LayerNorm>,
    /// Of the mean, where the head looks at that.
    pub(super) fc_norm: Option<LayerNorm>,
    pub(super) head: Linear,
    pub(super) image_size: [usize; 2],
    pub(super) patch_size: usize,
}

impl Vit {
    /// Pattern of the head's parameter names.
    pub const HEAD: &'static str = "head.*";

    /// Class logits of a batch of images.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, K]`
    ///
    /// # Panics
    /// If the images don't have the channels and the size of the configuration.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward_head(self.forward_features(images))
    }

    /// The normalised class token, or the normalised mean of the patches' tokens.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, D]`
    ///
    /// # Panics
    /// As [`Vit::forward`].
    pub fn forward_features(&self, images: Tensor<4>) -> Tensor<2> {
        let tokens = self.forward_tokens(images);
        let [_, count, _] = tokens.dims();
        match &self.fc_norm {
            None => tokens.narrow(1, 0, 1).squeeze_dim(1),
            Some(norm) => {
                let mean = tokens.narrow(1, 1, count - 1).mean_dim(1).squeeze_dim(1);
                trace::tap("fc_norm", norm.forward(mean))
            }
        }
    }

    /// The logits of features.
    ///
    /// # Shapes
    /// - `features`: `[B, D]`
    /// - output: `[B, K]`
    ///
    /// # Panics
    /// If the features have another width.
    pub fn forward_head(&self, features: Tensor<2>) -> Tensor<2> {
        self.head.forward(features)
    }

    /// All tokens after the last block, the class token first and the patches after it, row by row. They are
    /// normalised if the head looks at the class token.
    ///
    /// # Shapes
    /// - `images`: `[B, C, H, W]`
    /// - output: `[B, T, D]` with `T = 1 + H / P * W / P`
    ///
    /// # Panics
    /// As [`Vit::forward`].
    pub fn forward_tokens(&self, images: Tensor<4>) -> Tensor<3> {
        let [batch, _, height, width] = images.dims();
        assert_eq!([height, width], self.image_size, "images of another size than the model's");
        let patches = trace::tap("patch_embed", self.patch_embed.forward(images));
        let patches = patches.flatten::<3>(2, 3).swap_dims(1, 2);
        let [_, _, width] = patches.dims();
        let class = self.cls_token.val().expand([batch, 1, width]);
        let embedded = self.dropout.forward(Tensor::cat(vec![class, patches], 1) + self.pos_embed.val());
        let tokens = self.blocks.iter().enumerate().fold(embedded, |tokens, (index, block)| {
            trace::tap(format_args!("blocks.{index}"), block.forward(tokens, None))
        });
        match &self.norm {
            Some(norm) => trace::tap("norm", norm.forward(tokens)),
            None => tokens,
        }
    }

    /// The same model for images of another height and width in pixels: its position embeddings are resampled
    /// ([`resample_positions`]). To fine-tune published weights at another size, load them into a model of their own
    /// size and resize that.
    ///
    /// # Errors
    /// If `image_size` isn't a possible size or a multiple of the patch size.
    pub fn resize(mut self, image_size: [usize; 2]) -> Result<Self, ConfigError> {
        for side in image_size {
            check_side("image_size", side)?;
            check_multiple("image_size", side, "patch_size", self.patch_size)?;
        }
        let [from, to] = [self.image_size, image_size].map(|size| size.map(|side| side / self.patch_size));
        self.pos_embed = self.pos_embed.map(|positions| {
            let trained = positions.is_require_grad();
            resample_positions(positions.detach(), from, to).detach().set_require_grad(trained)
        });
        self.image_size = image_size;
        Ok(self)
    }
}
