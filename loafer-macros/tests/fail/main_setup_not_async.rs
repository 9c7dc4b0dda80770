loafer::main!(setup);

fn setup(app: loafer::App) -> anyhow::Result<loafer::App> {
    Ok(app)
}
