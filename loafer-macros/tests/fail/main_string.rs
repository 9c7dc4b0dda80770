loafer::main!("setup");

async fn setup(app: loafer::App) -> anyhow::Result<loafer::App> {
    Ok(app)
}
