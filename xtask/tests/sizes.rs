//! Files, the contract and the facade's root stay small.

use std::path::Path;

use xtask::house::{Files, sizes};

#[test]
fn files_the_contract_and_the_root_stay_small() {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = Files::read(xtask.parent().unwrap_or(xtask)).expect("the checkout can be read");
    let faults = sizes::check(&files).expect("the facade can be parsed");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
