//! Topology: the queues and the topics of a route, found and made.

mod find;
mod make;
mod remedy;
mod topic;

pub(crate) use self::{
    find::{Attributes, Found, Redrive, attributes, find, has_dead_letter_queue, url},
    make::{KEPT, MAX_RECEIVES, Made, complete, queue as make_queue, redrive_policy},
    remedy::{make_dead_letter_queue, set, set_dead_letter_queue},
    topic::{Permission, Seen, SnsTopic, create_topic, create_topic_line, policy},
};
