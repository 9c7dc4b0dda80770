loafer::main!(setup, handlers = [serde]);

async fn setup(app: loafer::App) -> anyhow::Result<loafer::App> {
    Ok(app)
}
