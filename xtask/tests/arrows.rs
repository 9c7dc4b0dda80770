//! No module of this workspace names another one in a circle, or against the order of the house.

use std::path::Path;

use xtask::house::Files;
use xtask::house::arrows::{self, Fault, Line, RULES, Rules};

#[test]
fn the_arrows_of_this_workspace_run_one_way() {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = Files::read(xtask.parent().unwrap_or(xtask)).expect("the checkout can be read");
    let report = arrows::check(&files, &RULES).expect("its sources can be parsed");
    let faults = report.faults_in_words();
    assert!(
        faults.is_empty(),
        "\n{faults}\n\n`cargo xtask arrows` prints all arrows"
    );
}

/// A crate that looks flat: all names stand at its root, and nobody says a module. Below it is a ball.
const FLAT: [(&str, &str); 12] = [
    ("Cargo.toml", "[workspace]\nmembers = [\"flat\"]"),
    ("flat/Cargo.toml", "[package]\nname = \"flat\""),
    (
        "flat/src/lib.rs",
        "mod app;\nmod broker;\nmod bus;\nmod extract;\nmod manager;\nmod memory;\nmod message;\nmod outgoing;\nmod route;\n\
         pub use self::{app::App, broker::Broker, bus::*, extract::FromContext, manager::{Manager, Running},\n\
         memory::Memory, message::Message, outgoing::{GroupId, Outgoing}, route::Route};\n\
         pub mod prelude { pub use crate::{App, Bus, Message}; }",
    ),
    (
        "flat/src/app.rs",
        "use crate::{Broker, Bus, Running};\npub struct App;",
    ),
    (
        "flat/src/broker.rs",
        "use crate::Message;\npub trait Broker {\n    fn replies(&self) -> crate::memory::Replies;\n}",
    ),
    (
        "flat/src/bus.rs",
        "use crate::{\n    FromContext,\n    Outgoing,\n};\npub struct Bus;",
    ),
    (
        "flat/src/extract.rs",
        "pub trait FromContext {\n    fn needs(app: &super::App);\n}",
    ),
    (
        "flat/src/manager.rs",
        "use crate::{App, Memory, Route};\npub struct Manager;\npub struct Running;",
    ),
    (
        "flat/src/memory.rs",
        "use crate::{Broker, Message};\npub struct Memory;\npub struct Replies;",
    ),
    (
        "flat/src/message.rs",
        "use crate::GroupId;\npub struct Message;",
    ),
    (
        "flat/src/outgoing.rs",
        "use crate::prelude::*;\ntext! { GroupId }\npub struct Outgoing(Message);",
    ),
    ("flat/src/route.rs", "use crate::App;\npub struct Route;"),
];

#[test]
fn a_crate_that_only_looks_flat_fails() {
    let rules = Rules {
        orders: &[],
        packages: &[],
        free: &["flat"],
    };
    let files: Files = FLAT.into_iter().collect();
    let report = arrows::check(&files, &rules).expect("its sources can be parsed");
    let circles: Vec<(String, Vec<String>)> = report.faults().iter().map(circle).collect();
    let line = |line: &str| line.to_owned();
    let expected = [
        (
            "app bus extract manager route",
            vec![
                "flat/src/app.rs:1: app → manager",
                "flat/src/manager.rs:1: manager → app",
            ],
        ),
        (
            "broker memory",
            vec![
                "flat/src/broker.rs:3: broker → memory",
                "flat/src/memory.rs:1: memory → broker",
            ],
        ),
        (
            "message outgoing",
            vec![
                "flat/src/message.rs:1: message → outgoing",
                "flat/src/outgoing.rs:3: outgoing → message",
            ],
        ),
    ];
    let expected =
        expected.map(|(modules, way)| (line(modules), way.into_iter().map(line).collect()));
    assert_eq!(circles, expected);
}

fn circle(fault: &Fault) -> (String, Vec<String>) {
    let Fault::Circle { modules, way, .. } = fault else {
        panic!("no circle: {fault}");
    };
    let arrow = |line: &Line| format!("{}:{}: {} → {}", line.file, line.line, line.from, line.to);
    (modules.join(" "), way.iter().map(arrow).collect())
}
