//! Any image classifier, chosen by configuration.

use libellus_weights::Layout;

use crate::registry::{Classifier, ClassifierConfig};
use crate::{ConfigError, InputError, InputSpec, Tensors, device_of};

impl ClassifierConfig {
    /// The public checkpoints that it can exchange weights with, besides this project's own.
    pub fn layouts(&self) -> Vec<Layout> {
        self.architecture().layouts()
    }

    /// Checks that images as `input` describes them fit the model.
    ///
    /// # Errors
    /// [`ConfigError::InputMismatch`] or [`ConfigError::ImageTooSmall`] if they don't.
    pub fn check_input(&self, input: &InputSpec) -> Result<(), ConfigError> {
        let size = self.input_size();
        let fits = input.channels == self.in_channels()
            && size.is_none_or(|size| size == [input.height, input.width]);
        if fits {
            return self.check_side(input);
        }
        let [height, width] =
            size.map_or(["*".to_owned(), "*".to_owned()], |size| size.map(|side| side.to_string()));
        Err(ConfigError::InputMismatch {
            model: format!("{}x{height}x{width}", self.in_channels()),
            input: format!("{}x{}x{}", input.channels, input.height, input.width),
        })
    }

    fn check_side(&self, input: &InputSpec) -> Result<(), ConfigError> {
        let (height, width, min) = (input.height, input.width, self.architecture().min_side());
        match height.min(width) < min {
            true => Err(ConfigError::ImageTooSmall { height, width, min }),
            false => Ok(()),
        }
    }

    /// Number of classes `K`.
    pub fn num_classes(&self) -> usize {
        self.architecture().num_classes()
    }

    /// Channels `C` of the images.
    pub fn in_channels(&self) -> usize {
        self.architecture().in_channels()
    }

    /// Height and width of the images in pixels, where the parameters depend on it; residual networks take any size.
    pub fn input_size(&self) -> Option<[usize; 2]> {
        self.architecture().input_size()
    }

    /// The same for another number of classes.
    pub fn with_num_classes(mut self, num_classes: usize) -> Self {
        self.architecture_mut().set_num_classes(num_classes);
        self
    }

    /// The same with units dropped in training, each with this probability; `None` where the architecture has no dropout.
    pub fn with_dropout(mut self, probability: f64) -> Option<Self> {
        *self.architecture_mut().dropout()? = probability;
        Some(self)
    }

    /// The same with residual branches dropped in training, the last one with this probability (stochastic depth); `None`
    /// where the architecture has no such branches.
    pub fn with_drop_path(mut self, probability: f64) -> Option<Self> {
        *self.architecture_mut().drop_path()? = probability;
        Some(self)
    }

    /// The same for images of another size, in pixels.
    pub fn with_input_size(mut self, height: usize, width: usize) -> Self {
        self.architecture_mut().set_input_size([height, width]);
        self
    }

    /// One image of the size that the model is made for, filled with zeros.
    pub(crate) fn example(&self) -> Result<Tensors, InputError> {
        let [height, width] = self.architecture().native_size();
        Tensors::new().with_zeros::<f32, 4>("images", [1, self.in_channels(), height, width])
    }

    /// Applies the model to `images`; puts out `features` and `logits`.
    pub(crate) fn run(&self, model: &Classifier, inputs: &Tensors) -> Result<Tensors, InputError> {
        inputs.only(&["images"])?;
        let images = inputs.float::<4>("images", &device_of(model))?;
        inputs.length_within("images", 0, 1, usize::MAX)?;
        inputs.length("images", 1, self.in_channels())?;
        match self.input_size() {
            Some([height, width]) => {
                inputs.length("images", 2, height)?;
                inputs.length("images", 3, width)?;
            }
            None => {
                let least = self.architecture().min_side();
                [2, 3].iter().try_for_each(|&dim| inputs.length_within("images", dim, least, usize::MAX))?;
            }
        }
        let features = model.forward_features(images);
        let logits = model.forward_head(features.clone());
        Ok(Tensors::new().with("features", features).with("logits", logits))
    }
}
