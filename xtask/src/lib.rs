//! What the tasks of this workspace share with their tests: the rules that its sources keep, and the checks of them.
//!
//! | module | what it is |
//! |---|---|
//! | [`house`] | which module may name which, and which words are retired |

pub mod house;
