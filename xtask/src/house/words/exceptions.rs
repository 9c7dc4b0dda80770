//! Where a retired word may stay, and why: data. What is used no more is a fault itself.

/// A place where a word or phrase may stay.
#[derive(Debug)]
pub struct Exception {
    /// The file, from the root of the checkout.
    pub file: &'static str,
    /// The word or phrase.
    pub word: &'static str,
    /// The name that has it, as `Type::name`, or words of the sentence around it.
    pub within: &'static str,
    /// Why it may stay.
    pub reason: &'static str,
}

/// The exceptions of this workspace.
pub const EXCEPTIONS: &[Exception] = &[Exception {
    file: "guides/from-pigeon.md",
    word: "letter",
    within: "letter thief",
    reason: "the name of a program",
}];
