//! The inputs that are worth mutating.

use std::{collections::HashSet, fs, path::Path};

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::target::Target;

/// So many are kept; then one more takes the place of another.
const MOST: usize = 4_096;
/// So many encoded values stand beside the files of the corpus.
const ENCODED: usize = 32;

/// The inputs that are worth mutating, and what has been seen of all that ran.
#[derive(Debug, Default)]
pub(crate) struct Corpus {
    inputs: Vec<Vec<u8>>,
    /// What inputs did, as [`Seen::number`](crate::Seen::number).
    behaviours: HashSet<u64>,
}

impl Corpus {
    /// The files of the target's folder, and some values of its own.
    pub(crate) fn of(target: &dyn Target, random: &mut Rng) -> Result<Self> {
        let mut corpus = Self::default();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target.name());
        if folder.is_dir() {
            for file in fs::read_dir(&folder).context("can't list the corpus")? {
                let path = file.context("can't list the corpus")?.path();
                let input =
                    fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
                corpus.inputs.push(input);
            }
            // The order of a folder is the system's; that of a run is the seed's.
            corpus.inputs.sort();
        }
        for _ in 0..ENCODED {
            corpus.inputs.push(target.round_trip(random));
        }
        Ok(corpus)
    }

    /// All inputs it began with, and those it kept.
    pub(crate) fn inputs(&self) -> &[Vec<u8>] {
        &self.inputs
    }

    /// One of them.
    pub(crate) fn any(&self, random: &mut Rng) -> &[u8] {
        &self.inputs[random.usize(..self.inputs.len())]
    }

    /// Keeps an input that did what none did before it.
    pub(crate) fn saw(&mut self, input: &[u8], behaviour: u64, random: &mut Rng) {
        if !self.behaviours.insert(behaviour) {
            return;
        }
        match self.inputs.len() < MOST {
            true => self.inputs.push(input.to_vec()),
            false => self.inputs[random.usize(..MOST)] = input.to_vec(),
        }
    }

    /// How many behaviours there were.
    pub(crate) fn behaviours(&self) -> usize {
        self.behaviours.len()
    }
}
