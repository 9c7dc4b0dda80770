//! A service whose author forgot the attribute.

loafer::main!();
