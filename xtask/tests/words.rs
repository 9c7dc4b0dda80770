//! What users read has no retired words, and no exception outlives its need.

use std::path::Path;

use xtask::house::Files;
use xtask::house::words::{self, EXCEPTIONS};

#[test]
fn what_users_read_has_no_retired_words() {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = Files::read(xtask.parent().unwrap_or(xtask)).expect("the checkout can be read");
    let report = words::check(&files, EXCEPTIONS).expect("its sources can be parsed");
    let faults = report.faults();
    assert!(faults.is_empty(), "\n{}\n\n{report}", faults.join("\n"));
}
