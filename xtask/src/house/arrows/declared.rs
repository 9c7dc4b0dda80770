//! The arrows that are allowed: data, to be changed together with the design.

/// Which module, and which package, may name which.
#[derive(Debug)]
pub struct Rules {
    /// The orders of the modules of a crate. A crate without one may have any arrows but circles.
    pub orders: &'static [Order],
    /// What the packages may depend on.
    pub packages: &'static [MayName],
    /// The packages that are for tests and measurements alone, and may depend on all.
    pub free: &'static [&'static str],
}

/// The modules of a crate from the lowest up.
#[derive(Debug)]
pub struct Order {
    /// The package's name.
    pub package: &'static str,
    /// A module may name those of the layers before its own, and its neighbours in the same one.
    pub layers: &'static [&'static [&'static str]],
}

/// The packages of this workspace that a package may depend on, apart from what its tests need.
#[derive(Debug)]
pub struct MayName {
    /// The package's name.
    pub package: &'static str,
    /// Their names.
    pub others: Others,
}

/// A choice of packages.
#[derive(Debug)]
pub enum Others {
    /// Every package of the workspace.
    All,
    /// These.
    Only(&'static [&'static str]),
}

/// The rules of this workspace.
pub const RULES: Rules = Rules {
    orders: &[
        Order {
            package: "loafer-core",
            layers: &[
                &["message", "outcome"],
                &["shared_error"],
                &["translate"],
                &["error"],
                &["policy"],
                &["event"],
                &["extract"],
                &["broker"],
            ],
        },
        Order {
            package: "loafer-runtime",
            layers: &[
                &["clock", "coverage", "limits", "sync"],
                &[
                    "ack_dedup",
                    "dead_letter_outage",
                    "pause",
                    "scheduler",
                    "stats",
                ],
                &["bus"],
                &["handler"],
                &["watchdog"],
                &["engine"],
                &["program"],
                &["expansion"],
                &["testing"],
            ],
        },
    ],
    packages: &[
        MayName::any("loafer"),
        MayName::only("loafer-admin", &["loafer-core", "loafer-runtime"]),
        MayName::only("loafer-amqp", CORE),
        MayName::only("loafer-bridge", &["loafer"]),
        MayName::only(
            "loafer-cli",
            &[
                "loafer-admin",
                "loafer-core",
                "loafer-memory",
                "loafer-runtime",
            ],
        ),
        MayName::only(
            "loafer-conformance",
            &["loafer-core", "loafer-memory", "loafer-runtime"],
        ),
        MayName::only("loafer-console", &["loafer"]),
        MayName::only("loafer-core", &[]),
        MayName::only("loafer-http", CORE),
        MayName::only("loafer-kafka", CORE),
        MayName::only("loafer-macros", &[]),
        MayName::only("loafer-memory", CORE),
        // The runtime for the features `inbox` and `outbox` alone.
        MayName::only("loafer-postgres", &["loafer-core", "loafer-runtime"]),
        MayName::only("loafer-redis", CORE),
        MayName::only("loafer-runtime", &["loafer-core", "loafer-memory"]),
        MayName::only("loafer-sqs", CORE),
    ],
    free: &[
        "loafer-benches",
        "loafer-examples",
        "loafer-fuzz",
        "loafer-simulation",
        "loafer-test-servers",
        "loafer-tests",
        "xtask",
    ],
};

const CORE: &[&str] = &["loafer-core"];

impl MayName {
    /// A package that may depend on any other one.
    pub const fn any(package: &'static str) -> Self {
        Self {
            package,
            others: Others::All,
        }
    }

    /// A package that may depend on these.
    pub const fn only(package: &'static str, others: &'static [&'static str]) -> Self {
        Self {
            package,
            others: Others::Only(others),
        }
    }
}

impl Order {
    /// Returns the layer of a module, from 0 up.
    pub(super) fn layer_of(&self, module: &str) -> Option<usize> {
        self.layers.iter().position(|layer| layer.contains(&module))
    }

    /// Returns the order in one line, the lowest module first.
    pub(super) fn in_words(&self) -> String {
        let layers: Vec<String> = self.layers.iter().map(|it| it.join("/")).collect();
        layers.join(" ← ")
    }
}
