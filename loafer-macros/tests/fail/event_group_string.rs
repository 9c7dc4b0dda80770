use loafer::Event;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event(topic = "paid", group = "customer")]
struct Paid {
    customer: String,
}

fn main() {}
