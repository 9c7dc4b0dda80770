//! How much there is: lines a file, code lines of the contract, names at the facade's root.

use std::collections::BTreeSet;

use syn::{Attribute, Item, Meta, UseTree, Visibility};

use super::{Error, Files};

/// The most lines of one Rust file.
pub const FILE: usize = 400;
/// The most code lines of `loafer-core`: without tests, comments and blank lines.
pub const CORE: usize = 5_000;
/// The most public names at the root of the facade, modules included.
pub const ROOT: usize = 40;

/// Returns what is larger than it may be, one line each.
///
/// # Errors
///
/// If the facade's sources can't be parsed.
pub fn check(files: &Files) -> Result<Vec<String>, Error> {
    let mut faults = Vec::new();
    for (path, text) in rust(files) {
        let lines = text.lines().count();
        if lines > FILE {
            faults.push(format!(
                "{path}: {lines} lines, and a file has at most {FILE}: give each of its ideas a file"
            ));
        }
    }
    let core: usize = rust(files)
        .filter(|(path, _)| path.starts_with("loafer-core/src/") && !path.ends_with("tests.rs"))
        .map(|(_, text)| code_lines(text))
        .sum();
    if core > CORE {
        faults.push(format!(
            "loafer-core: {core} lines of code, and the contract has at most {CORE}: what runs belongs into loafer-runtime"
        ));
    }
    let names = root_names(files)?;
    if names.len() > ROOT {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        faults.push(format!(
            "src/lib.rs: {} names at the root, and the facade has at most {ROOT}: put the rarer ones into modules ({})",
            names.len(),
            names.join(", ")
        ));
    }
    Ok(faults)
}

/// The Rust files, by their paths.
fn rust(files: &Files) -> impl Iterator<Item = (&str, &str)> {
    let paths = files.paths().filter(|path| path.ends_with(".rs"));
    paths.filter_map(|path| Some((path, files.text(path)?)))
}

/// Counts the lines that are neither blank nor comment, up to the inline tests.
fn code_lines(text: &str) -> usize {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let lines = code.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

/// The public names of the facade's root, each once: a trait and its derive share one.
fn root_names(files: &Files) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    let path = "src/lib.rs";
    let root =
        syn::parse_file(files.text(path).unwrap_or_default()).map_err(|error| Error::Syntax {
            file: path.to_owned(),
            line: error.span().start().line,
            reason: error.to_string(),
        })?;
    for item in root.items {
        match item {
            Item::Use(item) if is_public(&item.vis) => leaves(&item.tree, &mut names),
            Item::Mod(item) if is_public(&item.vis) && !is_hidden(&item.attrs) => {
                names.insert(item.ident.to_string());
            }
            _ => {}
        }
    }
    Ok(names)
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("doc") && list.tokens.to_string() == "hidden",
        _ => false,
    })
}

fn leaves(tree: &UseTree, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => leaves(&path.tree, names),
        UseTree::Name(name) => _ = names.insert(name.ident.to_string()),
        UseTree::Rename(rename) => _ = names.insert(rename.rename.to_string()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, names)),
        // What a glob brings is not known here: as many names as can't be.
        UseTree::Glob(_) => names.extend((0..=ROOT).map(|number| format!("*{number}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> Vec<String> {
        let facade = ("src/lib.rs", "pub use a::A;");
        let files = match path {
            "src/lib.rs" => Files::from_iter([(path, text)]),
            _ => Files::from_iter([facade, (path, text)]),
        };
        check(&files).unwrap_or_default()
    }

    #[test]
    fn a_long_file_is_told() {
        assert!(told("a/src/b.rs", &"\n".repeat(FILE)).is_empty());
        assert!(told("a/src/b.rs", &"\n".repeat(FILE + 1))[0].starts_with("a/src/b.rs: 401 lines"));
    }

    #[test]
    fn comments_and_tests_are_no_code() {
        let text = "//! A\n\nuse a;\n/// B\nfn b() {}\n#[cfg(test)]\nmod tests {\nfn c() {}\n}\n";
        assert_eq!(code_lines(text), 2);
    }

    #[test]
    fn names_of_the_root_are_counted_once_and_hidden_ones_not() {
        let text = "pub use a::{A, b::{B as C, A}};\npub mod d {}\n#[doc(hidden)]\npub mod __private {}\nmod e;";
        let names = root_names(&Files::from_iter([("src/lib.rs", text)])).unwrap_or_default();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["A", "C", "d"]);
        let many: String = (0..=ROOT).map(|n| format!("pub mod m{n} {{}}\n")).collect();
        assert!(told("src/lib.rs", &many)[0].contains("41 names at the root"));
        assert!(!told("src/lib.rs", "pub use a::*;").is_empty());
    }
}
