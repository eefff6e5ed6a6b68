//! Low-rank adaptation of a trained model: what to adapt, and adapters as files.
//!
//! Reference: PEFT. An adapter is a folder with `adapter_config.json` and `adapter_model.safetensors`, which PEFT reads and writes
//! as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use libellus_inspect::write_tensors;
use libellus_layers::{Linear, Lora, LoraConfig};
use libellus_models::{LanguageModel, Tensors};
use libellus_train::OptionsError;
use libellus_weights::{Checkpoint, write_atomic};
use serde::{Deserialize, Serialize};

use crate::error::TextError;

/// The files of an adapter.
const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// The target that stands for all layers, as in PEFT.
const ALL: &str = "all-linear";
/// What PEFT puts before the names of the model.
const PREFIX: &str = "base_model.model.";

/// What is adapted, and how much. On the command line: `r=8,alpha=16,targets=q_proj+v_proj,dropout=0.05,rslora`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LoraOptions {
    /// The rank `r` of a change. Default 8.
    pub rank: usize,
    /// What scales it, `α`: the change is multiplied by `α / r`. Default 16.
    pub alpha: f64,
    /// Probability of an input being dropped in training. Default 0.
    pub dropout: f64,
    /// The change is multiplied by `α / sqrt(r)` instead, so that large ranks learn as fast (rank-stabilised).
    pub rank_stabilized: bool,
    /// Last parts of the names of the layers to adapt, or `all-linear`; the default is PEFT's: `c_attn` of GPT-2, `q_proj` and
    /// `v_proj` of Llama.
    pub targets: Vec<String>,
}

impl Default for LoraOptions {
    fn default() -> Self {
        Self { rank: 8, alpha: 16.0, dropout: 0.0, rank_stabilized: false, targets: Vec::new() }
    }
}

impl LoraOptions {
    /// What a change is multiplied by.
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rank_stabilized { rank.sqrt() } else { rank }
    }
}

impl FromStr for LoraOptions {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Self, OptionsError> {
        let wrong = |value: &str, reason: &str| OptionsError::option("lora", value, reason);
        let mut options = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let number = |reason| value.parse::<f64>().map_err(|_| wrong(part, reason));
            match key {
                "r" => {
                    let rank = value.parse().ok().filter(|&rank: &usize| rank > 0);
                    options.rank = rank.ok_or_else(|| wrong(part, "the rank is a whole number above 0"))?;
                }
                "alpha" => options.alpha = number("alpha is a number")?,
                "dropout" => {
                    options.dropout = number("dropout is a number")?;
                    if !(0.0..1.0).contains(&options.dropout) {
                        return Err(wrong(part, "dropout must be at least 0 and below 1"));
                    }
                }
                "targets" => options.targets = value.split('+').map(str::to_owned).collect(),
                "rslora" if value.is_empty() => options.rank_stabilized = true,
                _ => {
                    return Err(wrong(
                        part,
                        "the keys are r, alpha, dropout, targets (joined by +) and rslora",
                    ));
                }
            }
        }
        Ok(options)
    }
}

impl std::fmt::Display for LoraOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "r={},alpha={},dropout={}", self.rank, self.alpha, self.dropout)?;
        if !self.targets.is_empty() {
            write!(f, ",targets={}", self.targets.join("+"))?;
        }
        if self.rank_stabilized { f.write_str(",rslora") } else { Ok(()) }
    }
}

impl TryFrom<String> for LoraOptions {
    type Error = OptionsError;

    fn try_from(text: String) -> Result<Self, OptionsError> {
        text.parse()
    }
}

impl From<LoraOptions> for String {
    fn from(options: LoraOptions) -> Self {
        options.to_string()
    }
}

