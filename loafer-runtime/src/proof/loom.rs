//! The smallest interesting meetings at the scheduler, in every order that threads can have there.
//!
//! `cargo xtask loom` builds this crate with locks and flags of `loom`, and runs these tests alone. Whoever waits for a wakeup that does not
//! come is a deadlock, which `loom` tells. The scheduler checks its invariants whenever its lock is taken.

use std::{
    collections::{HashSet, VecDeque},
    future::poll_fn,
    iter,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use ::loom::{future::block_on, model::Builder, sync::Notify, thread};
use loafer_core::{broker::Settlement, message::Message};

use crate::{
    limits::Limits,
    scheduler::{Call, Came, Job, Key, Permit, Phase, Scheduler, Step, Sweep},
    sync::{AtomicBool, Mutex},
};

/// Runs a model in every order in which no thread is interrupted more often than this.
fn search(interruptions: usize, model: impl Fn() + Send + Sync + 'static) {
    // Time does not pass: nothing here may depend on a linger that ends.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O");
    let _entered = runtime.enter();
    let mut search = Builder::new();
    search.preemption_bound = search.preemption_bound.or(Some(interruptions));
    search.check(model);
}

fn scheduler(concurrency: usize, capacity: usize) -> Arc<Scheduler> {
    Arc::new(Scheduler::new(Limits {
        concurrency,
        capacity,
        ask: capacity,
        worth: 1,
        receivers: 1,
        settlers: 1,
        settle_batch: capacity,
        linger: Duration::from_secs(1),
        patient: false,
        batch_window: None,
        isolates: false,
        grouping: None,
    }))
}

fn key(number: usize) -> Key {
    Key::new(number, 0)
}

fn jobs(numbers: impl IntoIterator<Item = usize>) -> VecDeque<Job> {
    let job = |number| Job::new(key(number), Message::with_id("m", ""));
    numbers.into_iter().map(job).collect()
}

/// Wakes or spawns the worker that the scheduler calls.
fn answer(scheduler: &Arc<Scheduler>, call: Call, handler: Handler) {
    match call {
        Call::Nobody => {}
        Call::Wake(waker) => waker.wake(),
        Call::Hire(number, cancelled) => {
            let scheduler = scheduler.clone();
            thread::spawn(move || work(&scheduler, number, &cancelled, handler));
        }
    }
}

/// What a handler does with each message that it is called for.
#[derive(Clone, Copy)]
enum Handler {
    /// It acks at once. Its worker takes that many at once.
    AckAtOnce(usize),
    /// It waits, and acks when it is polled again. Its worker takes that many at once, and hands back the others.
    WaitThenAck(usize),
}

/// Runs a worker to its end.
fn work(scheduler: &Arc<Scheduler>, number: u32, cancelled: &AtomicBool, handler: Handler) {
    let (mut outcomes, mut jobs) = (VecDeque::new(), VecDeque::new());
    let (Handler::AckAtOnce(most) | Handler::WaitThenAck(most)) = handler;
    block_on(poll_fn(|cx| {
        loop {
            let (step, call) = scheduler.exchange(number, &mut outcomes, &mut jobs, most, cx);
            answer(scheduler, call, handler);
            match step {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Step::Stop) => return Poll::Ready(()),
                Poll::Ready(Step::Linger(_)) => unreachable!("it takes no batches"),
                Poll::Ready(Step::Work { .. }) => {}
            }
            if matches!(handler, Handler::WaitThenAck(_)) {
                let mut rest = jobs.split_off(1);
                let keys = jobs.iter().map(|job| job.key);
                let call = scheduler.wait_with(number, keys, &mut outcomes, &mut rest, cx);
                answer(scheduler, call, handler);
                assert!(!cancelled.load(Ordering::Acquire), "nothing is lost");
            }
            let acked = jobs.drain(..).map(|job| job.done(Some(Settlement::Ack)));
            outcomes.extend(acked);
        }
    }));
}

/// Takes a batch, and returns how many messages it has, and in which sweep.
fn poll_batch(scheduler: &Scheduler, cx: &mut Context<'_>) -> Poll<(usize, Sweep)> {
    let mut batch = Vec::new();
    let linger = pin!(tokio::time::sleep(Duration::ZERO));
    scheduler
        .poll_batch(&mut batch, linger, cx)
        .map(|sweep| (batch.len(), sweep))
}

