//! The syntax of what the user wrote: the attribute's keys, and the item up to its signature.

mod backoff;
mod entries;
mod item;
mod keys;
mod known;
mod options;
mod selectors;
mod table;
mod topics;
mod value;

pub(super) use self::{
    item::{Block, Item, ItemKind},
    keys::{Keys, PublishKey},
};
