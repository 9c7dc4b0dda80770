loafer::main!(handlers = [serde], handlers = [serde_json]);
