//! The program of the handlers.

#![allow(unreachable_pub, reason = "the handlers are those of the tests, too")]

mod handlers;

loafer::main!(handlers::setup);
