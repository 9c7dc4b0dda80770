loafer::main!(setup);
