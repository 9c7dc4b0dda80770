//! What random schedules and the simulation have found in the scheduler: the smallest schedule of each fault.

use std::{
    collections::{HashSet, VecDeque},
    task::{Context, Waker},
};

use loafer_core::{broker::Settlement, message::Message, policy::GroupBy};

use crate::{
    limits::{Grouping, Limits},
    scheduler::{Call, Came, Job, Key, Scheduler},
};

/// A scheduler that keeps groups, with room for two messages that it has been promised.
fn scheduler(fenced: bool) -> Scheduler {
    let scheduler = Scheduler::new(Limits {
        concurrency: 1,
        capacity: 2,
        ask: 2,
        worth: 1,
        receivers: 1,
        settlers: 1,
        settle_batch: 1,
        linger: super::TICK,
        patient: false,
        batch_window: None,
        isolates: false,
        grouping: Some(Grouping {
            by: GroupBy::GROUP,
            fenced,
            own_ids: true,
        }),
    });
    _ = scheduler.poll_permit(&Context::from_waker(Waker::noop()));
    scheduler
}

/// Receives one message twice, under these keys.
fn receive_twice(scheduler: &Scheduler, keys: [Key; 2]) -> Call {
    let job = |key| Job::new(key, Message::with_id("m", "").with_group("a"));
    let mut jobs = VecDeque::from(keys.map(job));
    scheduler.received(&mut jobs, Vec::new(), 2, Came::default())
}

#[test]
fn a_lost_message_behind_a_lost_one_of_its_group_is_not_started() {
    let scheduler = scheduler(false);
    let keys = [Key::new(0, 0), Key::new(1, 0)];
    _ = receive_twice(&scheduler, keys);

    let (lost, _) = scheduler.lose(&HashSet::from(keys));

    let ready = scheduler.lock().ready.len();
    assert_eq!((lost.unstarted.len(), ready), (2, 0));
}

#[test]
fn a_redelivery_that_waits_behind_its_handled_message_is_acked_unstarted() {
    let scheduler = scheduler(true);
    let Call::Hire(worker, _) = receive_twice(&scheduler, [Key::new(0, 0), Key::new(1, 0)]) else {
        panic!("a worker is called");
    };
    let (mut outcomes, mut jobs) = (VecDeque::new(), VecDeque::new());
    let exchange = |outcomes: &mut VecDeque<Job>, jobs: &mut VecDeque<Job>| {
        let cx = &mut Context::from_waker(Waker::noop());
        _ = scheduler.exchange(worker, outcomes, jobs, 1, cx);
    };
    exchange(&mut outcomes, &mut jobs);
    outcomes.extend(jobs.drain(..).map(|job| job.done(Some(Settlement::Ack))));
    exchange(&mut outcomes, &mut jobs);

    assert!(jobs.is_empty(), "it was handled before");
    let done = scheduler.lock();
    assert_eq!(done.done.len(), 2);
    assert!(done.done.iter().all(Job::is_acked));
}
