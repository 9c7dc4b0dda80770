//! What the user wrote, by its shape: the attribute's keys, and the item as far as its signature.

mod arguments;
mod backoff;
mod entries;
mod item;
mod keys;
mod topology;
mod value;

pub(super) use self::{
    item::{Block, Item, ItemKind},
    keys::{Keys, PublishKey},
};
