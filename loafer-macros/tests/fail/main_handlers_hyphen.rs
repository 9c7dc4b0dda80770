loafer::main!(handlers = [serde-json]);
