//! The example `orders` on RabbitMQ: three listeners of one event, one of which fails, and is the only one to try again.

use serde_json::Value;
use tokio::process::Command;

use super::{
    count,
    support::{Ended, Service, aws::unique, program, run},
};

const ROUTES: [&str; 3] = ["stock", "invoice", "e-mail"];

/// A shop of this test's own, whose services know these customers.
struct Shop {
    url: String,
    name: String,
}

impl Shop {
    fn opened(test: &str) -> Option<Self> {
        let Ok(url) = std::env::var("LOAFER_TEST_RABBITMQ") else {
            eprintln!("skipped: {test}: set LOAFER_TEST_RABBITMQ, or run cargo xtask test");
            return None;
        };
        Some(Self {
            url,
            name: unique("shop"),
        })
    }

    /// The services, with this command line.
    fn orders(&self, customers: &str, arguments: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_orders"), arguments);
        command
            .env("AMQP_URL", &self.url)
            .env("CUSTOMERS", customers);
        for route in ROUTES {
            let key = route.to_uppercase().replace('-', "_");
            let queue = format!("{}.{route}", self.name);
            command.env(format!("LOAFER_ROUTES__{key}__QUEUE"), queue);
        }
        command
    }

    async fn running(&self, customers: &str) -> Service {
        let service = Service::spawn(&mut self.orders(customers, &[]));
        service.stderr.wait_for("running").await;
        service
    }

    async fn close(&self, order: &str, customer: &str) {
        let mut command = program(
            env!("CARGO_BIN_EXE_close_order"),
            &[order, customer, "1250"],
        );
        let closed = run(command.env("AMQP_URL", &self.url)).await;
        assert_eq!(closed.code, Some(0), "{}", closed.stderr);
    }

    /// `orders dead-letters ROUTE …`
    async fn dead_letters(&self, route: &str, arguments: &[&str]) -> Ended {
        let line = [&["dead-letters", route], arguments].concat();
        let ended = run(&mut self.orders("", &line)).await;
        assert_eq!(ended.code, Some(0), "{line:?}: {}", ended.stderr);
        ended
    }

    async fn listed(&self, route: &str) -> Vec<Value> {
        let listed = self.dead_letters(route, &["list", "--json"]).await;
        let lines = listed.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

#[tokio::test]
async fn only_the_listener_that_failed_is_called_again() {
    let Some(shop) = Shop::opened("only_the_listener_that_failed_is_called_again") else {
        return;
    };
    let service = shop.running("ana").await;
    for (order, customer) in [("1", "ana"), ("2", "bia"), ("3", "caio")] {
        shop.close(order, customer).await;
    }
    for route in ["stock:", "e-mail:"] {
        let all = |text: &str| count(text, route) >= 3;
        service.stdout.wait_until("three of each", all).await;
    }
    // Two fail, a second later once more, and are given up.
    let failures = |text: &str| count(text, "invoice: nobody knows") >= 4;
    service.stdout.wait_until("four failures", failures).await;
    let first = service.terminated().await;
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert_eq!(count(&first.stdout, "invoice: order 1,"), 1);

    let mut found = shop.listed("invoice").await;
    assert_eq!(found.len(), 2, "{found:?}");
    // Two that waited for the same delay may be given up in either order.
    found.sort_by_key(|dead_letter| dead_letter["reason"].to_string());
    assert_eq!(found[0]["kind"], "rejected");
    assert_eq!(found[0]["reason"], "nobody knows `bia`");
    for route in ["stock", "e-mail"] {
        assert!(shop.listed(route).await.is_empty(), "{route}");
    }

    // The customers are known now.
    let service = shop.running("ana,bia,caio").await;
    let id = found[0]["id"].as_str().unwrap();
    let again = shop.dead_letters("invoice", &["retry", id]).await;
    assert!(again.stderr.contains("1 tried again"), "{}", again.stderr);
    service.stdout.wait_for("invoice: order 2,").await;
    let again = shop.dead_letters("invoice", &["retry", "--all"]).await;
    assert!(again.stderr.contains("1 tried again"), "{}", again.stderr);
    service.stdout.wait_for("invoice: order 3,").await;
    let second = service.terminated().await;
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    let called = ["stock:", "e-mail:", "invoice:"].map(|start| count(&second.stdout, start));
    assert_eq!(called, [0, 0, 2], "{}", second.stdout);
    assert!(shop.listed("invoice").await.is_empty());
}

#[tokio::test]
async fn the_orders_run_in_memory_with_nothing_around_them() {
    let mut command = program(env!("CARGO_BIN_EXE_orders"), &["--provider", "memory"]);
    let service = Service::spawn(&mut command);
    let failures = |text: &str| count(text, "invoice: nobody knows") >= 4;
    service.stdout.wait_until("four failures", failures).await;
    let ended = service.terminated().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let called = ["stock:", "e-mail:", "invoice: order"].map(|start| count(&ended.stdout, start));
    assert_eq!(called, [3, 3, 1], "{}", ended.stdout);
}

#[tokio::test]
async fn a_retry_of_what_is_not_there_says_so() {
    let Some(shop) = Shop::opened("a_retry_of_what_is_not_there_says_so") else {
        return;
    };
    let checked = run(&mut shop.orders("", &["check", "--create"])).await;
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    let line = ["dead-letters", "stock", "retry", "nothing"];
    let ended = run(&mut shop.orders("", &line)).await;
    assert_eq!(ended.code, Some(1));
    let said = format!("error: nothing: not found in `{}.stock.dead`", shop.name);
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
}
