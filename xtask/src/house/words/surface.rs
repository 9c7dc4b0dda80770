//! What a crate shows: names and documentation, with who sees them.

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::{
    Attribute, Fields, Ident, ImplItem, Item, ItemEnum, ItemImpl, ItemMacro, ItemTrait, TraitItem,
    Type, Visibility,
};

use crate::house::attributes;
use crate::house::modules::{Crate, Index, Location, ROOT, name_of};

/// Something that has a name, documentation, or both.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: Location,
    pub(super) name: Option<String>,
    /// The type or trait that it is a part of.
    pub(super) of: Option<String>,
    pub(super) is_module: bool,
    /// Whether other crates may use it.
    pub(super) is_public: bool,
    /// Whether its documentation is left out of what readers see.
    pub(super) is_hidden: bool,
    /// The lines of its documentation, by their line in the file.
    pub(super) docs: Vec<(usize, String)>,
}

/// Returns what all modules of a crate show.
pub(super) fn of(tree: &Crate) -> Vec<Entry> {
    let mut entries = Vec::new();
    for index in 0..tree.modules.len() {
        let mut reader = Reader {
            tree,
            module: index,
            entries: &mut entries,
        };
        reader.read_module();
        for item in &tree.modules[index].items {
            reader.read_item(item);
        }
    }
    entries
}

/// Reads one module.
struct Reader<'a> {
    tree: &'a Crate,
    module: Index,
    entries: &'a mut Vec<Entry>,
}

