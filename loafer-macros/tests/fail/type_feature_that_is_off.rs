//! Types of features that are off say which.

use loafer::prelude::*;

#[handler(route = "orders", provider = Amqp)]
async fn placed(id: u64) -> bool {
    id > 0
}

#[handler(route = "payments", translator = Protobuf)]
async fn paid(id: u64) -> bool {
    id > 0
}

#[handler(route = "refunds", provider = Sqs, translator = MessagePack)]
async fn refunded(id: u64) -> bool {
    id > 0
}

fn main() {}
