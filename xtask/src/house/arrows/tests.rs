//! The reader of arrows, on small crates.

use super::{Fault, MayName, Order, RULES, Report, Rules, check};
use crate::house::Files;

/// A crate of any order.
const FREE: Rules = Rules {
    orders: &[],
    packages: &[],
    free: &["it"],
};

const ORDERED: Rules = Rules {
    orders: &[Order {
        package: "it",
        layers: &[&["low"], &["left", "right"], &["high"]],
    }],
    ..FREE
};

/// A workspace of one package, whose `src/` has these files.
fn report(rules: &Rules, sources: &[(&str, &str)]) -> Report {
    let manifests = [
        ("Cargo.toml", "[workspace]\nmembers = [\"it\"]"),
        ("it/Cargo.toml", "[package]\nname = \"it\""),
    ];
    let manifests = manifests.map(|(path, text)| (path.to_owned(), text));
    let sources = sources
        .iter()
        .map(|(path, text)| (format!("it/src/{path}"), *text));
    let files: Files = manifests.into_iter().chain(sources).collect();
    check(&files, rules).expect("these files can be read")
}

/// The arrows, as `FROM TO FILE:LINE` with the file in `it/src/`.
fn arrows(sources: &[(&str, &str)]) -> Vec<String> {
    let report = report(&FREE, sources);
    let krate = report.crates.first().expect("it has a crate");
    let line = |(from, to, arrow)| {
        let line = krate.line(from, to, arrow);
        let file = line.file.trim_start_matches("it/src/");
        format!("{} {} {file}:{}", line.from, line.to, line.line)
    };
    krate.graph.all().map(line).collect()
}

/// The only fault, which is a circle: its modules, and the places that make it.
fn circle(sources: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    match report(&FREE, sources).faults {
        faults if faults.len() != 1 => panic!("not one fault: {faults:?}"),
        mut faults => match faults.remove(0) {
            Fault::Circle { modules, way, .. } => {
                let place = |line: &super::Line| format!("{}:{}", line.file, line.line);
                (modules, way.iter().map(place).collect())
            }
            other => panic!("no circle: {other}"),
        },
    }
}

#[test]
fn a_crate_whose_arrows_run_one_way_has_no_fault() {
    let report = report(
        &ORDERED,
        &[
            (
                "lib.rs",
                "mod high; mod left; mod low; mod right;\npub use self::{high::H, low::L};",
            ),
            ("low.rs", "pub struct L;"),
            ("left.rs", "use crate::L;\npub(crate) fn f(_: L) {}"),
            ("right.rs", "use crate::left::f;"),
            (
                "high.rs",
                "use crate::{L, left::f};\npub struct H(super::low::L);",
            ),
        ],
    );
    assert_eq!(report.faults_in_words(), "");
}

#[test]
fn a_circle_through_the_names_of_the_root_is_found() {
    let (modules, way) = circle(&[
        (
            "lib.rs",
            "mod a; mod b; mod c;\npub use self::{a::A, b::B, c::C};",
        ),
        ("a.rs", "use crate::B;\npub struct A(B);"),
        ("b.rs", "pub struct B;\n\nuse crate::C;"),
        (
            "c.rs",
            "use std::fmt;\nuse crate::{\n    A,\n};\npub struct C;",
        ),
    ]);
    assert_eq!(modules, ["a", "b", "c"]);
    let lines = ["it/src/a.rs:1", "it/src/b.rs:3", "it/src/c.rs:3"];
    assert_eq!(way, lines);
}

#[test]
fn a_circle_through_a_glob_of_the_root_is_found() {
    let (modules, way) = circle(&[
        ("lib.rs", "mod a; mod b;\npub use self::a::*;"),
        ("a.rs", "pub fn f() { crate::b::g() }"),
        ("b.rs", "pub fn g() {}\npub fn h() { crate::f() }"),
    ]);
    assert_eq!(modules, ["a", "b"]);
    assert_eq!(way, ["it/src/a.rs:1", "it/src/b.rs:2"]);
}

#[test]
fn a_circle_through_other_names_is_found() {
    let (_, way) = circle(&[
        (
            "lib.rs",
            "mod a; mod b;\nuse self::a as first;\npub use self::b::B as Second;",
        ),
        ("a.rs", "pub struct A(crate::Second);"),
        ("b.rs", "pub struct B;\nuse super::first::A;"),
    ]);
    assert_eq!(way, ["it/src/a.rs:1", "it/src/b.rs:2"]);
}

