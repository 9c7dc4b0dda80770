use loafer::{App, Context, FromContext, Metadata, Missing, OptionalFromContext, Rejection};

struct Tenant;

impl FromContext for Tenant {
    type Needs = ();

    fn needs(_: &App) -> Result<(), Missing> {
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
