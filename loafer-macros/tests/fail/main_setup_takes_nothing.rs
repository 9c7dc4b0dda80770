loafer::main!(setup);

async fn setup() -> anyhow::Result<loafer::App> {
    Ok(loafer::App::new())
}