impl Reader<'_> {
    /// Adds an entry without a name, at this line.
    fn add(&mut self, line: usize, is_public: bool, attributes: &[Attribute]) -> &mut Entry {
        let is_hidden = |index: Index| attributes::is_hidden(&self.tree.modules[index].attributes);
        let in_hidden = self.tree.ancestors(self.module).any(is_hidden);
        self.entries.push(Entry {
            at: Location {
                file: self.tree.modules[self.module].file.clone(),
                line,
            },
            name: None,
            of: None,
            is_module: false,
            is_public,
            is_hidden: in_hidden || attributes::is_hidden(attributes),
            docs: docs(attributes),
        });
        let last = self.entries.len() - 1;
        &mut self.entries[last]
    }

    fn named(&mut self, ident: &Ident, visibility: &Visibility, attributes: &[Attribute]) {
        let line = ident.span().start().line;
        self.add(line, is_public(visibility), attributes).name = Some(name_of(ident));
    }

    fn part(&mut self, of: &str, ident: &Ident, is_public: bool, attributes: &[Attribute]) {
        let entry = self.add(ident.span().start().line, is_public, attributes);
        entry.name = Some(name_of(ident));
        entry.of = Some(of.to_owned());
    }

    /// The module itself. Its name counts as public wherever it stands, since it is that of a file.
    fn read_module(&mut self) {
        let module = &self.tree.modules[self.module];
        let is_root = self.module == ROOT;
        let is_shown = is_root || is_public(&module.visibility);
        let entry = self.add(module.line, is_shown, &module.attributes);
        if !is_root {
            entry.name = Some(module.name.clone());
            entry.is_module = true;
            entry.is_hidden |= !is_shown;
            entry.is_public = true;
        }
    }

    fn read_item(&mut self, item: &Item) {
        match item {
            Item::Const(it) => self.named(&it.ident, &it.vis, &it.attrs),
            Item::Fn(it) => self.named(&it.sig.ident, &it.vis, &it.attrs),
            Item::Static(it) => self.named(&it.ident, &it.vis, &it.attrs),
            Item::TraitAlias(it) => self.named(&it.ident, &it.vis, &it.attrs),
            Item::Type(it) => self.named(&it.ident, &it.vis, &it.attrs),
            Item::Struct(it) => {
                self.named(&it.ident, &it.vis, &it.attrs);
                self.read_fields(&name_of(&it.ident), &it.fields, None);
            }
            Item::Use(it) => {
                let line = it.span().start().line;
                self.add(line, is_public(&it.vis), &it.attrs);
            }
            Item::Enum(it) => self.read_enum(it),
            Item::Trait(it) => self.read_trait(it),
            Item::Impl(it) => self.read_impl(it),
            Item::Macro(it) => self.read_macro(it),
            _ => {}
        }
    }

    /// The fields of a type; of a variant, they are as public as its enum.
    fn read_fields(&mut self, of: &str, fields: &Fields, of_variant: Option<bool>) {
        for field in fields {
            if let Some(ident) = &field.ident {
                let is_public = of_variant.unwrap_or_else(|| is_public(&field.vis));
                self.part(of, ident, is_public, &field.attrs);
            }
        }
    }

    fn read_enum(&mut self, item: &ItemEnum) {
        self.named(&item.ident, &item.vis, &item.attrs);
        let name = name_of(&item.ident);
        let is_public = is_public(&item.vis);
        for variant in &item.variants {
            self.part(&name, &variant.ident, is_public, &variant.attrs);
            let of = format!("{name}::{}", variant.ident);
            self.read_fields(&of, &variant.fields, Some(is_public));
        }
    }

    fn read_trait(&mut self, item: &ItemTrait) {
        self.named(&item.ident, &item.vis, &item.attrs);
        let (name, is_public) = (name_of(&item.ident), is_public(&item.vis));
        for inner in &item.items {
            let attributes = attributes::of_trait_item(inner);
            let ident = match inner {
                TraitItem::Const(it) => &it.ident,
                TraitItem::Fn(it) => &it.sig.ident,
                TraitItem::Type(it) => &it.ident,
                _ => continue,
            };
            self.part(&name, ident, is_public, attributes);
        }
    }

    /// What a type has by itself; the names of what it has by a trait are the trait's.
    fn read_impl(&mut self, item: &ItemImpl) {
        if item.trait_.is_some() {
            return;
        }
        let Type::Path(of) = &*item.self_ty else {
            return;
        };
        let Some(of) = of.path.segments.last().map(|it| name_of(&it.ident)) else {
            return;
        };
        for inner in &item.items {
            let attributes = attributes::of_impl_item(inner);
            let (ident, visibility) = match inner {
                ImplItem::Const(it) => (&it.ident, &it.vis),
                ImplItem::Fn(it) => (&it.sig.ident, &it.vis),
                ImplItem::Type(it) => (&it.ident, &it.vis),
                _ => continue,
            };
            if !attributes::only_in_tests(attributes) {
                self.part(&of, ident, is_public(visibility), attributes);
            }
        }
    }

    /// A macro, and the documentation of what it makes.
    fn read_macro(&mut self, item: &ItemMacro) {
        let line = item.mac.path.span().start().line;
        let is_exported = item
            .attrs
            .iter()
            .any(|it| it.path().is_ident("macro_export"));
        let name = item.ident.as_ref().map(name_of);
        let is_shown = is_exported || name.is_none();
        self.add(line, is_shown, &item.attrs).name = name;
        let made = docs_among(&item.mac.tokens);
        self.add(line, true, &[]).docs = made;
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn docs(attributes: &[Attribute]) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    for attribute in attributes {
        if let Some(text) = attributes::text_of(attribute, "doc") {
            let first = attribute.span().start().line;
            let texts = text.lines().map(str::to_owned);
            lines.extend(texts.enumerate().map(|(at, text)| (first + at, text)));
        }
    }
    lines
}

/// The documentation among the tokens of a macro, where it is `# [doc = "…"]`.
fn docs_among(tokens: &TokenStream) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    for token in tokens.clone() {
        let TokenTree::Group(group) = token else {
            continue;
        };
        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
        match &inner[..] {
            [
                TokenTree::Ident(doc),
                TokenTree::Punct(_),
                TokenTree::Literal(text),
            ] if doc == "doc" => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&text.to_string()) {
                    lines.push((group.span().start().line, text.value()));
                }
            }
            _ => lines.extend(docs_among(&group.stream())),
        }
    }
    lines
}
