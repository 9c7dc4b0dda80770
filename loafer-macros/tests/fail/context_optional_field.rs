use loafer::{extract::{Context, Missing, OptionalFromContext, Rejection, Resources}, FromContext, Metadata};

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
