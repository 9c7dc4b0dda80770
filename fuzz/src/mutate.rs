//! One input made of others.

use fastrand::Rng;

use crate::seen::{MARKER, NUMBER};

/// No input is longer.
pub(crate) const LONGEST: usize = 16 * 1024;

/// Words that any text format may trip over.
const WORDS: [&str; 24] = [
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-1",
    "1e999",
    "-0",
    "1.5",
    "18446744073709551616",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\\n",
    "\\\"",
    "\u{feff}",
    "é",
    "😀",
    ",",
    ":",
    "\r\n",
    "%",
    "=",
];

/// An input made of `one`, and perhaps of `other`, by a few changes.
pub(crate) fn mutated(random: &mut Rng, one: &[u8], other: &[u8], words: &[&str]) -> Vec<u8> {
    let mut input = one.to_vec();
    for _ in 0..random.usize(1..=5) {
        change(random, &mut input, other, words);
        input.truncate(LONGEST);
    }
    input
}

fn change(random: &mut Rng, input: &mut Vec<u8>, other: &[u8], words: &[&str]) {
    let at = random.usize(..=input.len());
    let end = (at + 1 + random.usize(..32)).min(input.len());
    match random.u8(..16) {
        0 if at < input.len() => input[at] ^= 1 << random.u8(..8),
        1 if at < input.len() => input[at] = random.u8(..),
        2 if at < input.len() => {
            input[at] = random
                .choice([0, 0x7f, 0x80, 0xc0, 0xdf, 0xff])
                .unwrap_or(0)
        }
        3 => replace(
            input,
            at,
            at,
            &random.u64(..).to_be_bytes()[random.usize(..8)..],
        ),
        4 | 5 => replace(input, at, end, b""),
        6 => {
            let part = input[at..end].repeat(random.usize(1..=40));
            replace(input, at, at, &part);
        }
        7 if !other.is_empty() => {
            let from = random.usize(..other.len());
            let to = (from + random.usize(..256)).min(other.len());
            replace(input, at, end, &other[from..to]);
        }
        8 => replace(input, at, at, word(random, words).as_bytes()),
        9 => {
            let marker = if random.bool() { MARKER } else { NUMBER };
            replace(input, at, at, marker.as_bytes());
        }
        10..=12 => {
            let (from, to) = token(input, at);
            let new = match random.u8(..4) {
                0 => format!("\"{MARKER}\""),
                1 => NUMBER.to_owned(),
                2 => format!("\"{}\"", word(random, words)),
                _ => word(random, words).to_owned(),
            };
            replace(input, from, to, new.as_bytes());
        }
        13 => {
            let (from, to) = token(input, at);
            let (second, behind) = token(other, random.usize(..=other.len()));
            replace(input, from, to, &other[second..behind]);
        }
        14 => {
            let (from, to) = token(input, at);
            let deep = random.usize(1..=200);
            let (open, close) = random
                .choice([("[", "]"), ("{\"a\":", "}")])
                .unwrap_or(("[", "]"));
            replace(input, to, to, close.repeat(deep).as_bytes());
            replace(input, from, from, open.repeat(deep).as_bytes());
        }
        _ => input.truncate(at),
    }
}

fn word<'w>(random: &mut Rng, words: &[&'w str]) -> &'w str {
    let own = random.bool();
    random
        .choice(words.iter().copied().filter(|_| own).collect::<Vec<_>>())
        .or_else(|| random.choice(WORDS))
        .unwrap_or_default()
}

fn replace(input: &mut Vec<u8>, from: usize, to: usize, with: &[u8]) {
    input.splice(from..to, with.iter().copied());
}

/// The first string, number or word of JSON from a place on; empty, at the end, where there is none.
fn token(input: &[u8], from: usize) -> (usize, usize) {
    let starts = |byte: &u8| *byte == b'"' || byte.is_ascii_alphanumeric() || *byte == b'-';
    let Some(start) = input[from..].iter().position(starts).map(|at| from + at) else {
        return (input.len(), input.len());
    };
    let rest = &input[start + 1..];
    let length = match input[start] {
        b'"' => rest
            .iter()
            .position(|byte| *byte == b'"')
            .map(|quote| quote + 1),
        _ => rest
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric() && !b".+-".contains(byte)),
    };
    (start, start + 1 + length.unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_whole() {
        let json = br#"{"key": "a b", "n": -1.5e3, "last"#;
        let token_at = |from| {
            let (start, end) = token(json, from);
            std::str::from_utf8(&json[start..end]).unwrap()
        };
        assert_eq!(token_at(0), "\"key\"");
        assert_eq!(token_at(7), "\"a b\"");
        assert_eq!(token_at(19), "-1.5e3");
        assert_eq!(token_at(27), "\"last");
        assert_eq!(token_at(json.len()), "");
    }

    #[test]
    fn a_seed_makes_the_same_inputs_again_and_none_too_long() {
        let inputs = |seed| -> Vec<Vec<u8>> {
            let mut random = Rng::with_seed(seed);
            let one = b"{\"a\": [1, 2, \"three\"]}".repeat(50);
            (0..2_000)
                .map(|_| mutated(&mut random, &one, b"[\"other\"]", &["word"]))
                .collect()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        assert!(inputs(3).iter().all(|input| input.len() <= LONGEST));
    }
}
