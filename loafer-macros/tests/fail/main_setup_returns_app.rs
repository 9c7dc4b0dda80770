loafer::main!(setup);

async fn setup(app: loafer::App) -> loafer::App {
    app
}
