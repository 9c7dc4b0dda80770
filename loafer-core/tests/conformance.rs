//! The conformance suite on the broker in memory, whole and sabotaged.

use loafer_core::{Memory, testing::conformance};

#[tokio::test(start_paused = true)]
async fn memory_conforms() {
    conformance::run(Memory::new()).await.assert_passed();
}
