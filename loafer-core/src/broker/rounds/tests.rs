//! Batches against brokers that fail at random: what a group may never do, and that every batch ends.

use proptest::prelude::*;

use super::*;

const FIRST: Duration = Duration::from_millis(100);
const TRIES: u32 = 3;
const PAUSES: Pauses = Pauses::new(FIRST).tries(TRIES);

/// What the broker says to one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Done,
    Again,
    Failed,
    Nothing,
}

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![
        4 => Just(Says::Done),
        3 => Just(Says::Again),
        1 => Just(Says::Failed),
        1 => Just(Says::Nothing),
    ]
}

/// A message: its group, whether it can be sent at all, and what the broker says to each of its tries.
#[derive(Clone, Debug)]
struct Script {
    group: Option<u8>,
    sendable: bool,
    says: Vec<Says>,
}

fn script() -> impl Strategy<Value = Script> {
    let says = prop::collection::vec(says(), TRIES as usize + 1);
    let group = prop::option::weighted(0.8, 0_u8..3);
    (group, prop::bool::weighted(0.9), says).prop_map(|(group, sendable, says)| Script {
        group,
        sendable,
        says,
    })
}

fn transient(index: usize) -> Error {
    error(index, "busy")
}

fn error(index: usize, cause: &str) -> Error {
    Error::Unreachable {
        what: "publish",
        queue: "orders".to_owned(),
        cause: format!("{cause} {index}"),
        source: None,
    }
}

/// What became of a batch.
struct Run {
    /// The rounds, each with its indexes.
    rounds: Vec<Vec<usize>>,
    /// The pause after each round, and how often the most tried of its messages had failed.
    pauses: Vec<(Option<Duration>, u32)>,
    /// Which messages the broker took, in order.
    taken: Vec<usize>,
    answers: Vec<Result<usize, Error>>,
}

fn run(scripts: &[Script], ordered: bool) -> Run {
    let mut rounds = Rounds::new("publish", "orders", scripts.len(), PAUSES);
    let names: Vec<_> = scripts
        .iter()
        .map(|script| script.group.map(|group| group.to_string()))
        .collect();
    if ordered {
        rounds = rounds.in_groups(names.iter().map(Option::as_deref));
    }
    for (index, script) in scripts.iter().enumerate() {
        if !script.sendable {
            rounds.failed(index, error(index, "too large"));
        }
    }
    let mut run = Run {
        rounds: Vec::new(),
        pauses: Vec::new(),
        taken: Vec::new(),
        answers: Vec::new(),
    };
    let mut tried = vec![0; scripts.len()];
    while let Some(round) = rounds.next_round() {
        let mut most = 0;
        // Calls that run at once answer in any order.
        for &index in round.iter().rev() {
            let said = scripts[index].says[tried[index] as usize];
            tried[index] += 1;
            match said {
                Says::Done => {
                    run.taken.push(index);
                    rounds.done(index, index);
                }
                Says::Again => {
                    if tried[index] <= TRIES {
                        most = most.max(tried[index]);
                    }
                    rounds.again(index, transient(index));
                }
                Says::Failed => rounds.failed(index, error(index, "refused")),
                Says::Nothing => {}
            }
        }
        run.pauses.push((rounds.pause(), most));
        run.rounds.push(round);
        assert!(run.rounds.len() <= scripts.len() * (TRIES as usize + 1));
    }
    run.answers = rounds.into_answers();
    run
}

fn text(answer: &Result<usize, Error>) -> String {
    answer
        .as_ref()
        .map_or_else(Error::to_string, |_| String::new())
}

