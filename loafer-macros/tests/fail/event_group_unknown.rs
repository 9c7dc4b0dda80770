use loafer::Event;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event(topic = "paid", group = custmer)]
struct Paid {
    customer: String,
}

fn main() {}