/// The model with changes that are nothing yet in all layers that `options` name.
///
/// # Errors
/// When a target names no layer.
pub fn add_lora(
    mut model: LanguageModel,
    options: &LoraOptions,
    device: &Device,
) -> Result<LanguageModel, TextError> {
    let config = LoraConfig { rank: options.rank, scale: options.scale(), dropout: options.dropout };
    let targets = targets_in(&mut model, options);
    let mut linears = model.linears_mut();
    if linears.is_empty() {
        let reason = "a recurrent model has no layers that can be adapted";
        return Err(OptionsError::option("lora", "", reason).into());
    }
    for target in &targets {
        if !linears.iter().any(|(name, _)| is_target(name, target)) {
            let known = last_parts(&linears);
            let reason =
                format!("it matches no layer of this model; there are {} and {ALL}", known.join(", "));
            return Err(OptionsError::option("lora", format!("targets={target}"), reason).into());
        }
    }
    for (name, linear) in &mut linears {
        if targets.iter().any(|target| is_target(name, target)) {
            **linear = linear.clone().with_lora(&config, device);
        }
    }
    Ok(model)
}

/// The model with its changes in its weights.
pub fn merge_lora(mut model: LanguageModel) -> LanguageModel {
    for (_, linear) in model.linears_mut() {
        *linear = linear.clone().merge_lora();
    }
    model
}

/// The changes of all layers that have one, in order.
pub(crate) fn changes(model: &LanguageModel) -> Vec<Lora> {
    model.clone().linears_mut().into_iter().filter_map(|(_, linear)| linear.lora.clone()).collect()
}

/// Puts [`changes`] back where they came from.
pub(crate) fn put_changes(model: &mut LanguageModel, changes: Vec<Lora>) {
    let mut changes = changes.into_iter();
    for (_, linear) in model.linears_mut() {
        if linear.lora.is_some() {
            linear.lora = changes.next();
        }
    }
}

/// Where a run's adapter is.
pub(crate) fn adapter_in(run: &Path) -> PathBuf {
    run.join("adapter")
}

/// The layers that are meant, by the last parts of their names.
fn targets_in(model: &mut LanguageModel, options: &LoraOptions) -> Vec<String> {
    let targets: &[&str] = match model {
        _ if options.targets == [ALL] => return last_parts(&model.linears_mut()),
        _ if !options.targets.is_empty() => return options.targets.clone(),
        LanguageModel::Gpt2(_) => &["c_attn"],
        _ => &["q_proj", "v_proj"],
    };
    targets.iter().map(|&target| target.to_owned()).collect()
}

