//! The loop with tasks small enough to compute by hand: one learner, two that play against each other, and one whose
//! target follows a moving copy of itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use libellus_losses::Loss;
use libellus_optim::{DecayPolicy, OptimizerConfig, ScheduleConfig, SgdConfig};
use libellus_train::{
    Batches, CheckpointReader, CheckpointWriter, Clock, Direction, Ending, Evaluation, FitConfig, Goal,
    Interrupt, Learner, LearnerConfig, Length, Observer, Outcome, Row, RunDir, StepLog, Task, TrainError,
    fit,
};
use tempfile::TempDir;

/// A single number to learn.
#[derive(Module, Debug)]
struct Scalar {
    value: Param<Tensor<1>>,
}

impl Scalar {
    fn new(value: f32, device: &Device) -> Self {
        Self { value: Param::from_data([value], &device.clone().autodiff()) }
    }

    fn read(&self) -> f32 {
        self.value.val().into_scalar()
    }
}

fn config(lr: f64, ema_decay: Option<f64>) -> LearnerConfig {
    LearnerConfig {
        optimizer: OptimizerConfig::Sgd(SgdConfig { momentum: 0.5, ..SgdConfig::default() }),
        lr,
        schedule: ScheduleConfig::WarmupCosine { warmup: 3, final_factor: 0.1 },
        decay: DecayPolicy::All,
        clip_norm: None,
        ema_decay,
        flow_every: Some(4),
    }
}

fn fit_config(length: Length) -> FitConfig {
    FitConfig { length, validate_every: Some(5), checkpoint_every: Some(3), log_every: 2, patience: None }
}

/// Who plays in a [`Game`].
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rules {
    /// One learner goes to 3, with noise from the device.
    Alone,
    /// Two learners in turn, as in a GAN: the first wants to equal the second, the second to be 1 away from the first.
    Versus,
    /// The learner goes to 3, the target network follows it, as in DQN: a part of the state that no learner holds.
    Target,
}

struct Game {
    rules: Rules,
    device: Device,
    first: Learner<Scalar>,
    second: Learner<Scalar>,
    target: Scalar,
    /// What validations say, in turn; the distance to 3 when empty.
    scripted: Vec<f64>,
}

impl Game {
    fn new(rules: Rules, lr: f64, steps: u64) -> Self {
        let device = libellus_backend::testing::device();
        let learner = |name, start| {
            Learner::new(name, Scalar::new(start, &device), &config(lr, Some(0.7)), steps)
                .expect("the configuration is in its range")
        };
        let (first, second) = (learner("first", -1.0), learner("second", 2.0));
        Self { rules, first, second, target: Scalar::new(-1.0, &device), device, scripted: Vec::new() }
    }

    fn values(&self) -> [f32; 4] {
        [
            self.first.model().read(),
            self.first.trained().read(),
            self.second.model().read(),
            self.target.read(),
        ]
    }
}

impl Task for Game {
    type Batch = f32;
    type Error = TrainError;

    fn device(&self) -> &Device {
        &self.device
    }

    fn steps_per_epoch(&self) -> u64 {
        7
    }

    fn batches(&self, epoch: u64, start: u64) -> Batches<f32, TrainError> {
        Box::new((start..7).map(move |step| Ok((epoch * 7 + step) as f32 * 0.01)))
    }

    fn step(&mut self, shift: f32, clock: &Clock) -> Result<StepLog, TrainError> {
        let device = self.device.clone().autodiff();
        let noise = Tensor::<1>::random([1], Distribution::Normal(0.0, 0.1), &device);
        let square = |value: Tensor<1>| Loss::new(value.square());
        let log = match self.rules {
            Rules::Alone => self.first.step(clock, vec![shift, -shift], |model, shift| {
                square(model.value.val() - 3.0 + noise.clone() + shift)
            }),
            Rules::Versus if clock.step.is_multiple_of(2) => {
                let other = self.second.model().read();
                self.first.step(clock, vec![()], |model, ()| square(model.value.val() - other))
            }
            Rules::Versus => {
                let other = self.first.model().read();
                self.second.step(clock, vec![()], |model, ()| square(model.value.val() - other - 1.0))
            }
            Rules::Target => {
                let target = self.target.read();
                let log = self.first.step(clock, vec![()], |model, ()| {
                    square(model.value.val() - 1.5 - target / 2.0 + noise.clone())
                });
                if clock.step.is_multiple_of(5) {
                    self.target = self.first.model().clone();
                }
                log
            }
        };
        Ok(StepLog { samples: 1, ..log })
    }

