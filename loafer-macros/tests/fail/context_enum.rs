use loafer::{FromContext, Metadata};

#[derive(FromContext)]
enum Common {
    Known(Metadata),
}

fn main() {}
