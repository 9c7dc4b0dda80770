//! Values that travel with a message inside the program.

use std::{
    any::{Any, TypeId},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// At most one value of each type. There are few, so a lookup goes through all of them.
#[derive(Clone, Default)]
pub(super) struct Extensions(Vec<(TypeId, Arc<dyn Any + Send + Sync>)>);

impl Extensions {
    /// Adds a value. It replaces an earlier one of its type.
    pub(super) fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        let id = TypeId::of::<T>();
        self.0.retain(|(of, _)| *of != id);
        self.0.push((id, Arc::new(value)));
    }

    /// Returns the value of this type. `None` means that there is none.
    pub(super) fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let id = TypeId::of::<T>();
        let (_, value) = self.0.iter().find(|(of, _)| *of == id)?;
        value.downcast_ref()
    }
}

/// The values are the user's, and their destructors may panic: that must end no task of the engine, which drops messages everywhere.
impl Drop for Extensions {
    fn drop(&mut self) {
        while let Some(value) = self.0.pop() {
            _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
        }
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions")
            .field("count", &self.0.len())
            .finish()
    }
}
