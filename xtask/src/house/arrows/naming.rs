//! Which modules the code of a module names, and where.

use proc_macro2::TokenStream;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Attribute, ImplItem, Item, ItemMacro, ItemUse, Macro, Meta, Path, TraitItem, Visibility,
};

use super::imports;
use super::resolve::{Names, Resolved};
use super::tokens::{self, Written};
use crate::house::attributes;
use crate::house::modules::{Index, Location, name_of};

/// A module names another one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Named {
    pub(super) from: Index,
    pub(super) to: Index,
    /// What is written there.
    pub(super) path: String,
    pub(super) at: Location,
    /// Whether it is an import that others may use, as `pub use`: what is handed on may not be named for itself.
    pub(super) is_handed_on: bool,
}

/// A path of this crate that leads to nothing known.
#[derive(Clone, Debug)]
pub(super) struct Unknown {
    pub(super) path: String,
    pub(super) at: Location,
}

/// What the code of one module names.
pub(super) struct Reader<'a> {
    names: &'a Names<'a>,
    module: Index,
    is_handing_on: bool,
    pub(super) named: Vec<Named>,
    pub(super) unknown: Vec<Unknown>,
}

impl<'a> Reader<'a> {
    /// Reads a module without its inner ones.
    pub(super) fn read(names: &'a Names<'a>, module: Index) -> Self {
        let mut reader = Self {
            names,
            module,
            is_handing_on: false,
            named: Vec::new(),
            unknown: Vec::new(),
        };
        for item in &names.tree.modules[module].items {
            reader.visit_item(item);
        }
        reader
    }

    fn at(&self, line: usize) -> Location {
        Location {
            file: self.names.tree.modules[self.module].file.clone(),
            line,
        }
    }

    fn add(&mut self, modules: impl IntoIterator<Item = Index>, path: &[String], line: usize) {
        for to in modules {
            if to != self.module {
                self.named.push(Named {
                    from: self.module,
                    to,
                    path: path.join("::"),
                    at: self.at(line),
                    is_handed_on: self.is_handing_on,
                });
            }
        }
    }

    fn add_path(&mut self, path: &[String], line: usize) {
        let resolved = self.names.resolve_in_code(self.module, path);
        self.add_resolved(resolved, path, line);
    }

    fn add_resolved(&mut self, resolved: Resolved, path: &[String], line: usize) {
        self.add(resolved.modules, path, line);
        if resolved.is_unknown {
            self.unknown.push(Unknown {
                path: path.join("::"),
                at: self.at(line),
            });
        }
    }

    fn add_paths(&mut self, paths: Vec<Written>) {
        for Written { path, line } in paths {
            self.add_path(&path, line);
        }
    }

    /// Reads what a macro is made of: there, a path means the same wherever it comes to stand only if it begins with `crate`.
    fn read_definition(&mut self, tokens: &TokenStream) {
        let paths = tokens::paths(tokens.clone());
        let is_own = |it: &Written| it.path.first().is_some_and(|first| first == "crate");
        self.add_paths(paths.into_iter().filter(is_own).collect());
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes::only_in_tests(attributes::of_item(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !attributes::only_in_tests(attributes::of_impl_item(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        if !attributes::only_in_tests(attributes::of_trait_item(item)) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.is_handing_on = !matches!(item.vis, Visibility::Inherited);
        for import in imports::of(item) {
            let resolved = self.names.resolve_in_use(self.module, &import.path);
            self.add_resolved(resolved, &import.path, import.line);
        }
        self.is_handing_on = false;
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let names: Vec<String> = path.segments.iter().map(|it| name_of(&it.ident)).collect();
        let line = path.span().start().line;
        match &names[..] {
            _ if path.leading_colon.is_some() => {}
            [name] => {
                let modules = self.names.resolve_through_globs(self.module, name);
                self.add(modules, &names, line);
            }
            _ => self.add_path(&names, line),
        }
        visit::visit_path(self, path);
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        match item.ident {
            Some(_) => self.read_definition(&item.mac.tokens),
            None => self.visit_macro(&item.mac),
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        if call.path.is_ident("macro_rules") {
            return self.read_definition(&call.tokens);
        }
        if let Some(name) = call.path.get_ident() {
            let module = self.names.resolve_macro(self.module, &name_of(name));
            let line = name.span().start().line;
            self.add(module, &[name_of(name)], line);
        }
        self.visit_path(&call.path);
        self.add_paths(tokens::paths(call.tokens.clone()));
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            let line = attribute.span().start().line;
            let mut paths = tokens::paths(list.tokens.clone());
            let quoted = tokens::quoted_paths(list.tokens.clone());
            paths.extend(quoted.into_iter().map(|it| Written { line, ..it }));
            self.add_paths(paths);
        }
    }

    /// Names modules around this one, and needs nothing of them.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}
