//! A model with the weights of a file.

use burn::module::Module;
use burn::tensor::Device;
use libellus_models::Model;
use libellus_weights::{Checkpoint, Layout, LoadOptions, load, recognize};

use crate::{Design, InspectError};

/// A model with weights, in inference mode.
#[derive(Debug)]
pub struct Loaded {
    /// What it is.
    pub design: Design,
    /// The model.
    pub model: Model,
    /// The layout in which its weights were stored.
    pub layout: Layout,
}

impl Loaded {
    /// A model with random weights, drawn from the device's random numbers.
    ///
    /// # Errors
    /// If the configuration describes no model, or one of more than 17 billion parameters.
    pub fn random(design: Design, device: &Device) -> Result<Self, InspectError> {
        const MOST: usize = 1 << 34;
        let model = design.config.init(device)?;
        let parameters = model.num_params();
        if parameters > MOST {
            return Err(InspectError::TooLarge { name: design.name, parameters, most: MOST });
        }
        let model = model.materialize();
        Ok(Self { design, model, layout: Layout::NATIVE })
    }

    /// Reads the weights of an opened checkpoint. Without a `design`, the file has to say itself what model it holds; without the name of a
    /// `layout`, it is told from the names and shapes in the file.
    ///
    /// # Errors
    /// If the file can't be read, doesn't hold the model, or doesn't say what it holds.
    pub fn open(
        design: Option<Design>,
        checkpoint: &Checkpoint,
        layout: Option<&str>,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, InspectError> {
        let design = match design {
            Some(design) => design,
            None => Design::of(checkpoint)?
                .ok_or_else(|| InspectError::Nameless { path: checkpoint.path().to_owned() })?,
        };
        let model = design.config.init(device)?;
        let layout = match layout {
            Some(name) => design.layout(name)?,
            None => recognize(&model, checkpoint, &design.layouts(), options)?.clone(),
        };
        let model = load(model, checkpoint, &layout, options)?;
        Ok(Self { design, model, layout })
    }
}
