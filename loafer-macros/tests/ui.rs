//! What the macros accept, and what they say of everything else: one case a message.
//!
//! `TRYBUILD=overwrite cargo test -p loafer-macros --test ui` writes the snapshots anew; each is then read by eye.

#[test]
fn every_shape_compiles_without_a_warning() {
    trybuild::TestCases::new().pass("tests/pass/*.rs");
}

#[test]
fn every_mistake_is_told_once_at_its_token() {
    trybuild::TestCases::new().compile_fail("tests/fail/*.rs");
}
