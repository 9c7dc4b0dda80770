//! What random schedules have found in the scheduler: the smallest schedule of each fault.

use std::collections::{HashSet, VecDeque};

use loafer_core::{message::Message, policy::GroupBy};

use crate::{
    limits::{Grouping, Limits},
    scheduler::{Job, Key, Scheduler},
};

#[test]
fn a_lost_message_behind_a_lost_one_of_its_group_is_not_started() {
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
        grouping: Some(Grouping {
            by: GroupBy::GROUP,
            fenced: false,
        }),
    });
    let waker = std::task::Waker::noop();
    _ = scheduler.poll_permit(&std::task::Context::from_waker(waker));
    let keys = [Key::new(0, 0), Key::new(1, 0)];
    let job = |key| Job::new(key, Message::with_id("m", "").with_group("a"));
    let mut jobs = VecDeque::from(keys.map(job));
    _ = scheduler.received(&mut jobs, Vec::new(), 2, false);

    let lost = scheduler.lose(&HashSet::from(keys));

    let ready = scheduler.lock().ready.len();
    assert_eq!((lost.unstarted.len(), ready), (2, 0));
}
