//! Every target for five seconds, and what the runner does with one that goes wrong.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::{env, fs, path::PathBuf, time::Duration};

use fastrand::Rng;
use loafer_fuzz::{ALL, Fuzz, Seen, Target, named};

fn fuzz(case: &str, time: Duration) -> Fuzz {
    let mut fuzz = Fuzz::lasting(time);
    fuzz.folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(case);
    fuzz
}

fn five_seconds(name: &str) {
    let run = fuzz("short", Duration::from_secs(5));
    match run.run(named(name).unwrap()).unwrap() {
        Ok(runs) => assert!(runs.inputs > 500 && runs.behaviours > 0, "{name}: {runs:?}"),
        Err(finding) => panic!("{finding}\nseed: {}", run.seed),
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                five_seconds(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_run() {
            let names = ALL.map(|target| target.name());
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! { json text bytes protobuf messagepack base64 cloudevents sns eventbridge s3_event packed amqp_address amqp_properties }

/// Panics at a byte that no input of its own has.
struct Fragile;

impl Target for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn decode(&self, input: &[u8], _: &mut Seen) {
        assert!(!input.contains(&0xff), "a byte of ones");
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        vec![random.u8(..0x40)]
    }
}

#[test]
fn what_goes_wrong_is_kept_and_repeats() {
    let fuzz = fuzz("fragile", Duration::from_secs(60));
    let finding = fuzz.run(&Fragile).unwrap().unwrap_err();
    assert_eq!(finding.what, "a byte of ones");
    let file = finding.repeat.strip_prefix("--input ").unwrap();
    let input = fs::read(file).unwrap();
    assert_eq!(
        fuzz.repeat(&Fragile, &input).unwrap().unwrap().what,
        "a byte of ones"
    );
    assert!(fuzz.repeat(&Fragile, b"\x00").unwrap().is_none());
}

/// Encodes what it can't decode.
struct Lossy;

impl Target for Lossy {
    fn name(&self) -> &'static str {
        "lossy"
    }

    fn decode(&self, _: &[u8], _: &mut Seen) {}

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        assert!(random.u8(..) < 0xff, "a value is lost");
        Vec::new()
    }
}

#[test]
fn a_value_that_is_lost_is_reported_with_the_seed() {
    let mut fuzz = fuzz("lossy", Duration::from_secs(60));
    fuzz.seed = 1;
    let finding = fuzz.run(&Lossy).unwrap().unwrap_err();
    assert_eq!(
        (finding.what.as_str(), finding.repeat.as_str()),
        ("a value is lost", "--seed 1")
    );
}
