loafer::main!(handlers = [crate_a]);
