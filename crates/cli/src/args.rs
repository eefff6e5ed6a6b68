//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use libellus::backend::{DeviceError, DeviceName, set_threads};
use libellus::burn;
use libellus::classify::TrainOptions;
use libellus::models::Precision;
use libellus::train::{OptionsError, Place, RunOptions};

mod text;

pub(crate) use text::*;

/// Deep learning without Python: train, evaluate and use models from one program.
#[derive(Parser, Debug)]
#[command(name = "libellus", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = "Begin with:  libellus classify train\n\
    It trains on handwritten digits that are part of the program, and leaves a report to look at.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) application: Application,
}

/// Options that mean the same everywhere.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// Folder of the known data sets [default: the user's cache folder]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "LIBELLUS_DATA",
        hide_env_values = true,
        help_heading = "Common"
    )]
    pub(crate) data_dir: Option<PathBuf>,

    /// Print the result as JSON
    #[arg(long, global = true, help_heading = "Common")]
    pub(crate) json: bool,

    /// Show no progress
    #[arg(long, short, global = true, help_heading = "Common")]
    pub(crate) quiet: bool,
}

/// Where a training goes, and where its options come from.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Run directory to make [default: runs/APPLICATION-DATA-1, -2, ...]
    #[arg(long, value_name = "DIR", conflicts_with = "resume", help_heading = "Run")]
    pub(crate) out: Option<PathBuf>,

    /// Go on with the run in this directory, to the same result as if it had never stopped
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub(crate) resume: Option<PathBuf>,

    /// Configuration file: the options below as `key = value`; flags come first
    #[arg(long, value_name = "FILE", conflicts_with = "resume", help_heading = "Run")]
    pub(crate) config: Option<PathBuf>,

    /// Show the run as a dashboard on the whole terminal; the program has it when built with `--features tui`
    #[arg(long, conflicts_with = "quiet", help_heading = "Run")]
    pub(crate) tui: bool,
}

impl Run {
    /// The options given as flags, and those of the configuration file where they leave one open.
    pub(crate) fn options<T: RunOptions>(&self, given: &T) -> Result<T, OptionsError> {
        match &self.config {
            Some(path) => Ok(given.or(&T::from_file(path)?)),
            None => Ok(given.clone()),
        }
    }

    pub(crate) fn place(&self) -> Place {
        match &self.resume {
            Some(folder) => Place::Resume(folder.clone()),
            None => Place::New(self.out.clone()),
        }
    }
}

/// Where to compute.
#[derive(Args, Debug)]
pub(crate) struct Compute {
    /// Where to compute: flex, or one of `libellus device list` [default: flex]
    #[arg(long, value_name = "DEVICE", help_heading = "Common")]
    pub(crate) device: Option<DeviceName>,

    /// Threads to compute with [default: all cores this process may use]
    #[arg(long, value_name = "N", help_heading = "Common")]
    pub(crate) threads: Option<usize>,
}

impl Compute {
    /// Sets the threads, and opens the device.
    pub(crate) fn open(&self) -> Result<burn::tensor::Device, DeviceError> {
        set_threads(self.threads);
        self.device.unwrap_or_default().open()
    }
}

#[derive(Subcommand, Debug)]
pub(crate) enum Application {
    /// Tell which class an image belongs to
    #[command(subcommand)]
    Classify(Classify),
    /// Language models: train, generate, measure
    #[command(subcommand)]
    Text(Text),
    /// Data sets: what is known, fetch one, look at one
    #[command(subcommand)]
    Data(Data),
    /// Models: what there is, what one is made of, run one, convert checkpoints
    #[command(subcommand)]
    Model(Model),
    /// Devices: what this build and this machine can compute on
    #[command(subcommand)]
    Device(Device),
}

