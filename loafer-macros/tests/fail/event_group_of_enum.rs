use loafer::Event;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event(topic = "paid", group = customer)]
enum Paid {
    Early { customer: String },
    Late { customer: String },
}

fn main() {}
