//! Wherever a function may stand.

#![deny(warnings, clippy::all)]
#![allow(unexpected_cfgs)]

use loafer::prelude::*;

#[cfg(loafer_never)]
#[handler(route = "above")]
async fn above(_: Nothing) -> bool {
    true
}

#[handler(route = "below")]
#[cfg(loafer_never)]
async fn below(_: Nothing) -> bool {
    true
}

#[handler(route = "block")]
#[cfg(loafer_never)]
impl Nothing {
    async fn handle(&self, _: Nothing) -> bool {
        true
    }
}

#[must_use]
#[handler(route = "decorated")]
#[allow(clippy::unused_async)]
#[doc = "Documented."]
async fn decorated(_: u32) -> bool {
    true
}

mod inner {
    use loafer::handler;

    pub(crate) struct Own;

    impl<'de> serde::Deserialize<'de> for Own {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }

    #[handler(route = "inner")]
    pub(super) async fn inner(_: crate::inner::Own, _: self::Extra) -> bool {
        true
    }

    pub(super) type Extra = loafer::Metadata;
}

macro_rules! handlers {
    ($($name:ident: $ty:ty),*) => {$(
        #[handler(route = "by-macro")]
        async fn $name(_: $ty) -> bool {
            true
        }
    )*};
}

handlers!(by_macro: u32, by_macro_and_reference: &u64);

fn main() {
    #[handler(route = "in-a-function")]
    fn in_a_function(_: u32) -> bool {
        true
    }

    assert!(in_a_function(1));
}