#[derive(Subcommand, Debug)]
pub(crate) enum Classify {
    /// Train a model on a data set or a folder of images
    #[command(after_help = "Examples:\n  \
        libellus classify train\n  \
        libellus classify train --data mnist --model lenet5 --epochs 10\n  \
        libellus classify train --data photos/ --model resnet18 --weights resnet18.safetensors --freeze-backbone\n  \
        libellus classify train --resume runs/classify-digits-1")]
    Train(Box<Train>),
    /// Measure a trained model on the test images of a data set
    #[command(after_help = "Example:\n  libellus classify eval --run runs/classify-digits-1")]
    Eval(Eval),
    /// Classify images with a trained model
    #[command(after_help = "Examples:\n  \
        libellus classify predict --run runs/classify-digits-1 seven.png\n  \
        libellus classify predict --run runs/classify-digits-1 --json scans/ > scans.json\n  \
        cat seven.png | libellus classify predict --run runs/classify-digits-1 -")]
    Predict(Predict),
}

#[derive(Args, Debug)]
pub(crate) struct Train {
    #[command(flatten)]
    pub(crate) run: Run,

    #[command(flatten)]
    pub(crate) options: TrainOptions,
}

#[derive(Args, Debug)]
pub(crate) struct Eval {
    #[command(flatten)]
    pub(crate) model: TrainedModel,

    /// Data set to measure on [default: the one it was trained on]
    #[arg(long, value_name = "NAME|FOLDER")]
    pub(crate) data: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Predict {
    #[command(flatten)]
    pub(crate) model: TrainedModel,

    /// Images, folders of images, or `-` for an image on standard input
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) inputs: Vec<PathBuf>,

    /// How many classes to name for each image, most probable first
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) top: usize,

    /// Also write the features before the classification head to this safetensors file
    #[arg(long, value_name = "FILE")]
    pub(crate) features: Option<PathBuf>,
}

/// A trained model and where to run it.
#[derive(Args, Debug)]
pub(crate) struct TrainedModel {
    /// Run directory, or a model.safetensors from one
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) run: PathBuf,

    /// Images per batch
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) batch_size: usize,

    /// In what precision linear layers compute, and with bf16 convolutions
    #[arg(long, value_enum, default_value_t = WeightPrecision::F32)]
    pub(crate) precision: WeightPrecision,

    #[command(flatten)]
    pub(crate) compute: Compute,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum WeightPrecision {
    /// As 32-bit floats
    F32,
    /// Rounded to bfloat16
    Bf16,
    /// Rounded to 8 bits, with a scale for every 64
    Q8,
}

impl From<WeightPrecision> for Precision {
    fn from(precision: WeightPrecision) -> Self {
        match precision {
            WeightPrecision::F32 => Self::F32,
            WeightPrecision::Bf16 => Self::Bf16,
            WeightPrecision::Q8 => Self::Q8,
        }
    }
}

