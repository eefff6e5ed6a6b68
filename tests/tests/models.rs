//! `libellus model` as a person uses it.

use libellus_tests::Bench;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// A safetensors file with one tensor.
fn tensor_file(bench: &Bench, file: &str, name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) {
    let view = TensorView::new(dtype, shape.to_vec(), bytes).expect("sizes that fit");
    bench.write(file, &safetensors::serialize([(name, view)], None).expect("a valid tensor"));
}

fn images(bench: &Bench, file: &str, shape: [usize; 4]) {
    let count: usize = shape.iter().product();
    let values: Vec<u8> = (0..count).flat_map(|index| ((index % 17) as f32 / 17.0).to_le_bytes()).collect();
    tensor_file(bench, file, "images", Dtype::F32, &shape, &values);
}

fn names(bench: &Bench, file: &str) -> Vec<String> {
    let bytes = std::fs::read(bench.path().join(file)).expect("a file");
    let mut names: Vec<String> = SafeTensors::deserialize(&bytes)
        .expect("safetensors")
        .names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

fn read(bench: &Bench, file: &str) -> Vec<u8> {
    std::fs::read(bench.path().join(file)).expect("a file")
}

#[test]
fn a_model_is_listed_and_shown() {
    let bench = Bench::new();
    let list = bench.succeed("model list resnet18");
    assert!(list.contains("resnet18") && list.contains("1.81 G") && list.contains("torchvision"), "{list}");
    let list: serde_json::Value = serde_json::from_str(&bench.succeed("model list ViT --json")).unwrap();
    let vit = list.as_array().unwrap().iter().find(|model| model["name"] == "vit_base_patch16_224").unwrap();
    assert_eq!(vit["parameters"], 86_567_656);
    assert_eq!(vit["aliases"][0], "vit_b_16");

    let shown = bench.succeed("model show vit_b_16 --depth 1");
    assert!(shown.contains("patch_embed") && shown.contains("out: "), "{shown}");
    let shown: serde_json::Value = serde_json::from_str(&bench.succeed("model show lenet5 --json")).unwrap();
    assert_eq!(shown["parameters"], 61_706);
    assert_eq!(shown["modules"][0]["path"], "conv1");
    bench.fail("model show resnet19", 1 + 1, &["resnet19", "did you mean resnet18"]);
}

/// Half a step of 1/127 of the largest of 64 numbers, or of 1/128 of each, in the one linear layer: some logits move, none by a
/// twentieth of the largest.
#[test]
fn rounded_linear_layers_give_nearly_the_same() {
    let bench = Bench::new();
    images(&bench, "in.safetensors", [3, 1, 8, 8]);
    let logits = |precision: &str| -> Vec<f32> {
        let file = format!("{precision}.safetensors");
        let run = "model forward --arch resnet8_digits --input in.safetensors";
        bench.succeed(&format!("{run} --precision {precision} --output {file}"));
        let bytes = read(&bench, &file);
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let logits = file.tensor("logits").expect("logits").data().as_chunks().0;
        logits.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let exact = logits("f32");
    let largest = exact.iter().fold(0.0_f32, |largest, logit| largest.max(logit.abs()));
    for precision in ["bf16", "q8"] {
        let rounded = logits(precision);
        assert_ne!(exact, rounded);
        assert!(exact.iter().zip(&rounded).all(|(exact, rounded)| (exact - rounded).abs() < 0.05 * largest));
    }
    bench.fail("model forward --precision q4", 2, &["q4", "--precision"]);
}

#[test]
fn a_model_runs_on_given_tensors() {
    let bench = Bench::new();
    images(&bench, "in.safetensors", [3, 1, 8, 8]);
    let run = "model forward --arch resnet8_digits --input in.safetensors";
    bench.succeed(&format!("{run} --output out.safetensors"));
    assert_eq!(names(&bench, "out.safetensors"), ["features", "logits"]);
    bench.succeed(&format!("{run} --output again.safetensors"));
    assert_eq!(read(&bench, "out.safetensors"), read(&bench, "again.safetensors"));
    bench.succeed(&format!("{run} --output other.safetensors --seed 1"));
    assert_ne!(read(&bench, "out.safetensors"), read(&bench, "other.safetensors"));
    bench.succeed(&format!("{run} --output deep.safetensors --intermediates"));
    assert_eq!(names(&bench, "deep.safetensors"), ["features", "layer1.0", "layer2.0", "layer3.0", "logits"]);
}

#[test]
fn a_trained_model_goes_to_pytorch_and_back() {
    let bench = Bench::new();
    bench.succeed("classify train --quiet --model resnet8_digits --steps 2 --out run");
    let ours = "run/model.safetensors";
    bench.succeed(&format!("model convert {ours} torch.safetensors --to pytorch_resnet_cifar10"));
    assert!(names(&bench, "torch.safetensors").contains(&"layer1.0.bn1.running_mean".to_owned()));
    assert!(names(&bench, "torch.safetensors").contains(&"linear.weight".to_owned()));
    let printed = bench.succeed("model convert torch.safetensors native.safetensors --to native");
    assert!(printed.contains("pytorch_resnet_cifar10 to native"), "{printed}");

    bench.succeed(&format!("model convert {ours} shards --to native --shard-size 100kB"));
    assert!(bench.path().join("shards/model.safetensors.index.json").exists());
    bench.fail(&format!("model convert {ours} out --to native --shard-size 5XB"), 2, &["5XB"]);

    images(&bench, "in.safetensors", [2, 1, 8, 8]);
    for weights in [ours, "torch.safetensors", "native.safetensors", "shards"] {
        bench.succeed(&format!(
            "model forward --weights {weights} --input in.safetensors --output {weights}.out"
        ));
    }
    assert_eq!(read(&bench, &format!("{ours}.out")), read(&bench, "torch.safetensors.out"));
    assert_eq!(read(&bench, &format!("{ours}.out")), read(&bench, "native.safetensors.out"));
    assert_eq!(read(&bench, &format!("{ours}.out")), read(&bench, "shards.out"));
}

#[test]
fn a_hugging_face_configuration_is_taken_as_it_is() {
    let bench = Bench::new();
    bench.write(
        "config.json",
        br#"{"model_type": "gpt2", "vocab_size": 31, "n_positions": 13, "n_ctx": 13, "n_embd": 12, "n_layer": 2,
            "n_head": 3, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "resid_pdrop": 0.1,
            "embd_pdrop": 0.1, "attn_pdrop": 0.1, "architectures": ["GPT2LMHeadModel"], "transformers_version": "4.0"}"#,
    );
    let tokens: Vec<u8> = [1_i64, 30, 7].iter().flat_map(|token| token.to_le_bytes()).collect();
    tensor_file(&bench, "in.safetensors", "tokens", Dtype::I64, &[1, 3], &tokens);
    let shown: serde_json::Value = serde_json::from_str(&bench.succeed(
        "model forward --config config.json --input in.safetensors --output out.safetensors --json",
    ))
    .unwrap();
    assert_eq!(shown["tensors"]["logits"], serde_json::json!([1, 3, 31]));
}

#[test]
fn one_of_several_state_dictionaries_is_chosen() {
    let bench = Bench::new();
    // The state dictionaries of two networks, `generator` and `nets.discriminator`, which are no model of ours.
    bench.write("gan.pt", include_bytes!("../../crates/weights/tests/golden/formats_gan.pt"));
    let convert = "model convert gan.pt out.safetensors --to native --arch mlp";
    bench.fail(convert, 1, &["gan.pt", "nets.discriminator", "--part"]);
    bench.fail(
        &format!("{convert} --part nets.critic"),
        1,
        &["gan.pt", "`nets.critic`", "nets.discriminator"],
    );
    bench.fail(
        &format!("{convert} --part nets.discriminator"),
        1,
        &["gan.pt", "fits none of the known layouts"],
    );
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let bench = Bench::new();
    images(&bench, "in.safetensors", [3, 1, 8, 8]);
    images(&bench, "rgb.safetensors", [3, 3, 8, 8]);
    bench.write("text.safetensors", b"this is no checkpoint");
    bench.write("wrong.json", br#"{"architecture": "resnet", "num_classes": -1}"#);
    images(&bench, "none.safetensors", [0, 1, 8, 8]);
    bench.write(
        "huge.json",
        br#"{"architecture": "gpt2", "vocab_size": 1048576, "context": 8, "n_layers": 1, "n_heads": 1, "d_model": 32768,
            "d_ff": 8, "bias": true, "epsilon": 1e-5}"#,
    );
    bench.write(
        "large.json",
        br#"{"architecture": "mlp", "num_classes": 2, "in_channels": 512, "input_size": [16384, 16384], "hidden": [8]}"#,
    );
    bench.write(
        "wide.json",
        br#"{"architecture": "vit", "num_classes": 2, "in_channels": 3, "image_size": [4096, 4096], "patch_size": 16,
            "d_model": 32768, "n_layers": 1, "n_heads": 1, "d_ff": 8, "epsilon": 1e-6}"#,
    );
    bench.write("mamba.json", br#"{"model_type": "mamba"}"#);
    let run = |rest: &str| format!("model forward --output out.safetensors {rest}");
    for (arguments, code, says) in [
        (run("--input in.safetensors"), 2, ["--arch", "--config"]),
        (run("--arch resnet19 --input in.safetensors"), 2, ["resnet19", "resnet18"]),
        (run("--config wrong.json --input in.safetensors"), 2, ["wrong.json", "`num_classes`"]),
        (run("--config mamba.json --input in.safetensors"), 2, ["mamba.json", "mamba"]),
        (run("--arch resnet8_digits --input absent.safetensors"), 1, ["absent.safetensors", "cannot read"]),
        (run("--arch resnet8_digits --input text.safetensors"), 1, ["text.safetensors", "text"]),
        (run("--arch resnet8_digits --input rgb.safetensors"), 1, ["rgb.safetensors", "dimension 1"]),
        (run("--arch resnet8_digits --input none.safetensors"), 1, ["none.safetensors", "dimension 0"]),
        (run("--config huge.json --input in.safetensors"), 2, ["huge.json", "parameters"]),
        ("model show --config large.json".to_owned(), 2, ["large.json", "too large"]),
        ("model show --config wide.json".to_owned(), 2, ["wide.json", "a Conv2d would put out"]),
        (run("--arch gpt2 --input in.safetensors"), 1, ["in.safetensors", "`images`"]),
        (run("--weights in.safetensors --input in.safetensors"), 2, ["in.safetensors", "--arch"]),
        (
            run("--arch resnet8_digits --weights in.safetensors --input in.safetensors"),
            1,
            ["in.safetensors", "fits none of the known layouts"],
        ),
        (
            run("--arch resnet8_digits --weights in.safetensors --layout timm --input in.safetensors"),
            2,
            ["`timm`", "pytorch_resnet_cifar10"],
        ),
        (
            "model convert in.safetensors out.safetensors --to native".to_owned(),
            2,
            ["in.safetensors", "--arch"],
        ),
    ] {
        bench.fail(&arguments, code, &says);
        assert!(!bench.path().join("out.safetensors").exists(), "{arguments}");
    }
}
