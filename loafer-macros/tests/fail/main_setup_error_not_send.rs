loafer::main!(setup);

async fn setup(app: loafer::App) -> Result<loafer::App, Box<dyn std::error::Error>> {
    Ok(app)
}
