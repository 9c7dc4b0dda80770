loafer::main!(handler = [serde]);