/// What layers have for names in a block, each once.
fn last_parts(linears: &[(String, &mut Linear)]) -> Vec<String> {
    let mut names: Vec<String> =
        linears.iter().filter_map(|(name, _)| name.rsplit('.').next()).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether a name is the target or ends with it, as PEFT reads `target_modules`.
fn is_target(name: &str, target: &str) -> bool {
    name == target || name.strip_suffix(target).is_some_and(|rest| rest.ends_with('.'))
}

/// PEFT's description of an adapter, as far as it matters here.
#[derive(Debug, Serialize, Deserialize)]
struct AdapterConfig {
    peft_type: String,
    #[serde(default)]
    task_type: Option<String>,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    target_modules: Vec<String>,
    /// Whether the base model keeps these weights transposed, as GPT-2 does.
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    inference_mode: bool,
    /// Layers with another `α` than the rest.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    alpha_pattern: serde_json::Map<String, serde_json::Value>,
}

/// Writes the changes of a model as an adapter; `base` says of what.
///
/// # Errors
/// When the folder can't be written.
pub fn save_adapter(
    model: &LanguageModel,
    options: &LoraOptions,
    base: &str,
    folder: &Path,
) -> Result<(), TextError> {
    let io = |path: PathBuf| move |source| TextError::Io { action: "write", path, source };
    fs::create_dir_all(folder).map_err(io(folder.to_path_buf()))?;
    let mut model = model.clone();
    let targets = targets_in(&mut model, options);
    let mut tensors = Tensors::new();
    for (name, linear) in model.linears_mut() {
        if let Some(lora) = &linear.lora {
            tensors = tensors
                .with(&format!("{PREFIX}{name}.lora_A.weight"), lora.a.val().transpose())
                .with(&format!("{PREFIX}{name}.lora_B.weight"), lora.b.val().transpose());
        }
    }
    write_tensors(&folder.join(WEIGHTS), &tensors)?;
    let config = AdapterConfig {
        peft_type: "LORA".to_owned(),
        task_type: Some("CAUSAL_LM".to_owned()),
        base_model_name_or_path: Some(base.to_owned()),
        r: options.rank,
        lora_alpha: options.alpha,
        lora_dropout: options.dropout,
        use_rslora: options.rank_stabilized,
        target_modules: targets,
        fan_in_fan_out: matches!(model, LanguageModel::Gpt2(_)),
        bias: Some("none".to_owned()),
        inference_mode: true,
        alpha_pattern: serde_json::Map::new(),
    };
    let path = folder.join(CONFIG);
    let text = serde_json::to_vec_pretty(&config).expect("a description is strings and numbers");
    write_atomic(&path, |file| file.write_all(&text)).map_err(io(path.clone()))
}

/// The model with the changes of an adapter.
///
/// # Errors
/// When a file is missing or damaged, or the adapter is for another model: a layer that isn't there, or of another size.
pub fn load_adapter(
    mut model: LanguageModel,
    folder: &Path,
    device: &Device,
) -> Result<(LanguageModel, LoraOptions), TextError> {
    let path = folder.join(CONFIG);
    let text = fs::read_to_string(&path).map_err(|source| TextError::Io {
        action: "read",
        path: path.clone(),
        source,
    })?;
    let wrong = |path: &Path, reason: String| TextError::Adapter { path: path.to_path_buf(), reason };
    let config: AdapterConfig =
        serde_json::from_str(&text).map_err(|error| wrong(&path, error.to_string()))?;
    if config.peft_type != "LORA" {
        return Err(wrong(&path, format!("it is of type {}, only LORA is known", config.peft_type)));
    }
    let reason = match &config {
        config if config.r == 0 => "the rank `r` must be at least 1",
        config if !config.lora_alpha.is_finite() => "`lora_alpha` must be finite",
        config if !(0.0..1.0).contains(&config.lora_dropout) => {
            "`lora_dropout` must be at least 0 and below 1"
        }
        config if !config.alpha_pattern.is_empty() => {
            "`alpha_pattern`, an alpha for each layer, is not known here"
        }
        _ => "",
    };
    if !reason.is_empty() {
        return Err(wrong(&path, reason.to_owned()));
    }
    let options = LoraOptions {
        rank: config.r,
        alpha: config.lora_alpha,
        dropout: config.lora_dropout,
        rank_stabilized: config.use_rslora,
        targets: config.target_modules,
    };
    let path = folder.join(WEIGHTS);
    let checkpoint = Checkpoint::open(&path)?;
    let mut used = 0;
    for (name, linear) in model.linears_mut() {
        let names = ["A", "B"].map(|part| format!("{PREFIX}{name}.lora_{part}.weight"));
        let [Some(a), Some(b)] = names.each_ref().map(|name| checkpoint.info(name)) else { continue };
        let [d_input, d_output] = linear.weight.lazy_shape().dims();
        let shapes = [a.shape.to_vec(), b.shape.to_vec()];
        let expected = [vec![options.rank, d_input], vec![d_output, options.rank]];
        if shapes != expected {
            let reason = format!(
                "`{}` has shapes {:?} and {:?}, this model needs {:?} and {:?}: it was made for another one",
                names[0], shapes[0], shapes[1], expected[0], expected[1]
            );
            return Err(wrong(&path, reason));
        }
        let read = |name: &str| -> Result<Tensor<2>, TextError> {
            Ok(Tensor::<2>::from_data(checkpoint.tensor(name)?, device).transpose())
        };
        let lora = LoraConfig { rank: options.rank, scale: options.scale(), dropout: options.dropout };
        let mut adapted = linear.clone().with_lora(&lora, device);
        let change = adapted.lora.as_mut().expect("it was just added");
        change.a = Param::from_tensor(read(&names[0])?);
        change.b = Param::from_tensor(read(&names[1])?);
        *linear = adapted;
        used += 2;
    }
    let unused = checkpoint.names().count() - used;
    if used == 0 || unused > 0 {
        let example = checkpoint.names().next().unwrap_or_default().to_owned();
        let reason = format!("{unused} of its tensors fit no layer of this model, such as `{example}`");
        return Err(wrong(&path, reason));
    }
    Ok((model, options))
}
