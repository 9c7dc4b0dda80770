loafer::main!(setup);

async fn setup(app: loafer::App) -> anyhow::Result<()> {
    _ = app.state(1_u32);
    Ok(())
}