#[test]
fn re_exports_are_followed_to_where_the_item_is() {
    let arrows = arrows(&[
        ("lib.rs", "mod a; mod b; mod c;\npub use self::b::Z;"),
        ("a.rs", "pub struct X;"),
        (
            "b.rs",
            "pub use self::inner::*;\nmod inner { pub use crate::a::X as Y; pub use super::Y as Z; }",
        ),
        ("c.rs", "\nuse crate::Z;"),
    ]);
    assert_eq!(arrows, ["b a b.rs:2", "c a c.rs:2"]);
}

#[test]
fn a_module_that_a_path_says_counts_besides_the_one_it_leads_to() {
    let arrows = arrows(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "pub struct X;"),
        ("b.rs", "pub use crate::a::X;"),
        ("c.rs", "use crate::b;\n\nfn f(_: b::X) {}"),
    ]);
    assert_eq!(arrows, ["b a b.rs:1", "c a c.rs:3", "c b c.rs:1"]);
}

#[test]
fn paths_in_code_signatures_and_attributes_count() {
    let arrows = arrows(&[
        ("lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
        ("a.rs", "pub fn f<T>(_: T) {}"),
        ("b.rs", "fn f() {\n    let x = || crate::a::f(1);\n}"),
        ("c.rs", "impl<T: crate::a::Tr> X<T> {}\n"),
        (
            "d.rs",
            "struct D {\n    #[serde(with = \"super::a\")]\n    x: u8,\n}",
        ),
        ("e.rs", "\nfn f() { println!(\"{}\", crate::a::f(1)) }"),
    ]);
    let all = ["b a b.rs:2", "c a c.rs:1", "d a d.rs:2", "e a e.rs:2"];
    assert_eq!(arrows, all);
}

#[test]
fn macros_count_where_they_stand_and_where_they_are_called() {
    let arrows = arrows(&[
        ("lib.rs", "mod a; #[macro_use] mod b; mod c; mod d;"),
        ("a.rs", "pub fn f() {}"),
        (
            "b.rs",
            "#[macro_export]\nmacro_rules! out { () => { $crate::a::f() } }\nmacro_rules! within { () => {} }",
        ),
        ("c.rs", "fn f() { crate::out!() }"),
        ("d.rs", "\nfn f() { within!() }"),
    ]);
    assert_eq!(arrows, ["b a b.rs:2", "c b c.rs:1", "d b d.rs:2"]);
}

#[test]
fn names_that_come_through_a_glob_count() {
    let arrows = arrows(&[
        ("lib.rs", "mod a; mod b;\nuse self::a::A;"),
        ("a.rs", "pub struct A;"),
        ("b.rs", "use super::*;\nfn f(a: u8) -> A { a }"),
    ]);
    assert_eq!(arrows, ["lib.rs a lib.rs:2", "b a b.rs:2"]);
}

#[test]
fn a_function_is_not_the_module_of_its_name() {
    let arrows = arrows(&[
        ("lib.rs", "mod a; mod b; mod c;\npub use self::b::a;"),
        ("a.rs", "use crate::c::C;"),
        ("b.rs", "pub fn a() {}"),
        ("c.rs", "pub struct C;\nfn f() { super::a() }"),
    ]);
    assert_eq!(arrows, ["a c a.rs:1", "c b c.rs:2"]);
}

#[test]
fn items_that_a_macro_makes_are_those_of_its_module() {
    let arrows = arrows(&[
        ("lib.rs", "mod a; mod b;\npub use self::a::*;"),
        ("a.rs", "text! { A }"),
        ("b.rs", "use crate::A;"),
    ]);
    assert_eq!(arrows, ["b a b.rs:1"]);
}

#[test]
fn what_only_tests_name_does_not_count() {
    let arrows = arrows(&[
        ("lib.rs", "mod a; mod b; #[cfg(test)] mod c;"),
        (
            "a.rs",
            "#[cfg(test)]\nuse crate::b::B;\n#[cfg(test)]\nmod tests { use crate::b::B; }",
        ),
        (
            "b.rs",
            "pub struct B;\nimpl B {\n    #[cfg(test)]\n    fn f(_: crate::a::A) {}\n}",
        ),
    ]);
    assert_eq!(arrows, Vec::<String>::new());
}

#[test]
fn a_module_and_what_is_inside_of_it_are_one() {
    let arrows = arrows(&[
        ("lib.rs", "mod a;"),
        (
            "a/mod.rs",
            "mod one; mod two;\npub(crate) use self::one::One;",
        ),
        ("a/one.rs", "use super::two::Two;\npub(crate) struct One;"),
        ("a/two.rs", "use super::One;\npub(crate) struct Two;"),
    ]);
    assert_eq!(arrows, Vec::<String>::new());
}

#[test]
fn a_prelude_in_the_root_file_is_a_part_of_the_root() {
    let arrows = arrows(&[
        (
            "lib.rs",
            "mod a; mod b;\npub mod prelude { pub use crate::{a::A, b::B}; }",
        ),
        ("a.rs", "pub struct A;"),
        ("b.rs", "pub struct B(crate::prelude::A);"),
    ]);
    assert_eq!(arrows, ["b a b.rs:1"]);
}

#[test]
fn what_the_root_defines_can_be_part_of_a_circle() {
    let (modules, way) = circle(&[
        ("lib.rs", "mod a;\npub struct P;\npub fn f() { a::g() }"),
        ("a.rs", "pub fn g(_: crate::P) {}"),
    ]);
    assert_eq!(modules, ["lib.rs", "a"]);
    assert_eq!(way, ["it/src/lib.rs:3", "it/src/a.rs:1"]);
}

#[test]
fn an_arrow_up_is_found() {
    let report = report(
        &ORDERED,
        &[
            ("lib.rs", "mod high; mod low;\npub use self::high::H;"),
            (
                "low.rs",
                "pub struct L;\nfn f(_: crate::H) {}\nfn g(_: crate::H) {}",
            ),
            ("high.rs", "pub struct H;"),
        ],
    );
    let expected = "it/src/low.rs:2: low → high by `crate::H` (2 times)\n  In it that runs up: low ← left/right ← high. \
                    Move what it needs down, or have it handed in from above.";
    assert_eq!(report.faults_in_words(), expected);
}

#[test]
fn a_module_without_a_place_in_the_order_is_found() {
    let report = report(
        &ORDERED,
        &[
            ("lib.rs", "mod low; mod new;"),
            ("low.rs", ""),
            ("new.rs", ""),
        ],
    );
    let [Fault::Unlisted { modules, .. }] = report.faults() else {
        panic!("{}", report.faults_in_words());
    };
    assert_eq!(modules, &["new"]);
}

#[test]
fn a_path_that_leads_nowhere_is_found() {
    let report = report(
        &FREE,
        &[("lib.rs", "mod a;"), ("a.rs", "\nuse crate::Made;")],
    );
    let [Fault::Unknown { path, file, line }] = report.faults() else {
        panic!("{}", report.faults_in_words());
    };
    assert_eq!(
        (path.as_str(), file.as_str(), *line),
        ("crate::Made", "it/src/a.rs", 2)
    );
}

#[test]
fn names_of_other_crates_lead_to_no_module() {
    let arrows = arrows(&[
        (
            "lib.rs",
            "mod a; mod b; mod c;\npub use other::X;\npub use self::a::*;",
        ),
        ("a.rs", "pub use more::*;"),
        ("b.rs", "use crate::{X, Y};"),
        ("c.rs", "use crate::a::Z;"),
    ]);
    assert_eq!(arrows, ["c a c.rs:1"]);
}

#[test]
fn dependencies_against_the_arrows_are_found() {
    const RULES: Rules = Rules {
        packages: &[MayName::only("core", &[]), MayName::only("top", &["core"])],
        free: &[],
        orders: &[],
    };
    let core = "[package]\nname = \"core\"\n[dev-dependencies]\nother.workspace = true\n[dependencies]\nserde = \"1\"\nother.workspace = true";
    let files: Files = [
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"core\", \"top\", \"other\"]\n[workspace.dependencies]\nother = { path = \"other\", package = \"top\" }",
        ),
        ("core/Cargo.toml", core),
        ("top/Cargo.toml", "[package]\nname = \"top\"\n[dependencies]\ncore = { path = \"../core\" }"),
        ("other/Cargo.toml", "[package]\nname = \"new\""),
    ]
    .into_iter()
    .collect();
    let report = check(&files, &RULES).expect("these files can be read");
    let core = Fault::Dependency {
        package: "core".to_owned(),
        on: "top".to_owned(),
        allowed: Vec::new(),
        file: "core/Cargo.toml".to_owned(),
        line: 7,
    };
    let new = Fault::Undeclared {
        package: "new".to_owned(),
    };
    assert_eq!(report.faults(), [core, new]);
}

#[test]
fn no_order_has_a_module_twice() {
    for order in RULES.orders {
        let mut modules = order.layers.concat();
        let count = modules.len();
        modules.sort_unstable();
        modules.dedup();
        assert_eq!(modules.len(), count, "{}", order.package);
    }
}

#[test]
fn a_missing_file_is_told_with_where_it_is_looked_for() {
    let files: Files = [
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\".\"]\n[package]\nname = \"it\"",
        ),
        ("src/lib.rs", "mod a;"),
        ("src/a.rs", "\nmod b;"),
    ]
    .into_iter()
    .collect();
    let error = check(&files, &FREE).expect_err("a file is missing");
    let expected = "src/a.rs:2: `mod b` has no file: write src/a/b.rs or src/a/b/mod.rs";
    assert_eq!(error.to_string(), expected);
}
