loafer::main!(handlers = serde);
