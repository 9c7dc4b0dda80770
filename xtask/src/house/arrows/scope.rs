//! What names a module binds: its items, its inner modules, its imports.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Ident, Item, ItemMacro, ItemUse, Visibility};

use super::imports::{self, Import};
use crate::house::modules::{Crate, Index, ROOT, name_of};

/// The names of one module.
#[derive(Debug, Default)]
pub(super) struct Scope {
    names: BTreeMap<String, Vec<Binding>>,
    /// The paths behind `use …::*`.
    globs: Vec<Glob>,
    /// The `macro_rules!` that can be called without a path from here down, and where they stand.
    pub(super) macros: BTreeMap<String, Index>,
    /// All words in the calls of macros that make items: one of them may be the name of an item.
    made: BTreeSet<String>,
}

/// A name, and who may use it.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) to: Target,
    /// The module in which, and in whose inner modules, the name can be used.
    visible_in: Index,
}

/// What a name is bound to.
#[derive(Debug)]
pub(super) enum Target {
    /// An item that is no module, by the module that defines it.
    Item(Index),
    Module(Index),
    /// What another path is.
    Import(Vec<String>),
}

#[derive(Debug)]
pub(super) struct Glob {
    pub(super) path: Vec<String>,
    visible_in: Index,
}

/// Reads the names of all modules of a crate.
pub(super) fn of(tree: &Crate) -> Vec<Scope> {
    let mut scopes: Vec<Scope> = tree.modules.iter().map(|_| Scope::default()).collect();
    for (index, module) in tree.modules.iter().enumerate() {
        for child in module.children.values() {
            let visible_in = reach(tree, index, &tree.modules[*child].visibility);
            let name = tree.modules[*child].name.clone();
            scopes[index].bind(name, Target::Module(*child), visible_in);
        }
        for item in &module.items {
            let mut reader = Reader {
                tree,
                scopes: &mut scopes,
                module: index,
                is_inside: false,
            };
            reader.visit_item(item);
        }
    }
    // A macro of a module that lends its macros can be called by its siblings too.
    for (index, module) in tree.modules.iter().enumerate().rev() {
        if let (true, Some(parent)) = (module.lends_macros, module.parent) {
            let lent = scopes[index].macros.clone();
            scopes[parent].macros.extend(lent);
        }
    }
    scopes
}

impl Scope {
    /// Returns what a name is bound to, as far as `viewer` may see it.
    pub(super) fn bindings<'a>(
        &'a self,
        tree: &'a Crate,
        name: &str,
        viewer: Index,
    ) -> impl Iterator<Item = &'a Binding> {
        let bound = self.names.get(name).into_iter().flatten();
        bound.filter(move |it| tree.is_within(viewer, it.visible_in))
    }

    /// Returns the globs that `viewer` may see through.
    pub(super) fn globs<'a>(
        &'a self,
        tree: &'a Crate,
        viewer: Index,
    ) -> impl Iterator<Item = &'a Glob> {
        let globs = self.globs.iter();
        globs.filter(move |it| tree.is_within(viewer, it.visible_in))
    }

    /// Whether a macro here may make an item of this name.
    pub(super) fn may_make(&self, name: &str) -> bool {
        self.made.contains(name)
    }

    fn bind(&mut self, name: String, to: Target, visible_in: Index) {
        let bound = self.names.entry(name).or_default();
        bound.push(Binding { to, visible_in });
    }
}

/// Reads the items of one module, and the imports inside of its functions.
struct Reader<'a> {
    tree: &'a Crate,
    scopes: &'a mut [Scope],
    module: Index,
    /// Whether it is in an item, as in a function: there only imports count, as if they stood outside.
    is_inside: bool,
}

impl Reader<'_> {
    fn bind(&mut self, ident: &Ident, visibility: &Visibility) {
        if !self.is_inside {
            let visible_in = reach(self.tree, self.module, visibility);
            let to = Target::Item(self.module);
            self.scopes[self.module].bind(name_of(ident), to, visible_in);
        }
    }

    fn read_import(&mut self, import: Import, visible_in: Index) {
        let scope = &mut self.scopes[self.module];
        let Import { path, name, .. } = import;
        match name {
            Some(name) => scope.bind(name, Target::Import(path), visible_in),
            None => scope.globs.push(Glob { path, visible_in }),
        }
    }

    /// A definition, or a call that may define anything.
    fn read_macro(&mut self, item: &ItemMacro) {
        let Some(ident) = &item.ident else {
            add_words(&item.mac.tokens, &mut self.scopes[self.module].made);
            return;
        };
        let (name, module) = (name_of(ident), self.module);
        if item
            .attrs
            .iter()
            .any(|it| it.path().is_ident("macro_export"))
        {
            self.scopes[ROOT].bind(name.clone(), Target::Item(module), ROOT);
        }
        let scope = &mut self.scopes[module];
        scope.bind(name.clone(), Target::Item(module), module);
        scope.macros.insert(name, module);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Const(it) => self.bind(&it.ident, &it.vis),
            Item::Enum(it) => self.bind(&it.ident, &it.vis),
            Item::Fn(it) => self.bind(&it.sig.ident, &it.vis),
            Item::Macro(it) => self.read_macro(it),
            Item::Static(it) => self.bind(&it.ident, &it.vis),
            Item::Struct(it) => self.bind(&it.ident, &it.vis),
            Item::Trait(it) => self.bind(&it.ident, &it.vis),
            Item::TraitAlias(it) => self.bind(&it.ident, &it.vis),
            Item::Type(it) => self.bind(&it.ident, &it.vis),
            Item::Union(it) => self.bind(&it.ident, &it.vis),
            _ => {}
        }
        let was_inside = std::mem::replace(&mut self.is_inside, true);
        visit::visit_item(self, item);
        self.is_inside = was_inside;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let visible_in = reach(self.tree, self.module, &item.vis);
        for import in imports::of(item) {
            self.read_import(import, visible_in);
        }
    }
}

/// The module within which something of this visibility can be named.
fn reach(tree: &Crate, module: Index, visibility: &Visibility) -> Index {
    match visibility {
        Visibility::Public(_) => ROOT,
        Visibility::Inherited => module,
        Visibility::Restricted(it) if it.path.is_ident("self") => module,
        Visibility::Restricted(it) if it.path.is_ident("super") => {
            tree.modules[module].parent.unwrap_or(ROOT)
        }
        // `pub(in PATH)` is no wider than what compiles.
        Visibility::Restricted(_) => ROOT,
    }
}

fn add_words(tokens: &TokenStream, words: &mut BTreeSet<String>) {
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(ident) => {
                words.insert(name_of(&ident));
            }
            TokenTree::Group(group) => add_words(&group.stream(), words),
            _ => {}
        }
    }
}
