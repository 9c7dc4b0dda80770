//! `use` trees as flat lists of paths.

use syn::{ItemUse, UseTree};

use crate::house::modules::name_of;

/// One path of a `use` tree.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) path: Vec<String>,
    /// The name it has here; `None` for `*`.
    pub(super) name: Option<String>,
    pub(super) line: usize,
}

/// Returns the paths that an item imports, none where they begin with `::`, as those of other crates.
pub(super) fn of(item: &ItemUse) -> Vec<Import> {
    let mut imports = Vec::new();
    if item.leading_colon.is_none() {
        flatten(&item.tree, &[], &mut imports);
    }
    imports
}

fn flatten(tree: &UseTree, prefix: &[String], imports: &mut Vec<Import>) {
    match tree {
        UseTree::Path(it) => {
            let longer = [prefix, &[name_of(&it.ident)]].concat();
            flatten(&it.tree, &longer, imports);
        }
        UseTree::Name(it) => imports.push(import(prefix, &it.ident, None)),
        UseTree::Rename(it) => imports.push(import(prefix, &it.ident, Some(&it.rename))),
        UseTree::Glob(it) => imports.push(Import {
            path: prefix.to_vec(),
            name: None,
            line: it.star_token.spans[0].start().line,
        }),
        UseTree::Group(it) => {
            for inner in &it.items {
                flatten(inner, prefix, imports);
            }
        }
    }
}

/// `PREFIX::IDENT as RENAME`, or `PREFIX::{self}`.
fn import(prefix: &[String], ident: &syn::Ident, rename: Option<&syn::Ident>) -> Import {
    let mut path = prefix.to_vec();
    if prefix.is_empty() || ident != "self" {
        path.push(name_of(ident));
    }
    Import {
        name: rename.map(name_of).or_else(|| path.last().cloned()),
        path,
        line: ident.span().start().line,
    }
}
