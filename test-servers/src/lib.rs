//! Brokers for the tests of this workspace: those that `cargo xtask test` starts for all tests, and private ones that one test kills, restarts,
//! blocks and empties.
//!
//! | module | what it is |
//! |---|---|
//! | `rabbitmq` | the installed RabbitMQs, and the one all tests share |
//! | `broker` | a RabbitMQ of one test |
//! | `setup` | further configuration of such a RabbitMQ |
//! | `management` | the management API of a RabbitMQ: queues and connections |
//! | `leash` | a child process that ends with this one |
//! | `port` | free ports, kept for one server |
//! | `turn` | turns of brokers that start |
//!
//! Everything here panics if it fails, and says what it was doing: a test that can't go on should fail.
//!
//! ```no_run
//! # async fn test() {
//! use loafer_test_servers::{RabbitMq, Version};
//!
//! let Some(rabbit) = RabbitMq::installed(Version::Debian, "what_the_test_is_called") else {
//!     return; // The call has printed that the test is skipped.
//! };
//! let mut broker = rabbit.start(env!("CARGO_MANIFEST_DIR")).await; // In a test, write CARGO_TARGET_TMPDIR.
//! // … connect to broker.url(), declare, publish …
//! broker.kill().await;
//! broker.restart().await;
//! let queue = broker.management().queue("jobs").await;
//! assert_eq!(queue.map(|queue| queue.ready), Some(1));
//! # }
//! ```

mod broker;
mod leash;
mod management;
mod port;
mod rabbitmq;
mod setup;
mod turn;

pub use broker::Broker;
pub use management::{Management, Queue};
pub use port::Ports;
pub use rabbitmq::{RabbitMq, Shared, Version};
pub use setup::{Setup, Tls};
