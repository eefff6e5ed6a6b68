//! The list of architectures: one line for each.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use libellus_weights::Layout;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config_file::parse;
use crate::{
    Architecture, Bert, BertConfig, CifarResNet, CifarResNetConfig, ConfigError, Gpt2, Gpt2Config,
    ImageArchitecture, InputError, LeNet5, LeNet5Config, Llama, LlamaConfig, Mlp, MlpConfig, Preset, ResNet,
    ResNetConfig, Rnn, RnnConfig, Tensors, Transformer, TransformerConfig, Vit, VitConfig,
};

classifiers! {
    /// A multilayer perceptron.
    "mlp" => Mlp(MlpConfig),
    /// LeNet-5.
    "lenet5" => LeNet5(LeNet5Config),
    /// A residual network for small images.
    "cifar_resnet" => CifarResNet(CifarResNetConfig),
    /// A residual network for large images.
    "resnet" => ResNet(ResNetConfig),
    /// A Vision Transformer.
    "vit" => Vit(VitConfig),
}

models! {
    /// A GPT-2.
    "gpt2" => Gpt2(Gpt2Config),
    /// A Llama.
    "llama" => Llama(LlamaConfig),
    /// A recurrent network.
    "rnn" => Rnn(RnnConfig),
    /// An encoder of text.
    "bert" => Bert(BertConfig),
    /// An encoder and a decoder of sequences.
    "transformer" => Transformer(TransformerConfig),
}
