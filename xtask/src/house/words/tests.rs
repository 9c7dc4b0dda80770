//! The reader of words, on small crates.

use super::{Exception, Report, check};
use crate::house::Files;

/// A workspace of one package at its root, with these files.
fn report(files: &[(&str, &str)], exceptions: &'static [Exception]) -> Report {
    let manifest = [(
        "Cargo.toml",
        "[workspace]\nmembers = [\".\"]\n[package]\nname = \"it\"",
    )];
    let files: Files = manifest.iter().chain(files).copied().collect();
    check(&files, exceptions).expect("these files can be read")
}

/// The faults of a crate whose only file this is, without what to say instead.
fn faults(source: &str) -> Vec<String> {
    let faults = report(&[("src/lib.rs", source)], &[]).faults();
    faults.iter().map(|fault| shortened(fault)).collect()
}

fn shortened(fault: &str) -> String {
    let (fault, instead) = fault.split_once("; say: ").expect("it says what to say");
    assert!(!instead.is_empty());
    fault.to_owned()
}

#[test]
fn a_crate_that_says_what_the_field_says_has_no_fault() {
    let source = "//! Dead letters.\n/// Returns the dead letters, of letters, digits.\npub fn dead_letters() {}";
    assert_eq!(faults(source), Vec::<String>::new());
}

#[test]
fn retired_words_are_found_in_all_that_is_public() {
    let source = "pub struct Letter {\n    pub rung: u8,\n    own_rung: u8,\n}\n\
                  pub enum E {\n    Bulk,\n    Other { held: u8 },\n}\n\
                  pub trait Broker {\n    const NAME: u8;\n    fn holds(&self);\n}\n\
                  impl E {\n    pub fn of_ladder() {}\n    fn own_ladder() {}\n}\n\
                  #[macro_export]\nmacro_rules! lanes { () => {} }";
    let expected = [
        "src/lib.rs:1: `Letter` has `letter` in it",
        "src/lib.rs:2: `Letter::rung` has `rung` in it",
        "src/lib.rs:6: `E::Bulk` has `Bulk` in it",
        "src/lib.rs:7: `E::Other::held` has `held` in it",
        "src/lib.rs:10: `Broker::NAME` has `NAME` in it",
        "src/lib.rs:11: `Broker::holds` has `holds` in it",
        "src/lib.rs:14: `E::of_ladder` has `ladder` in it",
        "src/lib.rs:18: `lanes` has `lanes` in it",
    ];
    assert_eq!(faults(source), expected);
}

#[test]
fn what_is_private_is_for_information() {
    let source =
        "struct Letter {\n    pub rung: u8,\n}\nenum E { Bulk }\npub(crate) fn keeper() {}";
    let report = report(&[("src/lib.rs", source)], &[]);
    let private: Vec<String> = report.private().iter().map(|it| shortened(it)).collect();
    let expected = [
        "src/lib.rs:1: `Letter` has `letter` in it",
        "src/lib.rs:4: `E::Bulk` has `Bulk` in it",
        "src/lib.rs:5: `keeper` has `keeper` in it",
    ];
    assert_eq!(private, expected);
    assert_eq!(
        report.faults().len(),
        1,
        "the field of a private type is `pub`"
    );
}

#[test]
fn modules_and_files_count_wherever_they_are() {
    let files = [
        ("src/lib.rs", "mod a;\nmod inner {\n    mod board {}\n}"),
        ("src/a/mod.rs", "mod handled;"),
        ("src/a/handled.rs", "pub fn handled() {}"),
        ("tests/ladder/main.rs", ""),
        ("tests/ladder/rung.rs", ""),
        ("guides/letters.md", ""),
    ];
    let faults = report(&files, &[]).faults();
    let places: Vec<&str> = faults
        .iter()
        .filter_map(|it| it.split(": ").next())
        .collect();
    let expected = [
        "guides/letters.md:1",
        "src/a/handled.rs:1",
        "src/lib.rs:3",
        "tests/ladder/main.rs:1",
        "tests/ladder/rung.rs:1",
    ];
    assert_eq!(places, expected);
}

#[test]
fn phrases_are_found_in_what_readers_see() {
    let source = "//! It comes again.\n\n\
                  /// The time; none:\n/// never.\n///\n/// ```\n/// // comes again\n/// ```\npub fn f() {}\n\
                  #[doc = \"The same with more.\"]\npub use std::fs;\n\
                  pub struct S {\n    /// What is\n    /// told.\n    pub x: u8,\n}\n\
                  text! {\n    /// In hand.\n    Made\n}";
    let expected = [
        "src/lib.rs:1: \"comes again\" in \"It comes again.\"",
        "src/lib.rs:3: \"none:\" in \"The time; none: never.\"",
        "src/lib.rs:10: \"The same with\" in \"The same with more.\"",
        "src/lib.rs:13: \"is told\" in \"What is told.\"",
        "src/lib.rs:18: \"in hand\" in \"In hand.\"",
    ];
    assert_eq!(faults(source), expected);
}

#[test]
fn phrases_that_readers_do_not_see_are_for_information() {
    let source = "/// It comes again.\nfn f() {}\n\
                  #[doc(hidden)]\n/// It comes again.\npub fn g() {}\n\
                  mod inner {\n    //! It comes again.\n}";
    let report = report(&[("src/lib.rs", source)], &[]);
    assert_eq!(report.faults(), Vec::<String>::new());
    assert_eq!(report.private().len(), 3);
}

#[test]
fn phrases_are_found_in_the_readme_and_the_guides() {
    let files = [
        ("src/lib.rs", ""),
        (
            "README.md",
            "# Letters\n```sh\nletters\n```\nIt goes\nback.",
        ),
        ("guides/a.md", "Where not, it is in flight."),
        ("CHANGELOG.md", "letters"),
    ];
    let faults = report(&files, &[]).faults();
    let faults: Vec<String> = faults.iter().map(|fault| shortened(fault)).collect();
    let expected = [
        "README.md:1: \"letters\" in \"# Letters It goes back.\"",
        "README.md:5: \"goes back\" in \"# Letters It goes back.\"",
        "guides/a.md:1: \"Where not,\" in \"Where not, it is in flight.\"",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn an_exception_excuses_one_place() {
    const EXCEPTIONS: &[Exception] = &[
        Exception {
            file: "src/lib.rs",
            word: "place",
            within: "S::place",
            reason: "a place on a map",
        },
        Exception {
            file: "README.md",
            word: "goes back",
            within: "goes back in time",
            reason: "it is time that goes",
        },
    ];
    let files = [
        (
            "src/lib.rs",
            "pub struct S {\n    pub place: u8,\n}\npub fn place() {}",
        ),
        ("README.md", "It goes back in time."),
    ];
    let faults = report(&files, EXCEPTIONS).faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(
        shortened(&faults[0]),
        "src/lib.rs:4: `place` has `place` in it"
    );
}

#[test]
fn an_exception_that_nothing_needs_is_a_fault() {
    const EXCEPTIONS: &[Exception] = &[Exception {
        file: "src/lib.rs",
        word: "place",
        within: "place",
        reason: "a place on a map",
    }];
    let faults = report(&[("src/lib.rs", "fn place() {}")], EXCEPTIONS).faults();
    let expected = "src/lib.rs: nothing has \"place\" within \"place\" any more (a place on a map): \
                    delete the exception in xtask/src/house/words/exceptions.rs";
    assert_eq!(faults, [expected]);
}
