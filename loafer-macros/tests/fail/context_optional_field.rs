use loafer::{Context, FromContext, Metadata, Missing, OptionalFromContext, Rejection, extract::Resources};

struct Tenant;

impl FromContext for Tenant {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), _: &Context<'_>) -> Result<Self, Rejection> {
        Ok(Self)
    }
}

#[derive(FromContext, OptionalFromContext)]
struct Common {
    metadata: Metadata,
    tenant: Tenant,
}

fn main() {}
