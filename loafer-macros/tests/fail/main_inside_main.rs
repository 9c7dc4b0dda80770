fn main() {
    loafer::main!();
}