#[derive(Subcommand, Debug)]
pub(crate) enum Data {
    /// The known data sets, and whether they are on this machine
    #[command(after_help = "Example:\n  libellus data list")]
    List,
    /// Download a known data set from its published address
    #[command(after_help = "Example:\n  libellus data fetch mnist")]
    Fetch {
        /// Its name, from `libellus data list`
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Draw samples of a data set with their labels into a PNG
    #[command(after_help = "Example:\n  libellus data show digits --to digits.png")]
    Show {
        /// A known name, or a folder with one folder of images per class
        #[arg(value_name = "NAME|FOLDER")]
        data: String,
        /// The picture to write
        #[arg(long, value_name = "FILE", default_value = "samples.png")]
        to: PathBuf,
        /// How many samples
        #[arg(long, value_name = "N", default_value_t = 60)]
        count: usize,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Model {
    /// Names, families, sizes, cost, and the public checkpoints that each reads
    #[command(after_help = "Examples:\n  libellus model list\n  libellus model list resnet")]
    List {
        /// Only models with this in their name or family
        #[arg(value_name = "FILTER")]
        filter: Option<String>,
    },
    /// The layers of a model, with output shapes, parameters and multiply-accumulates
    #[command(after_help = "Examples:\n  \
        libellus model show resnet50\n  \
        libellus model show --config config.json --depth 2")]
    Show {
        /// A name from `libellus model list`
        #[arg(value_name = "NAME", required_unless_present = "config", conflicts_with = "config")]
        name: Option<String>,
        /// A configuration in place of a name: JSON or TOML, also a Hugging Face config.json
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Only modules that are inside of fewer than this many others [default: all]
        #[arg(long, value_name = "N")]
        depth: Option<usize>,
    },
    /// Run a model on the tensors of a file, in inference mode
    #[command(after_help = "Example:\n  \
        libellus model forward --arch resnet18 --weights resnet18.pth \\\n      \
        --input images.safetensors --output logits.safetensors")]
    Forward(Forward),
    /// Write a checkpoint in another layout
    #[command(after_help = "Examples:\n  \
        libellus model convert resnet50.pth resnet50.safetensors --arch resnet50 --to native\n  \
        libellus model convert runs/classify-digits-1/model.safetensors torch.safetensors \\\n      \
        --to pytorch_resnet_cifar10")]
    Convert(Convert),
}

/// Which model.
#[derive(Args, Debug)]
pub(crate) struct Design {
    /// A name from `libellus model list` [default: what the weights file says]
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    pub(crate) arch: Option<String>,

    /// A configuration in place of a name: JSON or TOML, also a Hugging Face config.json
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// How a checkpoint is read.
#[derive(Args, Debug)]
pub(crate) struct Reading {
    /// The layout of the checkpoint [default: told from its names and shapes]
    #[arg(long, value_name = "LAYOUT")]
    pub(crate) layout: Option<String>,

    /// Which weights of a PyTorch file that holds several, such as `ema` or `nets.generator`
    #[arg(long, value_name = "KEY")]
    pub(crate) part: Option<String>,

    /// Parameters (a pattern of our names, such as `fc.*`) that stay as they are, whatever the checkpoint has for them
    #[arg(long, value_name = "PATTERN")]
    pub(crate) ignore: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Forward {
    #[command(flatten)]
    pub(crate) design: Design,

    /// The weights: a checkpoint in any known format and layout [default: random ones]
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) reading: Reading,

    /// Safetensors file with the inputs under their names, such as `images` or `tokens`
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,

    /// Safetensors file to write the outputs to, such as `logits`
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Also write what every block puts out
    #[arg(long)]
    pub(crate) intermediates: bool,

    /// In what precision linear layers compute, and with bf16 convolutions
    #[arg(long, value_enum, default_value_t = WeightPrecision::F32)]
    pub(crate) precision: WeightPrecision,

    /// Seed of random weights
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Common")]
    pub(crate) seed: u64,

    #[command(flatten)]
    pub(crate) compute: Compute,
}

#[derive(Args, Debug)]
pub(crate) struct Convert {
    /// The checkpoint to read, in any known format and layout
    #[arg(value_name = "IN")]
    pub(crate) input: PathBuf,

    /// The safetensors file to write; with --shard-size, the folder
    #[arg(value_name = "OUT")]
    pub(crate) output: PathBuf,

    /// The layout to write: `native`, or one that `libellus model list` names for the model
    #[arg(long, value_name = "LAYOUT")]
    pub(crate) to: String,

    /// Write several files of at most this size, such as 500MB or 5GB, with an index
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) shard_size: Option<u64>,

    #[command(flatten)]
    pub(crate) design: Design,

    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Device {
    /// What this build and this machine can use, and which is the default
    #[command(after_help = "Example:\n  libellus device list")]
    List,
}

/// A number of bytes, with `kB`, `MB` or `GB` behind it or without.
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err("a size is a whole number with kB, MB or GB behind it, such as 500MB".to_owned()),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    bytes.filter(|&bytes| bytes > 0).ok_or_else(|| format!("`{text}` is no size that a file can have"))
}
