use loafer::Event;
use serde::Serialize;

#[derive(Serialize)]
struct Customer {
    id: u64,
}

#[derive(Serialize, Event)]
#[event(topic = "paid", group = customer)]
struct Paid {
    customer: Customer,
}

fn main() {}
