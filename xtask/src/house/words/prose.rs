//! Text for people, without its examples, and phrases in it.

use super::phrases::Phrase;
use crate::house::modules::Location;

/// Text of one file, its lines joined.
#[derive(Debug)]
pub(super) struct Prose {
    file: String,
    text: String,
    /// Where in `text` each line of the file begins.
    lines: Vec<(usize, usize)>,
}

/// Where a phrase was found, and what is around it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) at: Location,
    pub(super) around: String,
}

/// How much of a sentence is shown on each side of a phrase.
const AROUND: usize = 40;

impl Prose {
    /// Takes numbered lines of a file, except those in fences.
    pub(super) fn of<'a>(file: &str, lines: impl IntoIterator<Item = (usize, &'a str)>) -> Self {
        let mut prose = Self {
            file: file.to_owned(),
            text: String::new(),
            lines: Vec::new(),
        };
        let mut fence: Option<&str> = None;
        for (number, line) in lines {
            let mark = ["```", "~~~"]
                .into_iter()
                .find(|it| line.trim_start().starts_with(it));
            match (fence, mark) {
                (None, Some(_)) => fence = mark,
                (Some(open), Some(close)) if open == close => fence = None,
                (Some(_), _) => {}
                (None, None) => prose.push(number, line),
            }
        }
        prose
    }

    /// Finds a phrase that is no part of a longer word, nor excused by a word beside it. One that begins with a small letter is found in capitals, too.
    pub(super) fn find(&self, phrase: &Phrase) -> Vec<Found> {
        let is_exact = phrase.phrase.starts_with(char::is_uppercase);
        let lower = self.text.to_ascii_lowercase();
        let text = if is_exact { &self.text } else { &lower };
        let starts = text.match_indices(phrase.phrase).map(|(start, _)| start);
        let is_it = |start: &usize| {
            let before = &lower[..*start];
            let after = &lower[start + phrase.phrase.len()..];
            is_word(before, phrase.phrase, after)
                && !phrase.not_after.contains(&last_word(before))
                && !phrase.not_before.iter().any(|it| goes_on_with(after, it))
        };
        let found = |start: usize| Found {
            at: Location {
                file: self.file.clone(),
                line: self.line_at(start),
            },
            around: self.around(start, start + phrase.phrase.len()),
        };
        starts.filter(is_it).map(found).collect()
    }

    fn push(&mut self, number: usize, line: &str) {
        self.lines.push((self.text.len(), number));
        for word in line.split_whitespace() {
            self.text.push_str(word);
            self.text.push(' ');
        }
    }

    fn line_at(&self, position: usize) -> usize {
        let after = self.lines.partition_point(|(start, _)| *start <= position);
        self.lines[after.saturating_sub(1)].1
    }

    fn around(&self, start: usize, end: usize) -> String {
        let begin = self.text[..start].char_indices().rev().take(AROUND).last();
        let begin = begin.map_or(start, |(at, _)| at);
        let rest = self.text[end..].char_indices().nth(AROUND);
        let stop = rest.map_or(self.text.len(), |(at, _)| end + at);
        self.text[begin..stop].trim().to_owned()
    }
}

fn is_word(before: &str, phrase: &str, after: &str) -> bool {
    let is_inner = |sign: char| sign.is_alphanumeric() || sign == '_';
    let goes_on = phrase.ends_with(is_inner) && after.starts_with(is_inner);
    !before.ends_with(is_inner) && !goes_on
}

fn last_word(before: &str) -> &str {
    let before = before.trim_end_matches([' ', '-']);
    before
        .rsplit(|sign: char| !sign.is_alphanumeric())
        .next()
        .unwrap_or_default()
}

fn goes_on_with(after: &str, words: &str) -> bool {
    let rest = after
        .trim_start_matches([' ', '-', ','])
        .strip_prefix(words);
    rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(prose: &Prose, phrase: &'static str) -> Vec<Found> {
        prose.find(&Phrase {
            phrase,
            not_after: &["dead"],
            not_before: &["digits"],
            instead: "",
        })
    }

    fn lines(text: &str, phrase: &'static str) -> Vec<usize> {
        let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line));
        let found = find(&Prose::of("a.md", numbered), phrase);
        found.iter().map(|found| found.at.line).collect()
    }

    #[test]
    fn a_phrase_is_found_over_the_end_of_a_line() {
        assert_eq!(
            lines("it\ncomes\n  again. Comes  again", "comes again"),
            [2, 3]
        );
    }

    #[test]
    fn a_phrase_in_capitals_is_found_as_it_stands() {
        assert_eq!(lines("the same with\nThe same with", "The same with"), [2]);
    }

    #[test]
    fn a_part_of_a_word_is_no_phrase() {
        assert_eq!(lines("letters_of subletters letters", "letters").len(), 1);
    }

    #[test]
    fn what_stands_beside_can_excuse_a_phrase() {
        let text = "dead letters, Dead-letters\nletters\nletters, digits";
        assert_eq!(lines(text, "letters"), [2]);
    }

    #[test]
    fn examples_are_left_out() {
        assert_eq!(lines("```rust\nletters\n~~~\n```\nletters", "letters"), [5]);
    }

    #[test]
    fn what_is_around_is_cut_between_letters() {
        let text = format!("{}letters{}", "é".repeat(99) + " ", " ü".repeat(99));
        let prose = Prose::of("a.md", [(1, text.as_str())]);
        let found = find(&prose, "letters");
        assert_eq!(found.len(), 1);
        assert!(found[0].around.starts_with('é') && found[0].around.ends_with('ü'));
    }
}
