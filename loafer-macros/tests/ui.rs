//! What the macros accept, and what they say of everything else: one case a message.
//!
//! `TRYBUILD=overwrite cargo test -p loafer-macros --test ui` writes the snapshots anew; each is then read by eye.

#[test]
fn every_shape_compiles_and_every_mistake_is_reported_once_at_its_token() {
    // One set for both: the dependencies are built once.
    let cases = trybuild::TestCases::new();
    cases.pass("tests/pass/*.rs");
    cases.compile_fail("tests/fail/*.rs");
}
