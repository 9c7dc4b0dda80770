//! The three listeners in memory, under virtual time: each hears every order, and fails for itself.

use loafer::{testing, testing::TestApp};

use super::*;

async fn app(customers: &str) -> TestApp {
    testing::app().state(Customers::of(customers)).start().await
}

fn closed(id: u64, customer: &str) -> OrderClosed {
    OrderClosed {
        id,
        customer: customer.to_owned(),
        cents: 1250,
    }
}

#[tokio::test(start_paused = true)]
async fn each_listener_hears_of_each_order() {
    let app = app("ana,bia").await;
    for (id, customer) in [(1, "ana"), (2, "bia")] {
        app.publish_event(&closed(id, customer)).await;
    }
    app.settled().await;
    for route in ["stock", "invoice", "e-mail"] {
        app.route(route).assert_acked(2).assert_no_dead_letters();
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_listener_fails_at_the_others_are_not_told_of() {
    let app = app("ana").await;
    for (id, customer) in [(1, "ana"), (2, "bia"), (3, "caio")] {
        app.publish_event(&closed(id, customer)).await;
    }
    app.settled().await;
    let invoice = app.route("invoice");
    invoice.assert_acked(1).assert_failed(4);
    invoice.assert_dead_lettered("nobody knows `bia`");
    invoice.assert_dead_lettered("nobody knows `caio`");
    for route in ["stock", "e-mail"] {
        let route = app.route(route);
        assert_eq!((route.received(), route.acked()), (3, 3));
        route.assert_no_dead_letters();
    }
}

#[tokio::test(start_paused = true)]
async fn a_customer_is_waited_for_a_second() {
    let app = app("ana").await;
    app.publish_event(&closed(1, "bia")).await;
    app.advance(Duration::from_millis(900)).await;
    let invoice = app.route("invoice");
    invoice.assert_failed(1).assert_no_dead_letters();
    app.settled().await;
    app.route("invoice").assert_failed(2);
}
