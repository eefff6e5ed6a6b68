//! The optimisers by name.

use std::str::FromStr;

use burn::optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use crate::adam::{Adam, AdamConfig, AdamWConfig, Coupling};
use crate::decay::{DecayPolicy, WeightDecay};
use crate::error::OptimError;
use crate::lion::{Lion, LionConfig};
use crate::rmsprop::{RmsProp, RmsPropConfig};
use crate::sgd::{Sgd, SgdConfig};

/// An optimiser with its constants. In a file, `name` tells which, and a constant left out has its default:
///
/// ```
/// use libellus_optim::{OptimizerConfig, SgdConfig};
///
/// let config: OptimizerConfig = serde_json::from_str(r#"{ "name": "sgd", "momentum": 0.9 }"#)?;
/// assert_eq!(config, OptimizerConfig::Sgd(SgdConfig { momentum: 0.9, ..SgdConfig::default() }));
/// assert!(serde_json::from_str::<OptimizerConfig>(r#"{ "name": "sgd", "beta": 0.9 }"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// [`FromStr`] gives the optimiser of a name with its default constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum OptimizerConfig {
    /// Stochastic gradient descent, `sgd`.
    Sgd(SgdConfig),
    /// Adam, `adam`.
    Adam(AdamConfig),
    /// Adam with decoupled weight decay, `adamw`.
    AdamW(AdamWConfig),
    /// RMSprop, `rmsprop`.
    RmsProp(RmsPropConfig),
    /// Lion, `lion`.
    Lion(LionConfig),
}

impl OptimizerConfig {
    /// The names that [`FromStr`] knows.
    pub const NAMES: [&str; 5] = ["sgd", "adam", "adamw", "rmsprop", "lion"];

    /// The name in files and on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd(_) => "sgd",
            Self::Adam(_) => "adam",
            Self::AdamW(_) => "adamw",
            Self::RmsProp(_) => "rmsprop",
            Self::Lion(_) => "lion",
        }
    }

    /// The learning rate that PyTorch takes when none is given; for Lion, a tenth of AdamW's, as its paper advises.
    pub fn default_lr(&self) -> f64 {
        match self {
            Self::Sgd(_) | Self::Adam(_) | Self::AdamW(_) => 1e-3,
            Self::RmsProp(_) => 1e-2,
            Self::Lion(_) => 1e-4,
        }
    }

    /// The weight decay `λ`.
    pub fn weight_decay(&self) -> f64 {
        match self {
            Self::Sgd(config) => config.weight_decay,
            Self::Adam(config) => config.weight_decay,
            Self::AdamW(config) => config.weight_decay,
            Self::RmsProp(config) => config.weight_decay,
            Self::Lion(config) => config.weight_decay,
        }
    }

    /// Checks the range of every constant.
    ///
    /// # Errors
    /// The first one that lies outside.
    pub fn validate(&self) -> Result<(), OptimError> {
        match self {
            Self::Sgd(config) => config.validate(),
            Self::Adam(config) => config.validate(),
            Self::AdamW(config) => config.validate(),
            Self::RmsProp(config) => config.validate(),
            Self::Lion(config) => config.validate(),
        }
    }

    /// The optimiser of a module, with weight decay on the parameters that `policy` says.
    ///
    /// # Errors
    /// As [`validate`](OptimizerConfig::validate).
    pub fn init(&self, policy: DecayPolicy) -> Result<ModuleOptimizer, OptimError> {
        self.validate()?;
        let decay = WeightDecay { rate: self.weight_decay(), policy };
        Ok(match self.clone() {
            Self::Sgd(config) => Sgd { config, decay }.into(),
            Self::Adam(AdamConfig { betas, eps, amsgrad, .. }) => {
                Adam { betas, eps, amsgrad, decay, coupling: Coupling::Coupled }.into()
            }
            Self::AdamW(AdamWConfig { betas, eps, amsgrad, .. }) => {
                Adam { betas, eps, amsgrad, decay, coupling: Coupling::Decoupled }.into()
            }
            Self::RmsProp(config) => RmsProp { config, decay }.into(),
            Self::Lion(config) => Lion { config, decay }.into(),
        })
    }
}

impl FromStr for OptimizerConfig {
    type Err = OptimError;

    fn from_str(name: &str) -> Result<Self, OptimError> {
        match name {
            "sgd" => Ok(Self::Sgd(SgdConfig::default())),
            "adam" => Ok(Self::Adam(AdamConfig::default())),
            "adamw" => Ok(Self::AdamW(AdamWConfig::default())),
            "rmsprop" => Ok(Self::RmsProp(RmsPropConfig::default())),
            "lion" => Ok(Self::Lion(LionConfig::default())),
            _ => Err(OptimError::UnknownOptimizer { name: name.to_owned() }),
        }
    }
}
