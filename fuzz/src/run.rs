//! The loop: mutate, decode, judge.

use std::{
    any::Any,
    env,
    fs::{self, File},
    io::{Seek, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::{corpus::Corpus, finding::Finding, mutate::mutated, seen::Seen, target::Target};

/// An input may take so long, when it is run again and nothing else was in the way.
const SLOW: Duration = Duration::from_millis(250);
/// An input that takes longer does not end.
const ENDLESS: Duration = Duration::from_secs(30);
/// A value is encoded and decoded once in so many inputs.
const ROUND_TRIP: u64 = 16;

/// A run of one target.
#[derive(Debug)]
pub struct Fuzz {
    /// For how long.
    pub time: Duration,
    /// What the run is made of: the same seed makes the same inputs.
    pub seed: u64,
    /// Where the input that runs, and those that went wrong, are kept, in a folder a target.
    pub folder: PathBuf,
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Runs {
    /// Inputs run.
    pub inputs: u64,
    /// Behaviours among them.
    pub behaviours: usize,
}

impl Fuzz {
    /// A run of this length, with a seed of its own, that keeps its files in the target folder of cargo.
    pub fn lasting(time: Duration) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().unwrap_or(here);
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        Self {
            time,
            seed: fastrand::u64(..),
            folder: root.join(target).join("fuzz"),
        }
    }

    /// Runs a target until the time is over or something goes wrong. The process ends with 70 where an input does not end.
    ///
    /// # Errors
    ///
    /// Where the corpus can't be read, or the folder can't be written.
    pub fn run(&self, target: &'static dyn Target) -> Result<Result<Runs, Finding>> {
        let folder = self.folder.join(target.name());
        let mut random = Rng::with_seed(self.seed);
        let mut corpus = Corpus::of(target, &mut random)?;
        let mut bench = Bench::new(target, &folder)?;
        let began = Instant::now();
        let mut inputs = 0;
        let first = corpus.inputs().to_vec();
        let mut first = first.into_iter();
        while began.elapsed() < self.time {
            if inputs % ROUND_TRIP == 0
                && let Err(what) = bench.round_trip(&mut random)
            {
                return Ok(Err(Finding::of_value(target.name(), what, self.seed)));
            }
            let input = first.next().unwrap_or_else(|| {
                let one = corpus.any(&mut random).to_vec();
                let other = corpus.any(&mut random);
                mutated(&mut random, &one, other, target.words())
            });
            match bench.judge(&input)? {
                Ok(behaviour) => corpus.saw(&input, behaviour, &mut random),
                Err(finding) => return Ok(Err(finding)),
            }
            inputs += 1;
        }
        // Whoever finds the file knows that its input ended the process.
        let _ = fs::remove_file(folder.join(CURRENT));
        Ok(Ok(Runs {
            inputs,
            behaviours: corpus.behaviours(),
        }))
    }

    /// Runs one input.
    ///
    /// # Errors
    ///
    /// Where the folder can't be written.
    pub fn repeat(&self, target: &'static dyn Target, input: &[u8]) -> Result<Option<Finding>> {
        let folder = self.folder.join(target.name());
        Ok(Bench::new(target, &folder)?.judge(input)?.err())
    }
}

/// The file of the input that runs: it survives whatever the input does to the process.
const CURRENT: &str = "current";

/// Where inputs are run.
struct Bench<'a> {
    target: &'static dyn Target,
    folder: &'a Path,
    current: File,
    /// When the input began that runs, in milliseconds since `began` and one more; 0 between inputs.
    running: Arc<AtomicU64>,
    began: Instant,
}

impl<'a> Bench<'a> {
    fn new(target: &'static dyn Target, folder: &'a Path) -> Result<Self> {
        let current = fs::create_dir_all(folder)
            .and_then(|()| File::create(folder.join(CURRENT)))
            .with_context(|| format!("can't write to {}", folder.display()))?;
        let running = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        watch(&running, began, target.name(), folder.join(CURRENT));
        Ok(Self {
            target,
            folder,
            current,
            running,
            began,
        })
    }

    /// Runs an input, and gives its behaviour.
    fn judge(&mut self, input: &[u8]) -> Result<Result<u64, Finding>> {
        let kept = self.current.rewind().and_then(|()| {
            self.current.write_all(input)?;
            self.current.set_len(input.len() as u64)
        });
        kept.context("can't keep the input that runs")?;
        let finding = |what| Finding::of_input(self.target.name(), what, input, self.folder);
        let mut shortest = Duration::MAX;
        // What took long once may have had to wait for others.
        for _ in 0..4 {
            let begin = Instant::now();
            let behaviour = match self.once(input) {
                Ok(behaviour) => behaviour,
                Err(panic) => return Ok(Err(finding(panic))),
            };
            shortest = shortest.min(begin.elapsed());
            if shortest < SLOW {
                return Ok(Ok(behaviour));
            }
        }
        Ok(Err(finding(format!("it takes {shortest:?}"))))
    }

    fn once(&self, input: &[u8]) -> Result<u64, String> {
        let since = self.began.elapsed().as_millis() as u64 + 1;
        self.running.store(since, Ordering::Relaxed);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut seen = Seen::default();
            self.target.decode(input, &mut seen);
            seen.number()
        }));
        self.running.store(0, Ordering::Relaxed);
        result.map_err(|panic| said(&*panic))
    }

    fn round_trip(&self, random: &mut Rng) -> Result<(), String> {
        catch_unwind(AssertUnwindSafe(|| drop(self.target.round_trip(random))))
            .map_err(|panic| said(&*panic))
    }
}

/// Ends the process where an input does not end.
fn watch(running: &Arc<AtomicU64>, began: Instant, target: &'static str, current: PathBuf) {
    let running = Arc::downgrade(running);
    thread::spawn(move || {
        while let Some(running) = running.upgrade().map(|since| since.load(Ordering::Relaxed)) {
            let now = began.elapsed().as_millis() as u64;
            if running != 0 && now.saturating_sub(running) > ENDLESS.as_millis() as u64 {
                eprintln!(
                    "{target}: an input does not end; it is {}",
                    current.display()
                );
                process::exit(70);
            }
            thread::sleep(Duration::from_secs(1));
        }
    });
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}
