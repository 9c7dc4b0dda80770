//! Messages that were handled, and come again before they are acked.

use std::time::Duration;

use loafer_core::broker::Capabilities;
use loafer_runtime::program::RouteOptions;
use tokio::time::sleep;

use crate::scripted::{Answer, Scripted};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_redelivery_while_the_ack_is_tried_again_does_not_run_the_handler() {
    for leaseless in [false, true] {
        let mut broker = Scripted::default()
            .then(Duration::ZERO, [1])
            .then(SECOND, [1]);
        // They take 3 s and more.
        for _ in 0..6 {
            broker = broker.answering(1, Answer::Failed);
        }
        broker.lock().leaseless = leaseless;
        let running = broker.start(RouteOptions::new(), |_| Duration::ZERO).await;
        sleep(60 * SECOND).await;
        assert_eq!(broker.lock().handled, [1]);
        let stats = running.stats("r").unwrap();
        assert_eq!((stats.received, stats.acked, stats.repeated), (2, 2, 1));
        assert_eq!(running.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_of_what_lost_its_lease_while_it_waited_for_a_settler_does_not_run_the_handler()
 {
    let one_settler: fn(&mut Capabilities) = |capabilities| capabilities.settlers = 1;
    let broker = Scripted::default()
        .able(one_settler)
        .then(Duration::ZERO, [1])
        .then(8 * SECOND, [2])
        .then(28 * SECOND, [2]);
    {
        let mut script = broker.lock();
        // The settler is busy for as long as the first lease lasts, and the renewal of the second one is refused before that.
        script.settlements_hang = [1].into();
        script.renewals_are_refused_after = Some(Duration::ZERO);
        script.refused = vec![2];
        script.settlements_take = Duration::ZERO;
    }
    let handler = |number| {
        if number == 1 {
            7 * SECOND
        } else {
            Duration::ZERO
        }
    };
    let running = broker.start(RouteOptions::new(), handler).await;
    sleep(27 * SECOND + SECOND / 2).await;
    assert_eq!(broker.lock().tried.len(), 1, "the second one waits");
    assert_eq!(running.stats("r").unwrap().lost, 0);
    sleep(60 * SECOND).await;
    assert_eq!(broker.lock().handled, [1, 2]);
    assert_eq!(broker.acked_payloads(), [2]);
    assert_eq!(running.stats("r").unwrap().repeated, 1);
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_while_the_first_try_of_the_ack_is_on_its_way_does_not_run_the_handler() {
    let broker = Scripted::default()
        .leaseless()
        .then(Duration::ZERO, [1])
        .then(2 * SECOND, [1])
        .answering(1, Answer::Lost);
    broker.lock().settlements_take = 5 * SECOND;
    let running = broker.start(RouteOptions::new(), |_| Duration::ZERO).await;
    sleep(SECOND).await;
    broker.lose([1]);
    sleep(SECOND / 2).await;
    broker.lock().gone.clear();
    sleep(60 * SECOND).await;
    assert_eq!(broker.lock().handled, [1]);
    assert_eq!(running.stats("r").unwrap().repeated, 1);
}
