//! A service whose `setup` forgot the state.

use loafer::prelude::*;

struct Prices;

#[handler(route = "order-placed")]
async fn order_placed(_order: String, _prices: State<Prices>) -> bool {
    true
}

loafer::main!();