/// Settles this many messages. If they are `stalled`, they make no room before.
fn settle(scheduler: &Scheduler, mut messages: usize, stalled: bool) {
    while messages > 0 {
        let (taken, sweep) = block_on(poll_fn(|cx| poll_batch(scheduler, cx)));
        if stalled {
            scheduler.stalled(taken);
        }
        scheduler.freed(taken, stalled, sweep);
        messages -= taken;
    }
}

/// Waits until there is something to do for a receiver.
fn permit(scheduler: &Scheduler) -> Permit {
    block_on(poll_fn(|cx| scheduler.poll_permit(cx)))
}

/// Receives once, as many messages as it may. Returns whether it was allowed to.
fn receive(
    scheduler: &Arc<Scheduler>,
    numbers: &mut impl Iterator<Item = usize>,
    handler: Handler,
) -> bool {
    let Permit::Receive(asked) = permit(scheduler) else {
        return false;
    };
    let mut jobs = jobs(numbers.take(asked));
    let call = scheduler.received(&mut jobs, Vec::new(), asked, Came::default());
    answer(scheduler, call, handler);
    true
}

fn two_workers(messages: usize, handler: Handler) {
    let scheduler = scheduler(2, messages);
    let mut numbers = 0..messages;
    // The first message may be handled, or not, when the others come.
    receive(&scheduler, &mut numbers.by_ref().take(1), handler);
    receive(&scheduler, &mut numbers, handler);
    scheduler.close(Phase::Finishing);
    settle(&scheduler, messages, false);
    // `loom` waits for the workers, too.
    block_on(scheduler.settled());
    assert_eq!(scheduler.in_flight(), 0);
}

#[test]
fn loom_two_workers_handle_all_messages() {
    search(3, || two_workers(3, Handler::AckAtOnce(1)));
}

#[test]
fn loom_two_workers_handle_what_one_of_them_hands_back() {
    search(3, || two_workers(3, Handler::WaitThenAck(2)));
}

/// A worker with one message, whose handler waits until it is cancelled.
#[test]
fn loom_a_lease_lost_before_its_handler_waits_cancels_it_in_the_end() {
    search(3, || {
        let scheduler = scheduler(1, 1);
        let waits = Arc::new((Notify::new(), AtomicBool::new(false)));
        let monitor = {
            let (scheduler, waits) = (scheduler.clone(), waits.clone());
            thread::spawn(move || {
                let lost = HashSet::from([key(0)]);
                let dropped = scheduler.lose(&lost).0.unstarted.len();
                // It tells again of leases that are lost. Once the handler waits, it must be heard.
                while !waits.1.load(Ordering::Acquire) {
                    waits.0.wait();
                }
                _ = scheduler.lose(&lost);
                dropped
            })
        };
        assert_eq!(permit(&scheduler), Permit::Receive(1));
        let call = scheduler.received(&mut jobs([0]), Vec::new(), 1, Came::default());
        let Call::Hire(number, cancelled) = call else {
            unreachable!("the first worker is hired");
        };
        let (mut outcomes, mut jobs) = (VecDeque::new(), VecDeque::new());
        let mut began = false;
        let cancelled = block_on(poll_fn(|cx| {
            if !began {
                let (step, _) = scheduler.exchange(number, &mut outcomes, &mut jobs, 1, cx);
                if step.is_pending() {
                    // It was lost before it was started.
                    return Poll::Ready(false);
                }
                began = true;
                let keys = iter::once(key(0));
                _ = scheduler.wait_with(number, keys, &mut outcomes, &mut VecDeque::new(), cx);
                waits.1.store(true, Ordering::Release);
                waits.0.notify();
            }
            // The engine swaps it. `loom` lets a swap that found nothing come after a store that it came before, and would not see that store.
            match cancelled.load(Ordering::Acquire) {
                true => Poll::Ready(true),
                false => Poll::Pending,
            }
        }));
        if !cancelled {
            waits.1.store(true, Ordering::Release);
            waits.0.notify();
        }
        let dropped = monitor.join().expect("a monitor that ends");
        assert_eq!(
            dropped,
            usize::from(!cancelled),
            "it is dropped or cancelled"
        );
    });
}

