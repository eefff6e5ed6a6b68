//! Runs that are stopped: politely, by force, and by a full disk. Going on reaches the weights of an unbroken run.

#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use libellus_tests::{Bench, skipped};
use rand::{RngExt, SeedableRng};

/// Long enough to be stopped in the middle, with everything that has a state: momentum, moving average, schedule, mixing.
const RUN: &str = "classify train --data images --model resnet8_digits --image-size 8 --epochs 6 --batch-size 8 \
    --validate-every 7 --checkpoint-every 5 --ema 0.9 --mixup 0.3 --accumulate 2 --threads 1";

fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("model.safetensors")).expect("the run has saved its weights")
}

fn start(bench: &Bench, arguments: &str) -> Child {
    bench.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
}

#[test]
fn twenty_kills_lose_nothing() {
    let bench = Bench::new();
    bench.left_and_right("images", 60);
    killed_and_resumed(&bench, RUN, 20);
}

/// Most of the time goes into the tokenizer, the tokens and checkpoints, so that most kills come there.
#[test]
fn kills_while_tokenising_and_saving_lose_nothing() {
    let bench = Bench::new();
    let line = |n: u32| format!("{n} times {} is {}.\n", n % 97, n * (n % 97));
    bench.write("sums.txt", (0..20_000).map(line).collect::<String>().as_bytes());
    let train = "text train --corpus sums.txt --tokenizer bpe:400 --context 16 --d-model 64 --n-layers 2 --steps 30 \
        --batch-size 2 --dropout 0.1 --validate-every 10 --validation-tokens 64 --sample 0 --checkpoint-every 1 --threads 1";
    killed_and_resumed(&bench, train, 10);
}

/// Runs `train` once to its end, and once with `kills` at random times, after each of which it is resumed: to the same weights.
fn killed_and_resumed(bench: &Bench, train: &str, kills: usize) {
    let started = Instant::now();
    bench.succeed(&format!("{train} --out whole"));
    let whole = started.elapsed();
    let run = bench.path().join("broken");
    // A run that was killed before it had a configuration is begun anew.
    let next = || {
        if run.join("config.toml").exists() {
            return train.split_whitespace().take(2).collect::<Vec<_>>().join(" ") + " --resume broken";
        }
        let _ = std::fs::remove_dir_all(&run);
        format!("{train} --out broken")
    };
    let same = |killed: usize| {
        assert!(weights(&run) == weights(&bench.path().join("whole")), "after {killed} kills");
    };

    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut killed = 0;
    for attempt in 0.. {
        let mut child = start(bench, &next());
        std::thread::sleep(whole.mul_f64(rng.random_range(0.02..0.6)));
        if child.try_wait().expect("it was started").is_none() {
            signal(&child, "KILL");
            killed += 1;
        }
        child.wait().expect("it was started");
        if killed == kills {
            break;
        }
        // So is one that got to its end, until enough were killed.
        if run.join("report.json").exists() {
            same(killed);
            std::fs::remove_dir_all(&run).expect("a folder");
        }
        assert!(attempt < 10 * kills, "too few runs could be killed");
    }
    bench.succeed(&next());
    same(killed);
    let log =
        |run: &str| std::fs::read_to_string(bench.path().join(run).join("metrics.jsonl")).expect("a log");
    assert_eq!(log("broken"), log("whole"), "the log has each row once");
    let left = std::fs::read_dir(&run).expect("a folder").flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().ends_with(".tmp")).collect();
    assert!(left.is_empty(), "half-written files are left: {left:?}");
}

/// Runs `train` once to its end and once with Ctrl-C in between; `meanwhile` is done to the folder of the stopped run.
fn stopped_and_resumed(bench: &Bench, application: &str, train: &str, meanwhile: impl FnOnce(&Path)) {
    bench.succeed(&format!("{train} --out whole"));
    let mut child = start(bench, &format!("{train} --out run"));
    let run = bench.path().join("run");
    let log = run.join("metrics.jsonl");
    let deadline = Instant::now() + Duration::from_secs(120);
    while std::fs::metadata(&log).map_or(0, |file| file.len()) == 0 {
        assert!(Instant::now() < deadline, "the run never logged anything");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, "INT");
    let code = child.wait().expect("it was started").code();
    // On a fast machine the run may have come to its end before the signal.
    if !run.join("report.json").exists() {
        assert_eq!(code, Some(130));
        assert!(run.join("checkpoints").read_dir().expect("a folder").next().is_some());
    }
    meanwhile(&run);
    bench.succeed(&format!("{application} train --resume run"));
    assert!(weights(&run) == weights(&bench.path().join("whole")));
}

#[test]
fn ctrl_c_saves_a_checkpoint() {
    let bench = Bench::new();
    bench.left_and_right("images", 60);
    stopped_and_resumed(&bench, "classify", RUN, |_| {});
}

/// Also if the tokens are gone, as when the run is killed while it makes them.
#[test]
fn language_models_go_on_after_ctrl_c() {
    let bench = Bench::new();
    bench.write("rhyme.txt", "one two three four five six seven.\n".repeat(60).as_bytes());
    let train = "text train --corpus rhyme.txt --tokenizer bpe:300 --context 16 --d-model 32 --n-layers 1 --steps 300 \
        --dropout 0.1 --accumulate 2 --ema 0.9 --validate-every 20 --checkpoint-every 7 --log-every 1 --threads 1";
    stopped_and_resumed(&bench, "text", train, |run| {
        for file in ["tokens.bin", "tokenizer.json"] {
            std::fs::remove_file(run.join(file)).unwrap();
        }
    });
}

#[test]
fn two_processes_do_not_share_a_run() {
    let bench = Bench::new();
    bench.left_and_right("images", 60);
    let mut child = start(&bench, &RUN.replace("--epochs 6", "--epochs 10000 --out run"));
    while !bench.path().join("run/metrics.jsonl").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    bench.fail("classify train --resume run", 1, &["another process", "run"]);
    signal(&child, "KILL");
    child.wait().unwrap();
}

/// Mounting a small disk takes the superuser; elsewhere the test says that it was skipped.
#[test]
fn a_full_disk_keeps_the_last_checkpoint() {
    let bench = Bench::new();
    bench.left_and_right("images", 20);
    let disk = bench.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=900k", "tmpfs"])
        .arg(&disk)
        .stderr(Stdio::null())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        skipped("mounting a tmpfs takes the superuser");
        return;
    }
    let run = "classify train --quiet --data images --model mlp --epochs 400 --batch-size 8 --checkpoint-every 3 \
        --validate-every 3 --out disk/run";
    let mut child = start(&bench, run);
    let checkpoints = disk.join("run/checkpoints");
    let has_checkpoint = || {
        checkpoints.read_dir().is_ok_and(|mut folder| {
            folder.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("step-"))
            })
        })
    };
    while !has_checkpoint() {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    // Fill what is left; the run has to fail at its next checkpoint.
    let _ = std::fs::write(disk.join("filler"), vec![0_u8; 1 << 20]);
    let code = child.wait().unwrap().code();
    let kept = has_checkpoint();
    let model = std::fs::read(disk.join("run/model.safetensors"));
    std::fs::remove_file(disk.join("filler")).unwrap();
    let resumed = bench.run("classify train --quiet --resume disk/run");
    let unmounted = std::process::Command::new("umount").arg("-l").arg(&disk).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    assert_eq!(code, Some(1), "a full disk is an error, no panic");
    assert!(kept, "the last checkpoint is there");
    assert!(safetensors::SafeTensors::deserialize(&model.unwrap()).is_ok(), "the best weights are whole");
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
}
