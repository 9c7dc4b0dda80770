use loafer::Event;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event(topic = "paid", deduplication_id = self.payment.to_string())]
struct Paid {
    payment: u64,
}

fn main() {}
