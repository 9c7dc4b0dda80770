//! What extractors find at startup: at most one value of each type.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::Arc,
};

/// What an app holds for its handlers, by type: its state and its bus. At startup, an extractor finds here what it needs.
///
/// ```
/// use loafer::extract::Resources;
///
/// let mut resources = Resources::new();
/// resources.insert(7_u64);
/// assert_eq!(resources.get::<u64>().as_deref(), Some(&7));
/// assert!(resources.get::<u8>().is_none());
/// ```
#[derive(Default)]
pub struct Resources {
    values: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl Resources {
    /// Returns resources that hold nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value. It replaces an earlier one of its type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.values.insert(TypeId::of::<T>(), Arc::new(value));
    }

    /// Returns the value of this type. `None` means that there is none.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.values
            .get(&TypeId::of::<T>())
            .cloned()?
            .downcast()
            .ok()
    }
}

/// Shows how many values there are, without showing them.
impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources")
            .field("values", &self.values.len())
            .finish()
    }
}
