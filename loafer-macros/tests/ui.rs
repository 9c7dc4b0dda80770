//! What the macros accept, and what they say of everything else: one case a message.
//!
//! `TRYBUILD=overwrite cargo test -p loafer-macros --test ui` writes the snapshots anew; each is then read by eye.

#[test]
fn every_shape_compiles() {
    trybuild::TestCases::new().pass("tests/pass/*.rs");
}

/// Apart from those that compile: of mistakes alone, one call of cargo checks all.
#[test]
fn every_mistake_is_reported_once_at_its_token() {
    trybuild::TestCases::new().compile_fail("tests/fail/*.rs");
}
