//! Runs: the same seed makes the same run, and a run that fails is made smaller.

use loafer_simulation::{
    campaign::{Campaign, conduct},
    run::{Ran, run},
    scenario::{Fault, Scenario, Size},
    shrink::smallest_that,
};

#[test]
fn a_hundred_seeds_are_clean() {
    let totals = conduct(&Campaign {
        from: 1,
        seeds: 100,
        within: None,
        size: Size::WHOLE,
        allowed: Vec::new(),
        goes_on: false,
        threads: 2,
    });
    assert_eq!(totals.first, None);
    assert_eq!(totals.seeds, 100);
    assert!(totals.messages > 20_000, "{}", totals.messages);
    let never: Vec<Fault> = Fault::ALL[..Fault::OF_THE_BROKER]
        .iter()
        .zip(totals.faults)
        .filter(|(_, count)| *count == 0)
        .map(|(fault, _)| *fault)
        .collect();
    assert!(never.is_empty(), "these faults never occurred: {never:?}");
}

#[test]
fn the_same_seed_makes_the_same_run() {
    for seed in 1..=12 {
        let (once, again) = (run(seed, &Size::WHOLE, true), run(seed, &Size::WHOLE, true));
        assert!(once.log == again.log, "seed {seed} made two runs");
        assert_eq!(once.fingerprint, again.fingerprint);
    }
    let (one, other) = (run(1, &Size::WHOLE, false), run(2, &Size::WHOLE, false));
    assert_ne!(one.fingerprint, other.fingerprint);
}

#[test]
fn a_scenario_has_routes_messages_groups_and_faults() {
    for seed in 1..=200 {
        let scenario = Scenario::draw(seed, &Size::WHOLE);
        let messages: usize = scenario.routes.iter().map(|plan| plan.messages.len()).sum();
        assert!(messages >= 200, "seed {seed}: {messages} messages");
        let of_broker = scenario
            .faults
            .iter()
            .filter(|fault| (*fault as usize) < Fault::OF_THE_BROKER);
        assert!(of_broker.count() >= 5, "seed {seed}");
        for plan in &scenario.routes {
            let groups = plan.messages.iter().filter_map(|message| message.group);
            let groups: std::collections::BTreeSet<u64> = groups.collect();
            assert!(groups.len() >= 3, "seed {seed}: {groups:?}");
        }
    }
}

#[test]
fn what_is_left_out_changes_nothing_else() {
    let whole = Scenario::draw(7, &Size::WHOLE);
    let less = Scenario::draw(
        7,
        &Size {
            messages: Some(10),
            ..Size::WHOLE
        },
    );
    for (plan, less) in whole.routes.iter().zip(&less.routes) {
        assert_eq!(less.messages.len(), 10);
        let texts = |messages: &[_]| format!("{messages:?}");
        assert_eq!(texts(&plan.messages[..10]), texts(&less.messages));
    }
}

#[test]
fn a_failing_run_is_made_smaller() {
    // What stands for a violation: a duplicate is delivered.
    let planted = |ran: &Ran| ran.faults[Fault::Duplicates as usize] > 0;
    let seed = (1..=100).find(|seed| planted(&run(*seed, &Size::WHOLE, false)));
    let seed = seed.expect("some seed has duplicates");
    let whole = run(seed, &Size::WHOLE, false);
    let least = smallest_that(seed, &Size::WHOLE, planted);
    let ran = run(seed, &least, false);
    assert!(planted(&ran));
    assert!(ran.messages < whole.messages / 4, "{least:?}");
    assert!(!least.without.has(Fault::Duplicates));
    let left = Scenario::draw(seed, &least);
    assert_eq!(left.routes.len(), 1);
    let faults: Vec<Fault> = left.faults.iter().collect();
    assert_eq!(faults, [Fault::Duplicates]);
}
