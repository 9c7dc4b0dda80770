//! The conformance suite: what every broker must do for the framework to keep its word, as named cases.
//!
//! A broker crate implements [`BrokerUnderTest`], in some thirty lines of its tests, and [runs](run) the cases against a real server. Some cases
//! call provider and publisher directly, others run whole services on them. A broker [declares](BrokerProfile) what it can't do, with the reason;
//! all else is tested. A [`Report`] says how each case went, and a [`Matrix`] shows several brokers side by side.
//!
//! | module | what it is |
//! |---|---|
//! | `broker_under_test` | [`BrokerUnderTest`], the broker and its queues |
//! | `broker_profile` | [`BrokerProfile`], what the broker says of itself |
//! | `feature` | [`Feature`], what a broker may lack |
//! | `case` | [`Case`], a named guarantee, and how its body reports a fault |
//! | `catalog` | the list of cases |
//! | `cases` | the cases themselves, a file for each concern |
//! | `stage`, `queue`, `program`, `ledger` | what a case works with: queues, services on them, and what handlers saw |
//! | `runner` | runs cases |
//! | `report`, `matrix` | [`Report`] and [`Matrix`] |
//! | `memory` | the broker in memory as a broker under test |
//!
//! ```
//! use loafer::{Memory, broker::{Broker, NoOptions, Source}, outcome::BoxError};
//! use loafer_conformance::{BrokerProfile, BrokerUnderTest, Feature, QueueSpec, TestQueue};
//!
//! struct OnMyServer(Memory);
//!
//! impl BrokerUnderTest for OnMyServer {
//!     type Broker = Memory;
//!
//!     fn declares(&self) -> BrokerProfile {
//!         BrokerProfile::new("mine")
//!             .without(Feature::Limits, "it refuses nothing")
//!             .without(Feature::Outages, "it ends with its process")
//!             .without(Feature::Topics, "it has no topics")
//!     }
//!
//!     fn broker(&self) -> Memory {
//!         self.0.clone()
//!     }
//!
//!     async fn queue(&self, wanted: &QueueSpec) -> Result<TestQueue, BoxError> {
//!         let queue = format!("{}{}", wanted.name, if wanted.ordered { ".fifo" } else { "" });
//!         let broker = self.0.clone().with_max_receives(Some(wanted.max_receives));
//!         broker.provider(&Source::new(&wanted.name, &queue), &NoOptions {})?;
//!         let (topic, dead_letters) = (broker.queue_topic(&queue), format!("{queue}-dlq"));
//!         Ok(TestQueue { queue, topic, dead_letters: Some(dead_letters) })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! // A test, under `#[tokio::test]`, runs all cases with `run`. This is one of them.
//! let broker = OnMyServer(Memory::new());
//! let report = loafer_conformance::run_only(broker, "groups_stay_in_order").await;
//! report.assert_passed();
//! # }
//! ```
//!
#![doc = include_str!("watermill.md")]

mod broker_profile;
mod broker_under_test;
mod case;
mod cases;
mod catalog;
mod feature;
mod ledger;
mod matrix;
mod memory;
mod program;
mod queue;
mod report;
mod runner;
mod stage;

pub use self::{
    broker_profile::BrokerProfile,
    broker_under_test::{BrokerUnderTest, Outage, QueueSpec, TestQueue},
    case::Case,
    catalog::cases,
    feature::Feature,
    matrix::Matrix,
    report::{Report, Verdict},
    runner::{run, run_only},
};
