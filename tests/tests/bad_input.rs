//! Each bad input gives one line that names it, exit code 1 or 2, and nothing already saved is lost.

use libellus_tests::Bench;

const QUICK: &str = "classify train --quiet --model mlp --steps 3 --batch-size 4";

/// A PNG that says it is 60,000 x 60,000.
fn header_bomb() -> Vec<u8> {
    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let mut crc = u32::MAX;
        for byte in kind.iter().chain(data) {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            }
        }
        let length = (data.len() as u32).to_be_bytes();
        [&length, kind.as_slice(), data, &(!crc).to_be_bytes()].concat()
    }
    let side = 60_000_u32.to_be_bytes();
    let header = [&side, side.as_slice(), &[8, 2, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".as_slice(),
        &chunk(b"IHDR", &header),
        &chunk(b"IDAT", &[0; 64]),
        &chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn images_that_are_none() {
    let bench = Bench::new();
    let images = bench.left_and_right("images", 12);
    bench.succeed(&format!("{QUICK} --data images --out run"));
    let whole = std::fs::read(images.join("left/0.png")).unwrap();
    for (name, bytes) in [
        ("cut.png", whole[..whole.len() / 2].to_vec()),
        ("empty.png", Vec::new()),
        ("text.png", b"this is no image".to_vec()),
        ("bomb.png", header_bomb()),
    ] {
        bench.write(name, &bytes);
        bench.fail(&format!("classify predict --run run {name}"), 1, &[name]);
        // The same in a training set, met in the middle of an epoch.
        let path = bench.write(&format!("images/left/x{name}"), &bytes);
        bench.fail(
            &format!("{QUICK} --epochs 1 --data images --out bad-{name}").replace("--steps 3 ", ""),
            1,
            &[name],
        );
        std::fs::remove_file(path).unwrap();
    }
    bench.fail("classify predict --run run missing.png", 1, &["missing.png"]);
}

#[test]
fn data_sets_that_are_none() {
    let bench = Bench::new();
    bench.left_and_right("images", 12);
    std::fs::create_dir(bench.path().join("images/middle")).unwrap();
    bench.fail(&format!("{QUICK} --data images"), 1, &["images/middle", "no image"]);
    std::fs::create_dir_all(bench.path().join("nothing/here")).unwrap();
    bench.fail(&format!("{QUICK} --data ./nothing"), 1, &["nothing"]);
    bench.fail(&format!("{QUICK} --data ./absent/folder"), 2, &["./absent/folder"]);
    bench.fail(&format!("{QUICK} --data minst"), 2, &["minst", "mnist"]);
    bench.fail(&format!("{QUICK} --data mnist --data-dir absent"), 1, &["absent", "mnist"]);
    std::fs::create_dir(bench.path().join("data")).unwrap();
    bench.fail(&format!("{QUICK} --data mnist --data-dir data"), 1, &["libellus data fetch mnist"]);

    // A validation part with a class of its own, and one beside which a share is asked for.
    for part in ["train", "test", "val"] {
        bench.left_and_right(&format!("parts/{part}"), 6);
    }
    bench.fail(&format!("{QUICK} --data parts --validation 0.2"), 2, &["--validation 0.2", "12", "parts"]);
    bench.left_and_right("parts/val/top", 1);
    bench.fail(&format!("{QUICK} --data parts"), 1, &["parts/val/top", "parts/train"]);

    // An IDX set whose labels go beyond its ten classes.
    let images = |count: u8| {
        [&[0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 2, 0, 0, 0, 2], vec![7; 4 * usize::from(count)].as_slice()]
            .concat()
    };
    let labels = |labels: &[u8]| [&[0, 0, 8, 1, 0, 0, 0, labels.len() as u8], labels].concat();
    for part in ["train", "t10k"] {
        bench.write(&format!("data/mnist/{part}-images-idx3-ubyte"), &images(4));
        bench.write(&format!("data/mnist/{part}-labels-idx1-ubyte"), &labels(&[0, 1, 2, 200]));
    }
    bench.fail(&format!("{QUICK} --data mnist --data-dir data"), 1, &["labels-idx1-ubyte", "200"]);
}

#[test]
fn checkpoints_that_do_not_fit() {
    let bench = Bench::new();
    bench.left_and_right("images", 12);
    bench.succeed(&format!("{QUICK} --data images --out run"));
    let model = std::fs::read(bench.path().join("run/model.safetensors")).unwrap();
    bench.write("empty.safetensors", &[]);
    bench.write("cut.safetensors", &model[..model.len() / 2]);
    for file in ["empty.safetensors", "cut.safetensors"] {
        bench.fail(&format!("classify predict --run {file} images"), 1, &[file]);
        bench.fail(&format!("{QUICK} --data images --weights {file} --out other"), 1, &[file]);
    }
    // Another architecture: what is missing and what is left over is named.
    let lenet = "classify train --quiet --model lenet5 --steps 3 --data images --weights run/model.safetensors --out other";
    bench.fail(lenet, 1, &["run/model.safetensors", "missing", "unexpected", "conv1.weight"]);
    // Another number of classes is measured on other data.
    bench.fail("classify eval --run run --data digits", 1, &["run/model.safetensors", "2 classes", "digits"]);
    bench.fail("classify predict --run images images", 1, &["images"]);
}

#[test]
fn options_that_make_no_sense() {
    let bench = Bench::new();
    for (config, says) in [
        ("learning_rate = 0.1", "learning_rate"),
        ("batch_size = -3", "-3"),
        ("image_size = -1", "-1"),
        ("model = \"resnet19\"", "resnet19"),
        ("epochs = \"many\"", "epochs"),
        ("betas = [0.9]", "betas"),
        ("lr = 0.1\nlr = 0.2", "line 2"),
        ("epochs = 0", "0"),
        ("accumulate = 0", "accumulate"),
        ("validation = 1.5", "1.5"),
        ("image_size = 0", "0"),
        ("ema = 2.0", "2"),
        ("mixup = -1.0", "-1"),
        ("label_smoothing = 1.5", "1.5"),
        ("device = \"abacus\"", "abacus"),
        ("patience = 3\nkeep = \"last\"", "--patience"),
        ("keep = \"best\"\nvalidation = 0.0", "--keep best"),
        ("gamma = 0.5", "--gamma"),
        ("pct_start = 0.5", "--pct-start"),
        ("div_factor = 5", "--div-factor"),
        ("final_div_factor = 5", "--final-div-factor"),
        ("schedule = \"onecycle\"\npct_start = 1.5", "pct_start"),
        ("schedule = \"onecycle\"\nfinal_div_factor = 0.0", "final_div_factor"),
        ("rand_augment_magnitude = 5", "--rand-augment-magnitude"),
        ("rand_augment = 2\nrand_augment_magnitude = 31", "31"),
        ("dropout = 0.5", "--dropout 0.5: resnet8_digits has nothing to drop in this way, unlike MLP"),
        ("model = \"mlp\"\ndropout = 1.0", "`dropout` must be at least 0 and less than 1, not 1"),
        (
            "model = \"lenet5\"\ndrop_path = 0.1",
            "--drop-path 0.1: lenet5 has nothing to drop in this way, unlike CIFAR ResNet, ResNet",
        ),
        ("drop_path = -0.1", "`drop_path` must be at least 0"),
        ("patience = 3\nvalidation = 0.0", "--patience"),
    ] {
        bench.write("my.toml", config.as_bytes());
        bench.fail("classify train --quiet --config my.toml", 2, &[says]);
    }
    bench.fail("classify train --config absent.toml", 1, &["absent.toml"]);
    // Words that the command line itself refuses.
    for arguments in [
        "classify train --epochs -1",
        "classify train --batch-size 0",
        "classify train --epochs 1 --steps 1",
        "classify paint",
    ] {
        let ran = bench.run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments}: {}", ran.stderr);
    }
    assert!(!bench.path().join("runs").exists(), "nothing that failed has left a run behind");
}

#[test]
fn a_backend_that_is_not_there_says_how_to_get_it() {
    let bench = Bench::new();
    bench.fail("classify train --device cuda", 2, &["cuda", "--features cuda"]);
    bench.fail("classify train --tui", 2, &["--tui", "--features tui"]);
    let listed = bench.succeed("device list");
    assert!(
        listed.contains("flex") && listed.contains("default") && listed.contains("--features cuda"),
        "{listed}"
    );
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_what_was_saved() {
    let bench = Bench::new();
    bench.left_and_right("images", 12);
    bench.succeed(&format!("{QUICK} --data images --out good"));
    let says = ["not finite", "step", "gradient norm", "learning rate 1e9"];
    bench.fail(
        "classify train --quiet --model mlp --optimizer sgd --schedule constant --lr 1e9 --steps 50 --data images --out bad",
        1,
        &says,
    );
    assert!(bench.path().join("good/model.safetensors").is_file());
    assert!(!bench.path().join("bad/report.json").exists());
}

#[test]
fn a_folder_in_use_is_not_written_over() {
    let bench = Bench::new();
    bench.left_and_right("images", 12);
    bench.succeed(&format!("{QUICK} --data images --out run"));
    let before = std::fs::read(bench.path().join("run/report.json")).unwrap();
    bench.fail(&format!("{QUICK} --data images --out run"), 2, &["run", "--resume run"]);
    bench.fail("classify train --quiet --resume images", 2, &["images", "config.toml"]);
    bench.fail("classify train --quiet --resume run --lr 0.5", 2, &["lr", "0.5"]);
    assert_eq!(before, std::fs::read(bench.path().join("run/report.json")).unwrap());
}

#[cfg(unix)]
#[test]
fn no_permission() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let images = bench.left_and_right("images", 12);
    let locked = bench.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    let allow = |path: &std::path::Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(&locked, 0o500);
    if std::fs::write(locked.join("probe"), "").is_ok() {
        // The superuser may do anything: what is left to try is a path through a file.
        bench.fail(&format!("{QUICK} --data images --out images/left/0.png/run"), 1, &["0.png"]);
    } else {
        bench.fail(&format!("{QUICK} --data images --out locked/run"), 1, &["locked/run"]);
        allow(&images.join("left/3.png"), 0o000);
        bench.fail(
            &format!("{QUICK} --data images --epochs 1 --out run").replace("--steps 3 ", ""),
            1,
            &["3.png"],
        );
    }
    allow(&locked, 0o700);
}