    fn evaluate(&mut self, _clock: &Clock) -> Result<Evaluation, TrainError> {
        let distance = f64::from((self.first.trained().read() - 3.0).abs());
        let value = if self.scripted.is_empty() { distance } else { self.scripted.remove(0) };
        Ok(Evaluation { metrics: BTreeMap::from([("distance".to_owned(), value)]), sample: None })
    }

    fn goal(&self) -> Option<Goal> {
        Some(Goal { metric: "distance", direction: Direction::Minimise })
    }

    fn save(&self, checkpoint: &mut CheckpointWriter) -> Result<(), TrainError> {
        self.first.save(checkpoint)?;
        self.second.save(checkpoint)?;
        checkpoint.module("target", &self.target)
    }

    fn load(&mut self, checkpoint: &CheckpointReader) -> Result<(), TrainError> {
        self.first.load(checkpoint)?;
        self.second.load(checkpoint)?;
        self.target = checkpoint.module("target", self.target.clone())?;
        Ok(())
    }

    fn export(&self, path: &Path) -> Result<(), TrainError> {
        std::fs::write(path, self.first.trained().read().to_string()).map_err(TrainError::io("write", path))
    }
}

/// Asks to stop after a number of steps.
struct StopAfter {
    step: u64,
    interrupt: Interrupt,
}

impl Observer for StopAfter {
    fn stepped(&mut self, clock: &Clock, _samples: usize) {
        if clock.step == self.step {
            self.interrupt.request();
        }
    }
}

/// flex has one generator for the whole process: tests that draw from it take turns, or they would reseed each other.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run_dir(folder: &TempDir, name: &str) -> RunDir {
    RunDir::create(&folder.path().join(name), "").expect("an empty folder")
}

fn play(game: &mut Game, steps: u64, run: &RunDir) -> Result<Outcome, TrainError> {
    fit(game, &fit_config(Length::Steps(steps)), 11, run, &Interrupt::new(), &mut ())
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bits_whatever_the_task() {
    let _turn = turn();
    const STEPS: u64 = 23;
    let folder = tempfile::tempdir().unwrap();
    for rules in [Rules::Alone, Rules::Versus, Rules::Target] {
        let whole_run = run_dir(&folder, &format!("{rules:?}"));
        let mut whole = Game::new(rules, 0.1, STEPS);
        let outcome = play(&mut whole, STEPS, &whole_run).unwrap();
        assert_eq!(outcome.ending, Ending::Completed);

        let run = run_dir(&folder, &format!("{rules:?}-broken"));
        for stop in [4, 9, 10, 22] {
            let interrupt = Interrupt::new();
            let mut observer = StopAfter { step: stop, interrupt: interrupt.clone() };
            let mut part = Game::new(rules, 0.1, STEPS);
            let outcome =
                fit(&mut part, &fit_config(Length::Steps(STEPS)), 11, &run, &interrupt, &mut observer)
                    .unwrap();
            assert_eq!((outcome.ending, outcome.clock.step), (Ending::Interrupted, stop));
        }
        let mut last = Game::new(rules, 0.1, STEPS);
        let resumed = play(&mut last, STEPS, &run).unwrap();
        assert_eq!(last.values().map(f32::to_bits), whole.values().map(f32::to_bits), "{rules:?}");
        assert_eq!(resumed.best, outcome.best);
        let evaluations = |rows: &[Row]| -> Vec<Row> {
            rows.iter().filter(|row| matches!(row, Row::Evaluation { .. })).cloned().collect()
        };
        assert_eq!(evaluations(&resumed.rows), evaluations(&outcome.rows));
        assert_eq!(std::fs::read(run.model()).unwrap(), std::fs::read(whole_run.model()).unwrap());
    }
}

#[test]
fn it_learns() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let run = run_dir(&folder, "run");
    let mut game = Game::new(Rules::Alone, 0.1, 100);
    let outcome = play(&mut game, 100, &run).unwrap();
    // Noise of 0.1, averaged by the moving average: three times its size is far from the start, which is 4 away.
    assert!((game.first.trained().read() - 3.0).abs() < 0.3, "{:?}", game.values());
    assert_eq!(outcome.rows.iter().filter(|row| matches!(row, Row::Evaluation { .. })).count(), 20);
    assert_eq!(outcome.rows.iter().filter(|row| matches!(row, Row::Flow { .. })).count(), 25);
}

