//! Checkpoints in other layouts.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use libellus_weights::{save, save_sharded};

use crate::design::CONFIG_KEY;
use crate::{InspectError, Loaded};

/// What a conversion did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The layout that was read.
    pub from: &'static str,
    /// The layout that was written.
    pub to: &'static str,
    /// Parameters of the model.
    pub parameters: usize,
}

/// Writes the model's weights in the layout with the name `to`: to the file `path`, or, with a limit on the bytes of a
/// shard, to as many files as that takes in the folder `path`. They also say what model they hold.
///
/// # Errors
/// If the model has no such layout, or the file can't be written.
pub fn convert(
    loaded: &Loaded,
    path: &Path,
    to: &str,
    max_shard_bytes: Option<u64>,
) -> Result<Converted, InspectError> {
    let layout = loaded.design.layout(to)?;
    let metadata = BTreeMap::from([(CONFIG_KEY.to_owned(), loaded.design.config.to_value().to_string())]);
    match max_shard_bytes {
        Some(limit) => save_sharded(&loaded.model, path, &layout, &metadata, limit)?,
        None => save(&loaded.model, path, &layout, &metadata)?,
    }
    Ok(Converted { from: loaded.layout.name, to: layout.name, parameters: loaded.model.num_params() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Depth, Design, forward};
    use burn::tensor::Tensor;
    use libellus_backend::testing::device;
    use libellus_models::{ClassifierConfig, ModelConfig, ResNetConfig, Tensors};
    use libellus_weights::{Checkpoint, Layout, LoadOptions};

    #[test]
    fn there_and_back_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [native, torch, back] =
            ["native", "torch", "back"].map(|name| folder.path().join(format!("{name}.safetensors")));
        let config = ModelConfig::Classifier(ClassifierConfig::from(ResNetConfig::tiny()));
        let design = Design { name: "tiny".to_owned(), config };
        let model = design.config.init(&device()).expect("valid");
        let first = Loaded { design: design.clone(), model, layout: Layout::NATIVE };
        convert(&first, &native, "native", None).expect("a writable folder");
        let open = |path, design| {
            let checkpoint = Checkpoint::open(path)?;
            Loaded::open(design, &checkpoint, None, &LoadOptions::default(), &device())
        };

        // Our own file says what it is; one in another layout says it too, as we wrote it.
        let loaded = open(&native, None).expect("a file that says what it is");
        assert_eq!((loaded.design.config.clone(), loaded.layout.name), (design.config.clone(), "native"));
        let converted = convert(&loaded, &torch, "torchvision", None).expect("a known layout");
        assert_eq!((converted.from, converted.to), ("native", "torchvision"));
        let loaded = open(&torch, Some(design.clone())).expect("a torchvision file");
        assert_eq!(loaded.layout.name, "torchvision");
        convert(&loaded, &back, "native", None).expect("a known layout");
        assert_eq!(std::fs::read(&native).expect("a file"), std::fs::read(&back).expect("a file"));

        // Several files are opened by their folder, and hold the same.
        let shards = folder.path().join("shards");
        std::fs::create_dir(&shards).expect("a writable folder");
        convert(&loaded, &shards, "torchvision", Some(20_000)).expect("a known layout");
        assert!(std::fs::read_dir(&shards).expect("a folder").count() > 3);
        let sharded = open(&shards, None).expect("a folder of shards");
        assert_eq!(sharded.layout.name, "torchvision");

        let images = Tensors::new().with("images", Tensor::<4>::ones([1, 2, 19, 23], &device()));
        let run = |loaded: &Loaded| forward(&design, &loaded.model, &images, Depth::Outputs).expect("a fit");
        assert_eq!(run(&first), run(&loaded));
        assert_eq!(run(&first), run(&sharded));
    }
}
