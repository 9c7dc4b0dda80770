//! The modules of a crate, with their items.

use std::collections::BTreeMap;

use syn::spanned::Spanned;
use syn::{Attribute, Item, ItemMod, Visibility};

use super::packages::Root;
use super::{Error, Files, attributes};

/// The place of a module among [`Crate::modules`].
pub(crate) type Index = usize;

/// The module that `crate` names.
pub(crate) const ROOT: Index = 0;

/// A crate: its modules, the root first. What is only in tests is left out.
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) modules: Vec<Module>,
}

/// A module: a file, or braces in one.
pub(crate) struct Module {
    /// Empty for the root.
    pub(crate) name: String,
    pub(crate) parent: Option<Index>,
    pub(crate) children: BTreeMap<String, Index>,
    pub(crate) visibility: Visibility,
    pub(crate) file: String,
    /// The line of `file` that it begins on: the first one, unless it is in braces.
    pub(crate) line: usize,
    /// Whether its macros are those of its parent too: `#[macro_use]`.
    pub(crate) lends_macros: bool,
    /// Those of the declaration and those inside.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) items: Vec<Item>,
}

/// A line of a file.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Location {
    pub(crate) file: String,
    pub(crate) line: usize,
}

/// Reads a crate from its root file on.
pub(crate) fn load(files: &Files, root: &Root) -> Result<Crate, Error> {
    let mut loader = Loader {
        files,
        modules: Vec::new(),
    };
    let text = files.text(&root.file).unwrap_or_default();
    let parsed = parse(&root.file, text)?;
    loader.add(Module {
        name: String::new(),
        parent: None,
        children: BTreeMap::new(),
        visibility: Visibility::Inherited,
        line: 1,
        lends_macros: false,
        attributes: parsed.attrs,
        items: parsed.items,
        file: root.file.clone(),
    })?;
    Ok(Crate {
        name: root.name.clone(),
        modules: loader.modules,
    })
}

impl Crate {
    /// Whether `inner` is `outer`, or inside of it.
    pub(crate) fn is_within(&self, inner: Index, outer: Index) -> bool {
        self.ancestors(inner).any(|index| index == outer)
    }

    /// Whether it is the root, or stands in braces in its file, as a prelude does.
    pub(crate) fn is_in_root_file(&self, module: Index) -> bool {
        self.modules[module].file == self.modules[ROOT].file
    }

    /// Returns a module, its parent, and so on up to the root.
    pub(crate) fn ancestors(&self, module: Index) -> impl Iterator<Item = Index> {
        std::iter::successors(Some(module), |index| self.modules[*index].parent)
    }
}

struct Loader<'a> {
    files: &'a Files,
    modules: Vec<Module>,
}

impl Loader<'_> {
    /// Adds a module and all inside of it.
    fn add(&mut self, mut module: Module) -> Result<Index, Error> {
        module
            .items
            .retain(|item| !attributes::only_in_tests(attributes::of_item(item)));
        let index = self.modules.len();
        let inner: Vec<usize> = (0..module.items.len())
            .filter(|at| matches!(module.items[*at], Item::Mod(_)))
            .collect();
        self.modules.push(module);
        for at in inner {
            self.add_inner(index, at)?;
        }
        Ok(index)
    }

    /// Adds the module that is this item of its parent.
    fn add_inner(&mut self, parent: Index, at: usize) -> Result<(), Error> {
        let Item::Mod(item) = &mut self.modules[parent].items[at] else {
            return Ok(());
        };
        let content = item.content.take();
        let item = item.clone();
        let name = name_of(&item.ident);
        let mut attributes = item.attrs.clone();
        let (file, line, items) = match content {
            Some((_, items)) => {
                let line = item.ident.span().start().line;
                (self.modules[parent].file.clone(), line, items)
            }
            None => {
                let (file, text) = self.file_of(parent, &item)?;
                let parsed = parse(&file, text)?;
                attributes.extend(parsed.attrs);
                (file, 1, parsed.items)
            }
        };
        let index = self.add(Module {
            name: name.clone(),
            parent: Some(parent),
            children: BTreeMap::new(),
            visibility: item.vis,
            file,
            line,
            lends_macros: attributes.iter().any(|it| it.path().is_ident("macro_use")),
            attributes,
            items,
        })?;
        self.modules[parent].children.insert(name, index);
        Ok(())
    }

    /// Finds the file of `mod NAME;`.
    fn file_of(&self, parent: Index, item: &ItemMod) -> Result<(String, &str), Error> {
        let declaring = &self.modules[parent].file;
        let name = name_of(&item.ident);
        let path = item
            .attrs
            .iter()
            .find_map(|it| attributes::text_of(it, "path"));
        let candidates = match path {
            Some(path) => vec![format!("{}{path}", folder_of(declaring))],
            None => {
                let folder = self.folder_inside(parent);
                vec![
                    format!("{folder}{name}.rs"),
                    format!("{folder}{name}/mod.rs"),
                ]
            }
        };
        for file in &candidates {
            if let Some(text) = self.files.text(file) {
                return Ok((file.clone(), text));
            }
        }
        Err(Error::NoFile {
            file: declaring.clone(),
            line: item.span().start().line,
            module: name,
            candidates,
        })
    }

    /// The folder that the files of a module's inner modules lie in.
    fn folder_inside(&self, module: Index) -> String {
        let Module {
            file, parent, name, ..
        } = &self.modules[module];
        match parent {
            // Written in braces in its parent's file.
            Some(parent) if self.modules[*parent].file == *file => {
                format!("{}{name}/", self.folder_inside(*parent))
            }
            Some(_) if !file.ends_with("/mod.rs") => {
                format!("{}/", file.strip_suffix(".rs").unwrap_or(file))
            }
            _ => folder_of(file).to_owned(),
        }
    }
}

/// A name without the `r#` of one that is a keyword too.
pub(crate) fn name_of(ident: &proc_macro2::Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

/// The folder of a file, with the `/` behind it.
fn folder_of(file: &str) -> &str {
    file.rfind('/').map_or("", |slash| &file[..=slash])
}

fn parse(file: &str, text: &str) -> Result<syn::File, Error> {
    syn::parse_file(text).map_err(|error| Error::Syntax {
        file: file.to_owned(),
        line: error.span().start().line,
        reason: error.to_string(),
    })
}
