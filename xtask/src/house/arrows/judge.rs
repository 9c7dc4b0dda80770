//! The arrows held against the rules.

use super::declared::{Order, Others, Rules};
use super::fault::{Fault, Line};
use super::krate::{Arrow, Arrows, Top};
use crate::house::packages::Package;

/// Judges what a package depends on.
pub(super) fn package(package: &Package, rules: &Rules, faults: &mut Vec<Fault>) {
    let name = package.name.as_str();
    if rules.free.contains(&name) {
        return;
    }
    let Some(declared) = rules.packages.iter().find(|it| it.package == name) else {
        faults.push(Fault::Undeclared {
            package: package.name.clone(),
        });
        return;
    };
    let Others::Only(allowed) = declared.others else {
        return;
    };
    for dependency in &package.dependencies {
        if !allowed.contains(&dependency.package.as_str()) {
            faults.push(Fault::Dependency {
                package: package.name.clone(),
                on: dependency.package.clone(),
                allowed: allowed.to_vec(),
                file: format!("{}Cargo.toml", package.folder),
                line: dependency.line,
            });
        }
    }
}

/// Judges what the modules of a crate name.
pub(super) fn modules(krate: &Arrows, rules: &Rules, faults: &mut Vec<Fault>) {
    for unknown in &krate.unknown {
        faults.push(Fault::Unknown {
            path: unknown.path.clone(),
            file: unknown.at.file.clone(),
            line: unknown.at.line,
        });
    }
    circles(krate, faults);
    if let Some(order) = rules.orders.iter().find(|it| it.package == krate.name) {
        unlisted(krate, order, faults);
        upward(krate, order, faults);
    }
}

fn circles(krate: &Arrows, faults: &mut Vec<Fault>) {
    for circle in krate.graph.circles() {
        let way = krate.graph.shortest_way_around(&circle);
        let next = way.iter().cycle().skip(1);
        let line = |(from, to): (&Top, &Top)| {
            let arrow = krate.graph.get(*from, *to)?;
            Some(krate.line(*from, *to, arrow))
        };
        faults.push(Fault::Circle {
            package: krate.name.clone(),
            modules: circle
                .iter()
                .map(|top| krate.name_of(*top).to_owned())
                .collect(),
            way: way.iter().zip(next).filter_map(line).collect(),
        });
    }
}

fn unlisted(krate: &Arrows, order: &Order, faults: &mut Vec<Fault>) {
    let is_unlisted = |module: &&String| order.layer_of(module).is_none();
    let modules: Vec<String> = krate.modules.iter().filter(is_unlisted).cloned().collect();
    if !modules.is_empty() {
        faults.push(Fault::Unlisted {
            package: krate.name.clone(),
            modules,
            order: order.in_words(),
        });
    }
}

fn upward(krate: &Arrows, order: &Order, faults: &mut Vec<Fault>) {
    for (from, to, arrow) in krate.graph.all() {
        let layer = |top: Top| order.layer_of(krate.name_of(top));
        if let (Some(own), Some(other)) = (layer(from), layer(to))
            && other > own
        {
            faults.push(Fault::Upward {
                package: krate.name.clone(),
                line: krate.line(from, to, arrow),
                order: order.in_words(),
            });
        }
    }
}

impl Arrows {
    /// Returns an arrow with the first line that makes it.
    pub(super) fn line(&self, from: Top, to: Top, arrow: &Arrow) -> Line {
        Line {
            from: self.name_of(from).to_owned(),
            to: self.name_of(to).to_owned(),
            path: arrow.first.path.clone(),
            file: arrow.first.at.file.clone(),
            line: arrow.first.at.line,
            times: arrow.times,
        }
    }
}