proptest! {
    #[test]
    fn each_message_has_the_answer_that_was_given_for_it(
        scripts in prop::collection::vec(script(), 0..24),
        ordered: bool,
    ) {
        let run = run(&scripts, ordered);
        prop_assert_eq!(run.answers.len(), scripts.len());
        for (index, (answer, script)) in run.answers.iter().zip(&scripts).enumerate() {
            let said = text(answer);
            if said.contains("before it in its group") {
                prop_assert!(ordered);
                prop_assert!(!run.rounds.iter().any(|round| round.contains(&index)));
                continue;
            }
            let rounds = run.rounds.iter().filter(|round| round.contains(&index)).count();
            if !script.sendable {
                prop_assert_eq!(rounds, 0);
                prop_assert!(said.contains(&format!("too large {index}")), "{}", said);
                continue;
            }
            // It is tried until something else than "again" is said, and no more often than it may be.
            let agains = script.says.iter().take_while(|says| **says == Says::Again).count();
            prop_assert_eq!(rounds, (agains + 1).min(TRIES as usize + 1));
            match script.says.get(agains) {
                Some(Says::Done) => prop_assert_eq!(answer.as_ref().ok(), Some(&index)),
                Some(Says::Failed) => prop_assert!(said.contains(&format!("refused {index}")), "{}", said),
                Some(Says::Nothing) => prop_assert!(said.contains("no answer"), "{}", said),
                _ => prop_assert!(said.contains(&format!("busy {index}")), "{}", said),
            }
        }
    }

    #[test]
    fn a_group_stays_in_order_and_ends_with_its_first_failure(
        scripts in prop::collection::vec(script(), 0..24),
    ) {
        let run = run(&scripts, true);
        for round in &run.rounds {
            for group in 0..3 {
                let of_group = round.iter().filter(|index| scripts[**index].group == Some(group));
                prop_assert!(of_group.count() <= 1);
            }
        }
        for group in 0..3 {
            let all: Vec<_> = (0..scripts.len())
                .filter(|index| scripts[*index].group == Some(group))
                .collect();
            let taken = run.taken.iter().copied().filter(|index| all.contains(index));
            let taken: Vec<_> = taken.collect();
            // What was taken is the beginning of the group, in order.
            prop_assert_eq!(&taken[..], &all[..taken.len()]);
            let answers: Vec<_> = all.iter().map(|index| text(&run.answers[*index])).collect();
            let failed = answers.iter().position(|text| !text.is_empty());
            for (place, (text, index)) in answers.iter().zip(&all).enumerate() {
                let follows = failed.is_some_and(|failed| place > failed);
                // One that can't be sent at all says so, wherever it stands.
                let own = !scripts[*index].sendable && text.contains("too large");
                prop_assert_eq!(text.contains("before it in its group"), follows && !own, "{}", text);
            }
        }
    }

    #[test]
    fn without_groups_a_round_has_all_that_is_left(
        scripts in prop::collection::vec(script(), 0..24),
    ) {
        let run = run(&scripts, false);
        let mut left: Vec<_> = (0..scripts.len()).filter(|index| scripts[*index].sendable).collect();
        for (number, round) in run.rounds.iter().enumerate() {
            prop_assert_eq!(round, &left);
            left.retain(|index| scripts[*index].says[number] == Says::Again && number < TRIES as usize);
        }
        prop_assert!(left.is_empty());
    }

    #[test]
    fn a_pause_follows_what_is_tried_again_and_grows(
        scripts in prop::collection::vec(script(), 0..24),
        ordered: bool,
    ) {
        for (pause, failed) in run(&scripts, ordered).pauses {
            prop_assert_eq!(pause.is_some(), failed > 0);
            if let Some(pause) = pause {
                let least = FIRST * (1 << (failed - 1));
                prop_assert!(pause >= least && pause <= least * 2, "{:?} after {}", pause, failed);
            }
        }
    }
}

#[test]
fn pauses_end_with_the_longest_and_never_by_themselves() {
    let pauses = Pauses::new(FIRST).longest(Duration::from_secs(2));
    for failed in [6, 31, 32, 33, 1_000, u32::MAX] {
        let pause = pauses.after(failed).expect("there is always a next one");
        assert!(pause >= Duration::from_secs(2) && pause <= Duration::from_secs(4));
    }
}

#[test]
fn the_first_answer_counts() {
    let mut rounds = Rounds::new("publish", "orders", 2, PAUSES);
    assert_eq!(rounds.next_round(), Some(vec![0, 1]));
    rounds.done(0, "first");
    rounds.failed(0, transient(0));
    rounds.again(0, transient(0));
    rounds.failed(1, transient(1));
    rounds.done(1, "second");
    assert_eq!((rounds.pause(), rounds.next_round()), (None, None));
    let answers = rounds.into_answers();
    assert!(matches!(answers[0], Ok("first")) && answers[1].is_err());
}

#[test]
fn what_is_left_when_a_publisher_breaks_off_has_an_answer() {
    let mut rounds = Rounds::<MessageId>::new("publish", "orders", 2, PAUSES);
    rounds.next_round().expect("a round");
    for answer in rounds.into_answers() {
        let text = answer.expect_err("nobody answered").to_string();
        assert!(
            text.starts_with("publish of `orders` failed: no answer"),
            "{text}"
        );
    }
}
