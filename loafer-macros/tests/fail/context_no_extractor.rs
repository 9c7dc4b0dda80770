use loafer::{FromContext, Metadata};

#[derive(FromContext)]
struct Common {
    metadata: Metadata,
    tenant: String,
}

fn main() {}
