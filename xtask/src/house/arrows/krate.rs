//! The arrows between the top-level modules of one crate.

use std::collections::BTreeSet;

use super::graph::Graph;
use super::naming::{Named, Reader, Unknown};
use super::resolve::Names;
use super::scope;
use crate::house::modules::{Crate, Index, ROOT};

/// A crate, read.
#[derive(Debug)]
pub(super) struct Arrows {
    pub(super) name: String,
    /// The file that the crate begins with, as `lib.rs`: what its root is called here.
    root: String,
    /// The top-level modules, sorted.
    pub(super) modules: Vec<String>,
    pub(super) graph: Graph<Top, Arrow>,
    /// The circles between files, without what these only hand on: for information.
    pub(super) circles_of_files: Vec<BTreeSet<String>>,
    pub(super) unknown: Vec<Unknown>,
}

/// A top-level module by its place among [`Arrows::modules`]; `None` is the root, with the modules that stand in its file.
pub(super) type Top = Option<usize>;

/// An arrow between two top-level modules.
#[derive(Debug)]
pub(super) struct Arrow {
    /// The first line that makes it.
    pub(super) first: Named,
    /// In how many places it is made.
    pub(super) times: usize,
}

impl Arrows {
    pub(super) fn of(tree: &Crate) -> Self {
        let names = Names {
            tree,
            scopes: scope::of(tree),
        };
        let children = tree.modules[ROOT].children.iter();
        let tops: Vec<(&String, &Index)> = children
            .filter(|(_, index)| !tree.is_in_root_file(**index))
            .collect();
        let mut arrows = Self {
            name: tree.name.clone(),
            root: file_name(&tree.modules[ROOT].file).to_owned(),
            modules: tops.iter().map(|(name, _)| (*name).clone()).collect(),
            graph: Graph::new(),
            circles_of_files: Vec::new(),
            unknown: Vec::new(),
        };
        let mut named = Vec::new();
        for module in 0..tree.modules.len() {
            let reader = Reader::read(&names, module);
            named.extend(reader.named);
            arrows.unknown.extend(reader.unknown);
        }
        arrows.circles_of_files = circles_of_files(tree, &named);
        for named in named {
            arrows.add(tree, named);
        }
        arrows
    }

    /// What a top-level module is called.
    pub(super) fn name_of(&self, top: Top) -> &str {
        top.map_or(&self.root, |at| &self.modules[at])
    }

    fn add(&mut self, tree: &Crate, named: Named) {
        let (from, to) = (self.top_of(tree, named.from), self.top_of(tree, named.to));
        // What the root hands on is resolved where it is used.
        let is_facade = from.is_none() && named.is_handed_on;
        if from == to || is_facade {
            return;
        }
        let arrow = self.graph.arrow(from, to).or_insert_with(|| Arrow {
            first: named.clone(),
            times: 0,
        });
        arrow.times += 1;
        if named.at < arrow.first.at {
            arrow.first = named;
        }
    }

    fn top_of(&self, tree: &Crate, module: Index) -> Top {
        let below_root = |index: &Index| tree.modules[*index].parent == Some(ROOT);
        let top = tree.ancestors(module).find(below_root)?;
        let name = &tree.modules[top].name;
        self.modules.iter().position(|it| it == name)
    }
}

fn circles_of_files(tree: &Crate, named: &[Named]) -> Vec<BTreeSet<String>> {
    let file = |module: Index| tree.modules[module].file.as_str();
    let root = file(ROOT);
    let mut graph = Graph::new();
    for Named {
        from,
        to,
        is_handed_on,
        ..
    } in named
    {
        let (from, to) = (file(*from), file(*to));
        if from != to && from != root && !is_handed_on {
            graph.arrow(from, to).or_insert(());
        }
    }
    let owned = |circle: BTreeSet<&str>| circle.into_iter().map(str::to_owned).collect();
    graph.circles().into_iter().map(owned).collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
