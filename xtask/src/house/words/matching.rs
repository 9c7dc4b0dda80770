//! Whether a name has a retired word in it.

/// A name that is retired.
#[derive(Debug)]
pub(super) struct Retired {
    pub(super) pattern: Pattern,
    pub(super) instead: &'static str,
}

/// The names that are meant.
#[derive(Debug)]
pub(super) enum Pattern {
    /// Those with one of these words in them, in snake or camel case, unless one of `not_after` stands before it.
    Word {
        words: &'static [&'static str],
        not_after: &'static [&'static str],
    },
    /// This name as a whole, of anything but a module.
    Name(&'static str),
    /// A module or file of this name.
    Module(&'static str),
    /// This part of that type or trait.
    Member(&'static str, &'static str),
}

/// A name, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    pub(super) name: &'a str,
    /// The type or trait that it is a part of.
    pub(super) of: Option<&'a str>,
    pub(super) is_module: bool,
}

impl Retired {
    pub(super) const fn word(words: &'static [&'static str], instead: &'static str) -> Self {
        let not_after = &[];
        Self {
            pattern: Pattern::Word { words, not_after },
            instead,
        }
    }

    pub(super) const fn name(name: &'static str, instead: &'static str) -> Self {
        let pattern = Pattern::Name(name);
        Self { pattern, instead }
    }

    pub(super) const fn module(name: &'static str, instead: &'static str) -> Self {
        let pattern = Pattern::Module(name);
        Self { pattern, instead }
    }

    pub(super) const fn member(
        of: &'static str,
        name: &'static str,
        instead: &'static str,
    ) -> Self {
        let pattern = Pattern::Member(of, name);
        Self { pattern, instead }
    }

    /// Returns the word that the name has against this.
    pub(super) fn found_in(&self, it: Name<'_>) -> Option<&'static str> {
        let found = match self.pattern {
            Pattern::Word { words, not_after } => {
                let segments = segments(it.name);
                return words
                    .iter()
                    .find(|word| has(&segments, word, not_after))
                    .copied();
            }
            Pattern::Name(name) => (name, !it.is_module && it.name == name),
            Pattern::Module(name) => (name, it.is_module && it.name == name),
            Pattern::Member(of, name) => (name, it.of == Some(of) && it.name == name),
        };
        found.1.then_some(found.0)
    }
}

/// Whether a word, which may be of several segments, is among these.
fn has(segments: &[String], word: &str, not_after: &[&str]) -> bool {
    let word: Vec<&str> = word.split('_').collect();
    let starts = 0..segments.len().saturating_sub(word.len() - 1);
    starts.into_iter().any(|start| {
        let is_excused = start > 0 && not_after.contains(&segments[start - 1].as_str());
        segments[start..start + word.len()] == word && !is_excused
    })
}

/// The words of a name in snake, kebab or camel case, in small letters.
fn segments(name: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let signs: Vec<char> = name.chars().collect();
    for (at, sign) in signs.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| signs[before]);
        let after = signs.get(at + 1);
        let begins = sign.is_uppercase()
            && (before.is_some_and(char::is_lowercase)
                || after.is_some_and(|it| it.is_lowercase()));
        if begins || !sign.is_alphanumeric() {
            segments.push(String::new());
        }
        if let Some(last) = segments.last_mut().filter(|_| sign.is_alphanumeric()) {
            last.extend(sign.to_lowercase());
        }
    }
    segments.retain(|segment| !segment.is_empty());
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    const LETTERS: Retired = Retired {
        pattern: Pattern::Word {
            words: &["letters", "in_hand"],
            not_after: &["dead"],
        },
        instead: "",
    };

    fn found(retired: &Retired, name: &str, of: Option<&str>) -> bool {
        let is_module = false;
        let name = Name {
            name,
            of,
            is_module,
        };
        retired.found_in(name).is_some()
    }

    #[test]
    fn a_word_is_found_in_all_kinds_of_names() {
        for name in [
            "letters",
            "SQSLetters",
            "LETTERS_MAX",
            "all_letters",
            "AboutLettersOf",
            "NowInHand",
        ] {
            assert!(found(&LETTERS, name, None), "{name}");
        }
    }

    #[test]
    fn a_word_is_not_found_in_others_nor_where_it_is_excused() {
        for name in [
            "dead_letters",
            "DeadLetters",
            "lettersmith",
            "Letter",
            "hand_in",
        ] {
            assert!(!found(&LETTERS, name, None), "{name}");
        }
    }

    #[test]
    fn whole_names_and_parts_are_found_as_they_are() {
        assert!(found(&Retired::name("Sent", ""), "Sent", None));
        assert!(!found(&Retired::name("Sent", ""), "sent", None));
        let member = Retired::member("Open", "Look", "");
        assert!(found(&member, "Look", Some("Open")));
        assert!(!found(&member, "Look", Some("Door")));
        assert!(!found(&Retired::module("slots", ""), "slots", None));
    }
}
