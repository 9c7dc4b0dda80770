//! What does not go together with batches.

use loafer_core::{extract::Batch, translate::Json};
use loafer_runtime::{
    program::{Route, RouteOptions},
    testing,
};

use super::LINGER;

/// What the service says where it can't start.
async fn refusal(app: testing::TestBuilder) -> String {
    let started = tokio::spawn(async { drop(app.start().await) });
    let panic = started.await.unwrap_err().into_panic();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn keys_of_batches_on_a_handler_of_single_messages_stop_the_start() {
    for (key, options) in [
        ("batch", RouteOptions::new().batch(5)),
        ("linger", RouteOptions::new().linger(LINGER)),
    ] {
        let route = Route::new("r").handler(Json, async |_: u32| true);
        let said = refusal(testing::app().route(route).options("r", options)).await;
        assert!(
            said.contains(&format!("route `r`: `{key}` is set")),
            "{said}"
        );
        assert!(said.contains("take a `Batch<T>`"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn layers_around_a_batch_handler_stop_the_start() {
    let route = Route::new("r").batch_handler(Json, async |_: Batch<u32>| true);
    let layer = tower::layer::util::Identity::new();
    let said = refusal(testing::app().route(route).layer(layer)).await;
    assert!(
        said.contains("route `r`: layers go around one message at a time"),
        "{said}"
    );
    assert!(said.contains("app.layer_for(ROUTE, layer)"), "{said}");
}
