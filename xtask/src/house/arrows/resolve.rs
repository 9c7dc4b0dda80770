//! From a path to the modules that it names, through re-exports.

use std::collections::BTreeSet;

use super::scope::{Scope, Target};
use crate::house::modules::{Crate, Index, ROOT};

/// A crate with the names of its modules.
pub(super) struct Names<'a> {
    pub(super) tree: &'a Crate,
    pub(super) scopes: Vec<Scope>,
}

/// What a path comes to.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Resolved {
    /// The modules that the path says itself, and those that define what is at its end.
    pub(super) modules: BTreeSet<Index>,
    /// Whether it is a path of this crate whose first name nothing is bound to.
    pub(super) is_unknown: bool,
}

/// One thing that a name is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum End {
    /// An item that is no module, by the module that defines it.
    Item(Index),
    Module(Index),
}

/// An import on the way to a name: its module, the name, its path.
type Step = (Index, String, Vec<String>);
/// The imports that are being followed, so that none is followed in a circle.
type Trail = Vec<Step>;

impl Names<'_> {
    /// Resolves a path that stands in the code of a module. It ends at no module if an item has the name, too: only `use` names both.
    pub(super) fn resolve_in_code(&self, from: Index, path: &[String]) -> Resolved {
        self.resolve(from, path, |ends| {
            if ends.iter().any(|end| end.module().is_none()) {
                ends.retain(|end| end.module().is_none());
            }
        })
    }

    /// Resolves a path of a `use` that stands in a module.
    pub(super) fn resolve_in_use(&self, from: Index, path: &[String]) -> Resolved {
        self.resolve(from, path, |_| ())
    }

    fn resolve(
        &self,
        from: Index,
        path: &[String],
        choose: impl FnOnce(&mut Vec<End>),
    ) -> Resolved {
        let mut resolved = Resolved::default();
        let said = &mut resolved.modules;
        let ends = self.walk(from, path, &mut Vec::new(), said);
        let is_own = path.first().is_some_and(|first| is_anchor(first));
        match ends {
            Walked::Ends(mut ends) => {
                choose(&mut ends);
                for end in ends {
                    match end {
                        End::Module(module) if self.tree.is_in_root_file(module) => {}
                        End::Item(module) | End::Module(module) => {
                            resolved.modules.insert(module);
                        }
                    }
                }
            }
            Walked::Unknown => resolved.is_unknown = is_own,
        }
        resolved
    }

    /// Resolves a single name that may come through a glob. A module is no result: a path goes on behind its name.
    pub(super) fn resolve_through_globs(&self, from: Index, name: &str) -> BTreeSet<Index> {
        if self.scopes[from]
            .bindings(self.tree, name, from)
            .next()
            .is_some()
        {
            return BTreeSet::new();
        }
        let ends = self.through_globs(from, name, from, &mut Vec::new());
        let of_items = ends.into_iter().filter_map(|end| match end {
            End::Item(module) => Some(module),
            End::Module(_) => None,
        });
        of_items.collect()
    }

    /// Returns the module of the `macro_rules!` that a call without a path is of.
    pub(super) fn resolve_macro(&self, from: Index, name: &str) -> Option<Index> {
        self.tree
            .ancestors(from)
            .find_map(|module| self.scopes[module].macros.get(name).copied())
    }

    /// Goes along a path. Adds the modules on the way to `said`.
    fn walk(
        &self,
        from: Index,
        path: &[String],
        trail: &mut Trail,
        said: &mut BTreeSet<Index>,
    ) -> Walked {
        let Some((first, rest)) = path.split_first() else {
            return Walked::Ends(vec![End::Module(ROOT)]);
        };
        let mut ends = self.start(from, first, trail);
        for name in rest {
            let modules: Vec<Index> = ends.iter().filter_map(End::module).collect();
            if modules.is_empty() {
                break;
            }
            // On the way to its neighbours a path says what is around it, and what hands names on.
            let is_way = |it: Index| self.tree.is_within(from, it) || self.tree.is_in_root_file(it);
            said.extend(modules.iter().filter(|it| !is_way(**it)));
            if name == "super" {
                let parents = modules
                    .iter()
                    .filter_map(|it| self.tree.modules[*it].parent);
                ends = parents.map(End::Module).collect();
                continue;
            }
            let mut next = Vec::new();
            for module in &modules {
                next.extend(self.look_up(*module, name, from, trail));
            }
            if next.is_empty() {
                let is_foreign =
                    |it: &Index| self.is_foreign(*it, name, from, &mut BTreeSet::new());
                if modules.iter().any(is_foreign) {
                    return Walked::Ends(Vec::new());
                }
                // A derive or the like has made it in that module. Of the root this is not assumed: there, most names come from elsewhere.
                return match modules.iter().find(|module| **module != ROOT) {
                    Some(module) => Walked::Ends(vec![End::Item(*module)]),
                    None => Walked::Unknown,
                };
            }
            ends = next;
        }
        match ends.is_empty() {
            true => Walked::Unknown,
            false => Walked::Ends(ends),
        }
    }

    /// Whether a name that leads to nothing here may be one of another crate that a module hands on.
    fn is_foreign(
        &self,
        module: Index,
        name: &str,
        viewer: Index,
        seen: &mut BTreeSet<Index>,
    ) -> bool {
        let scope = &self.scopes[module];
        let is_bound = scope.bindings(self.tree, name, viewer).next().is_some();
        seen.insert(module)
            && (is_bound
                || scope.globs(self.tree, viewer).any(|glob| {
                    let step = (module, "*".to_owned(), glob.path.clone());
                    let ends = self.follow(step, &mut Trail::new());
                    let mut inner = ends.iter().filter_map(End::module);
                    ends.is_empty() || inner.any(|it| self.is_foreign(it, name, module, seen))
                }))
    }

    /// What the first name of a path is; nothing for other crates, preludes, parameters.
    fn start(&self, from: Index, first: &str, trail: &mut Trail) -> Vec<End> {
        match first {
            "crate" => vec![End::Module(ROOT)],
            "self" => vec![End::Module(from)],
            "super" => {
                let parent = self.tree.modules[from].parent;
                parent.map(End::Module).into_iter().collect()
            }
            name => self.look_up(from, name, from, trail),
        }
    }

    /// What a module binds a name to, as `viewer` sees it.
    fn look_up(&self, module: Index, name: &str, viewer: Index, trail: &mut Trail) -> Vec<End> {
        let scope = &self.scopes[module];
        let mut ends = Vec::new();
        for binding in scope.bindings(self.tree, name, viewer) {
            match &binding.to {
                Target::Item(defining) => ends.push(End::Item(*defining)),
                Target::Module(index) => ends.push(End::Module(*index)),
                Target::Import(path) => {
                    let step = (module, name.to_owned(), path.clone());
                    ends.extend(self.follow(step, trail));
                }
            }
        }
        if ends.is_empty() {
            ends = self.through_globs(module, name, viewer, trail);
        }
        if ends.is_empty() && scope.may_make(name) {
            ends.push(End::Item(module));
        }
        ends
    }

    fn through_globs(
        &self,
        module: Index,
        name: &str,
        viewer: Index,
        trail: &mut Trail,
    ) -> Vec<End> {
        let mut ends = Vec::new();
        for glob in self.scopes[module].globs(self.tree, viewer) {
            let step = (module, format!("* for {name}"), glob.path.clone());
            for end in self.follow(step.clone(), trail) {
                if let End::Module(inner) = end {
                    trail.push(step.clone());
                    ends.extend(self.look_up(inner, name, module, trail));
                    trail.pop();
                }
            }
        }
        ends
    }

    /// The ends of an import's path, none where it is on the trail already.
    fn follow(&self, step: Step, trail: &mut Trail) -> Vec<End> {
        if trail.contains(&step) {
            return Vec::new();
        }
        let (module, _, path) = step.clone();
        trail.push(step);
        let walked = self.walk(module, &path, trail, &mut BTreeSet::new());
        trail.pop();
        match walked {
            Walked::Ends(ends) => ends,
            Walked::Unknown => Vec::new(),
        }
    }
}

enum Walked {
    Ends(Vec<End>),
    Unknown,
}

impl End {
    fn module(&self) -> Option<Index> {
        match self {
            Self::Module(index) => Some(*index),
            Self::Item(_) => None,
        }
    }
}

/// Whether a path that begins so is one of this crate for sure.
fn is_anchor(first: &str) -> bool {
    matches!(first, "crate" | "self" | "super")
}
