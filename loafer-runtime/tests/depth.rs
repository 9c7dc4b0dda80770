//! How much a queue holds, asked before, while and after its route runs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use loafer_core::{message::Message, translate::Json};
use loafer_memory::Memory;
use loafer_runtime::program::{App, Manager, Route};

fn manager(memory: &Memory) -> Manager {
    let route =
        Route::new("orders").handler(Json, async |_: u64| std::future::pending::<bool>().await);
    let app = App::new().broker(memory.clone());
    Manager::builder().app(app).route(route).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_depth_is_told_before_and_while_a_route_runs_and_not_after() {
    let memory = Memory::new();
    memory.send("orders", ["1", "2"].map(Message::new));
    let waiting = manager(&memory);
    let depth = waiting.depth("orders").await.unwrap();
    assert_eq!((depth.ready, depth.in_flight), (Some(2), Some(0)));
    let findings = waiting.check().await.remove(0).1;
    let told = "queue `orders` holds 2 ready, 0 in flight, 0 delayed, the oldest sent 0s ago";
    let found = findings.iter().any(|finding| finding.text == told);
    assert!(found, "{findings:?}");

    let running = waiting.start().await.unwrap();
    while running.in_flight() < 2 {
        tokio::task::yield_now().await;
    }
    let depth = running.depth("orders").await.unwrap();
    assert_eq!((depth.ready, depth.in_flight), (Some(0), Some(2)));
    let unknown = running.depth("order").await.unwrap_err().to_string();
    assert!(unknown.contains("did you mean `orders`?"), "{unknown}");
    running.cancel();
    running.shutdown();
    running.ended().await;
    let ended = running.depth("orders").await.unwrap_err().to_string();
    assert!(ended.contains("route `orders` has ended"), "{ended}");
}