#[test]
fn the_average_forgets_the_start_at_once() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut game = Game::new(Rules::Alone, 0.1, 1);
    let [start, ..] = game.values();
    play(&mut game, 1, &run_dir(&folder, "run")).unwrap();
    let [trained, average, ..] = game.values();
    // The decay of 0.7 begins as 1/10. Two products and a sum in f32.
    assert!((average - (0.1 * start + 0.9 * trained)).abs() < 1e-6, "{start} {trained} {average}");
}

#[test]
fn the_best_weights_are_kept_and_patience_ends_the_run() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let run = run_dir(&folder, "run");
    let mut game = Game::new(Rules::Alone, 0.1, 100);
    game.scripted = vec![0.9, 0.4, 0.4, f64::NAN, 0.6, 0.1];
    let shown = |outcome: &Outcome| format!("{:?}", outcome.rows);
    let config = FitConfig { patience: Some(3), ..fit_config(Length::Epochs(100)) };
    let outcome = fit(&mut game, &config, 0, &run, &Interrupt::new(), &mut ()).unwrap();
    assert_eq!(outcome.ending, Ending::StoppedEarly);
    assert_eq!(outcome.clock.step, 25);
    assert_eq!(outcome.best.map(|best| (best.step, best.value)), Some((10, 0.4)));

    // Going on with a run that has ended changes nothing.
    let again =
        fit(&mut Game::new(Rules::Alone, 0.1, 100), &config, 0, &run, &Interrupt::new(), &mut ()).unwrap();
    assert_eq!((again.ending, again.clock.step, again.best), (outcome.ending, 25, outcome.best));
    // By their text, since NaN is not equal to itself.
    assert_eq!(shown(&again), shown(&outcome));
}

#[test]
fn a_loss_that_is_not_finite_is_an_error_that_names_the_step() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let run = run_dir(&folder, "run");
    let mut game = Game::new(Rules::Alone, 1e20, 100);
    let error = play(&mut game, 100, &run).unwrap_err();
    let TrainError::NonFinite { step, .. } = error else { panic!("{error}") };
    // Steps 0 and 1 still fit into a float: 4 * 1e20, then its square overflows.
    assert!((1..4).contains(&step), "{error}");
    assert_eq!(error.to_string().lines().count(), 1);
}

#[test]
fn zero_is_refused_where_it_makes_no_sense() {
    let base = fit_config(Length::Steps(1));
    for config in [
        FitConfig { length: Length::Epochs(0), ..base.clone() },
        FitConfig { log_every: 0, ..base.clone() },
        FitConfig { patience: Some(0), ..base.clone() },
    ] {
        assert!(matches!(config.validate(), Err(TrainError::Config { .. })), "{config:?}");
    }
    base.validate().unwrap();
}

#[test]
fn a_checkpoint_that_was_not_finished_is_not_seen() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = folder.path().join("checkpoints");
    let mut writer = CheckpointWriter::begin(&checkpoints, 3).unwrap();
    writer.state("loop", &7).unwrap();
    writer.commit().unwrap();
    // A process that was killed leaves what it had: the forgotten writer doesn't clean up.
    let mut writer = CheckpointWriter::begin(&checkpoints, 5).unwrap();
    writer.state("loop", &8).unwrap();
    std::mem::forget(writer);
    let newest = CheckpointReader::newest(&checkpoints).unwrap().unwrap();
    assert_eq!((newest.step(), newest.state::<i32>("loop").unwrap()), (3, 7));
    // The next one takes its place, and the older one goes.
    let mut writer = CheckpointWriter::begin(&checkpoints, 9).unwrap();
    writer.state("loop", &9).unwrap();
    writer.commit().unwrap();
    assert_eq!(CheckpointReader::newest(&checkpoints).unwrap().unwrap().step(), 9);
    assert_eq!(checkpoints.read_dir().unwrap().count(), 1);
}