/// A worker that waits with a message, is done with it, and waits with the next one. Only the first one's lease is lost.
#[test]
fn loom_a_cancellation_of_an_earlier_call_is_not_for_the_next_one() {
    search(3, || {
        let scheduler = scheduler(1, 2);
        assert_eq!(permit(&scheduler), Permit::Receive(2));
        let call = scheduler.received(&mut jobs([0, 1]), Vec::new(), 2, Came::default());
        let Call::Hire(number, cancelled) = call else {
            unreachable!("the first worker is hired");
        };
        let cx = &Context::from_waker(Waker::noop());
        let (mut outcomes, mut jobs) = (VecDeque::new(), VecDeque::new());
        let mut none = VecDeque::new();
        _ = scheduler.exchange(number, &mut outcomes, &mut jobs, 1, cx);
        _ = scheduler.wait_with(number, iter::once(key(0)), &mut outcomes, &mut none, cx);
        let monitor = {
            let scheduler = scheduler.clone();
            thread::spawn(move || {
                // Twice: lost leases are told again until a settler has them.
                let lost = HashSet::from([key(0)]);
                _ = scheduler.lose(&lost);
                _ = scheduler.lose(&lost);
            })
        };
        // Its handler returns, whether it was cancelled or not.
        let acked = jobs.drain(..).map(|job| job.done(Some(Settlement::Ack)));
        outcomes.extend(acked);
        _ = scheduler.exchange(number, &mut outcomes, &mut jobs, 1, cx);
        assert_eq!(jobs[0].key, key(1));
        _ = scheduler.wait_with(number, iter::once(key(1)), &mut outcomes, &mut none, cx);
        assert!(!cancelled.load(Ordering::Acquire), "its lease is live");
        monitor.join().expect("a monitor that ends");
        assert!(!cancelled.load(Ordering::Acquire), "its lease is live");
    });
}

fn one_place_for_two_messages(stalled: bool) {
    let scheduler = scheduler(1, 1);
    let settler = {
        let scheduler = scheduler.clone();
        thread::spawn(move || settle(&scheduler, 2, stalled))
    };
    let mut numbers = 0..2;
    while !numbers.is_empty() {
        assert!(receive(&scheduler, &mut numbers, Handler::AckAtOnce(1)));
    }
    settler.join().expect("a settler that ends");
    assert_eq!(scheduler.in_flight(), 0);
    scheduler.close(Phase::Draining);
}

#[test]
fn loom_what_is_acked_makes_room_for_a_receive() {
    search(2, || one_place_for_two_messages(false));
}

#[test]
fn loom_what_is_settled_late_makes_room_for_a_receive() {
    search(2, || one_place_for_two_messages(true));
}

/// Ends a task that waits, as a runtime does.
#[derive(Default)]
struct Abort(Mutex<(bool, Option<Waker>)>);

impl Abort {
    fn abort(&self) {
        let mut state = self.0.lock().expect("no panic");
        state.0 = true;
        let waker = state.1.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().expect("no panic");
        if state.0 {
            return Poll::Ready(());
        }
        state.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn closed_while_it_runs(phase: Phase) {
    let scheduler = scheduler(1, 1);
    let abort = Arc::new(Abort::default());
    {
        let scheduler = scheduler.clone();
        thread::spawn(move || {
            // It ends when the route receives no more.
            let mut numbers = 0..1;
            while receive(&scheduler, &mut numbers, Handler::AckAtOnce(1)) && !numbers.is_empty() {}
            block_on(poll_fn(|cx| scheduler.poll_closed(false, cx)));
        });
    }
    {
        let (scheduler, abort) = (scheduler.clone(), abort.clone());
        thread::spawn(move || {
            block_on(poll_fn(|cx| {
                while let Poll::Ready((taken, sweep)) = poll_batch(&scheduler, cx) {
                    scheduler.freed(taken, false, sweep);
                }
                abort.poll(cx)
            }));
        });
    }
    scheduler.close(phase);
    block_on(scheduler.settled());
    assert_eq!(scheduler.in_flight(), 0, "nothing is left behind");
    // As `engine::run` does.
    scheduler.close(Phase::Draining);
    abort.abort();
}

#[test]
fn loom_a_route_that_drains_ends() {
    search(2, || closed_while_it_runs(Phase::Draining));
}

#[test]
fn loom_a_route_that_finishes_ends() {
    search(2, || closed_while_it_runs(Phase::Finishing));
}
