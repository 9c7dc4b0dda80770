use loafer::{extract::{Context, Missing, Rejection, Resources}, FromContext, prelude::*};

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

#[handler(route = "friend-created")]
async fn friend_created(_: u32, tenant: Option<Tenant>) -> bool {
    tenant.is_some()
}

fn main() {}
