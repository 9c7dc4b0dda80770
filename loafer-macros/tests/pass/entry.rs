//! The forms of `main!`, each in a module of its own.

#![deny(warnings)]
#![allow(dead_code)]

mod alone {
    loafer::main!();
}

mod with_setup {
    loafer::main!(setup);

    async fn setup(app: loafer::App) -> anyhow::Result<loafer::App> {
        Ok(app.state(1_u32))
    }
}

mod with_a_path {
    loafer::main!(crate::with_a_path::setup,);

    pub(crate) async fn setup(app: loafer::App) -> Result<loafer::App, String> {
        Ok(app)
    }
}

mod with_a_closure {
    loafer::main!(async |app| Ok::<_, std::io::Error>(app));
}

mod with_handlers {
    loafer::main!(handlers = [serde, serde_json]);
}

mod with_both {
    loafer::main!(handlers = [serde], setup);

    async fn setup(app: loafer::App) -> anyhow::Result<loafer::App> {
        Ok(app)
    }
}

fn main() {}
