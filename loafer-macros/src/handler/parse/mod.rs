//! What the user wrote, by its shape: the attribute's keys, and the item as far as its signature.

mod backoff;
mod entries;
mod item;
mod keys;
mod known;
mod options;
mod selectors;
mod table;
mod value;

pub(super) use self::{
    item::{Block, Item, ItemKind},
    keys::{Keys, PublishKey},
};
