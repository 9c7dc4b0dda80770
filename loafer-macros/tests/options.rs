//! What a broker is given of the options that the attribute sets.

#[path = "support/rabbit.rs"]
mod rabbit;

use loafer::{prelude::*, program::Manager};

use self::rabbit::{Argument, Exchange, Rabbit, RabbitOptions, SEEN};

#[handler(
    route = "order-closed",
    provider = Rabbit,
    options(
        exchange = "event",
        binding = ["order.closed", "order.paid"],
        arguments = { "x-max-length" = 10_000, "x-single-active-consumer" = true, "x-overflow" = "reject-publish" },
        priority = 1 + 1,
    )
)]
async fn order_closed(_: u32) -> bool {
    true
}

#[handler(route = "order-paid", provider = Rabbit)]
async fn order_paid(_: u32) -> bool {
    true
}

#[test]
fn a_broker_is_given_what_its_options_say() -> Result<(), loafer::Error> {
    Manager::builder().registered().build()?;
    let mut seen = SEEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    seen.sort_by(|(one, _), (other, _)| one.cmp(other));
    let closed = RabbitOptions {
        exchange: Some(Exchange("event".into())),
        binding: vec!["order.closed".into(), "order.paid".into()],
        arguments: vec![
            ("x-max-length".into(), Argument::Int(10_000)),
            ("x-single-active-consumer".into(), Argument::Bool(true)),
            (
                "x-overflow".into(),
                Argument::String("reject-publish".into()),
            ),
        ],
        priority: Some(2),
    };
    let expected = [
        ("order-closed".to_owned(), closed),
        ("order-paid".to_owned(), RabbitOptions::default()),
    ];
    assert_eq!(*seen, expected);
    Ok(())
}
