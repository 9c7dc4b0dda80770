//! How an existing queue differs from the queue that a route would make.

use loafer_core::Error;

use super::{Plan, arguments, make};
use crate::{
    client::Link,
    error::{self, PRECONDITION_FAILED, cause},
    options::QueueType,
};

/// How an existing queue compares with the one we would make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// The queue is as we would make it, but for its delivery limit perhaps.
    Same,
    /// The queue differs, in RabbitMQ's words.
    Differs(String),
    /// Nobody can tell, and why.
    Unknown(String),
}

impl Plan {
    /// Compares the route's queue, which must exist.
    pub(crate) async fn compare(&self, link: &Link) -> Comparison {
        judged(self.declare_own(link, COMPARING).await)
    }

    /// Compares the dead-letter queue, which must exist, if it is the route's own.
    pub(crate) async fn compare_dead(&self, link: &Link) -> Comparison {
        match &self.dead {
            Some(dead) => {
                let arguments = arguments::unlimited(QueueType::Quorum);
                judged(make::queue(link, COMPARING, dead, arguments).await)
            }
            None => Comparison::Unknown("others made it".to_owned()),
        }
    }
}

/// What declaring an existing queue is called in errors, which changes nothing. RabbitMQ tells how a queue was declared only to a client that declares it
/// differently, and names one argument at a time.
const COMPARING: &str = "comparing";

fn judged(answer: Result<lapin::Result<()>, Error>) -> Comparison {
    match answer {
        Ok(Ok(())) => Comparison::Same,
        Ok(Err(failed)) if error::code(&failed) == Some(PRECONDITION_FAILED) => {
            Comparison::Differs(cause(&failed))
        }
        Ok(Err(failed)) => Comparison::Unknown(cause(&failed)),
        Err(error) => Comparison::Unknown(error.to_string()),
    }
}
