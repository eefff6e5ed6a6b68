//! The list of architectures: one line for each.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use libellus_weights::{Checkpoint, Layout};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config_file::parse;
use crate::{
    Architecture, Bert, BertConfig, CifarResNet, CifarResNetConfig, ConfigError, ConvNeXt, ConvNeXtConfig,
    EfficientNet, EfficientNetConfig, Gpt2, Gpt2Config, GruAttention, GruAttentionConfig, ImageArchitecture,
    InputError, LeNet5, LeNet5Config, Llama, LlamaConfig, Mlp, MlpConfig, MobileNetV2, MobileNetV2Config,
    Preset, ResNet, ResNetConfig, Rnn, RnnConfig, RnnLm, RnnLmConfig, Tensors, Transformer,
    TransformerConfig, UNet, UNetConfig, Vgg, VggConfig, Vit, VitConfig,
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
    /// A plain stack of 3x3 convolutions.
    "vgg" => Vgg(VggConfig),
    /// A network of inverted residual blocks.
    "mobilenet_v2" => MobileNetV2(MobileNetV2Config),
    /// A network of inverted residual blocks with squeeze and excitation.
    "efficientnet" => EfficientNet(EfficientNetConfig),
    /// A residual network of large depthwise convolutions.
    "convnext" => ConvNeXt(ConvNeXtConfig),
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
    /// A recurrent language model.
    "rnn_lm" => RnnLm(RnnLmConfig),
    /// A U-Net, for segmentation.
    "unet" => UNet(UNetConfig),
    /// An encoder of text.
    "bert" => Bert(BertConfig),
    /// An encoder and a decoder of sequences.
    "transformer" => Transformer(TransformerConfig),
    /// A recurrent encoder and decoder of sequences, with attention.
    "gru_attention" => GruAttention(GruAttentionConfig),
}
