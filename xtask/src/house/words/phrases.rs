//! The phrases that documentation does without, and what to say instead: data.

/// A phrase that is hard on readers, or a word of ours where the field has one.
#[derive(Debug)]
pub(super) struct Phrase {
    /// As it begins a sentence if with a capital letter, else wherever it stands.
    pub(super) phrase: &'static str,
    /// Words that excuse it when one of them stands before it.
    pub(super) not_after: &'static [&'static str],
    /// Words that excuse it when they stand behind it.
    pub(super) not_before: &'static [&'static str],
    pub(super) instead: &'static str,
}

const fn phrase(phrase: &'static str, instead: &'static str) -> Phrase {
    Phrase {
        phrase,
        not_after: &[],
        not_before: &[],
        instead,
    }
}

/// What is no dead letter: a letter of the alphabet.
const fn letter(phrase: &'static str, instead: &'static str) -> Phrase {
    Phrase {
        phrase,
        not_after: &["dead", "capital", "small"],
        not_before: &["digits"],
        instead,
    }
}

/// What is told a person or a program to do is an order, and may be called so.
const fn told(phrase: &'static str) -> Phrase {
    Phrase {
        phrase,
        not_after: &[],
        not_before: &["to stop"],
        instead: "is reported, is said (of two things: are distinguished)",
    }
}

const RELEASED: &str = "is released (of a value: is returned)";
const REDELIVERED: &str = "is redelivered (by the broker) or is retried (because we asked)";

/// All phrases that are out of use.
pub(super) const PHRASES: &[Phrase] = &[
    // How a sentence is made.
    phrase("The same as", "what it does: Returns …, Sets …"),
    phrase(
        "The same with",
        "what it does: Sets …, Adds …, Returns … with …",
    ),
    phrase("The same,", "what it is"),
    phrase("The same;", "what it is"),
    Phrase {
        phrase: "none:",
        not_after: &["are", "gives", "has", "have", "is"],
        not_before: &[],
        instead: "`None` means …",
    },
    phrase("Where not,", "Otherwise, …; If not, …"),
    phrase("but for", "except for"),
    phrase("all the same", "anyway, still"),
    phrase("on account of", "because of"),
    phrase("is come to", "when the program fails over to it"),
    phrase("is to push", "it stops pushing"),
    phrase("So have it", "do the same"),
    phrase("that is none", "that is not one, and name what it is not"),
    phrase("says most", "is the most specific"),
    phrase("took no part", "rejected the request"),
    phrase("from nothing up", "from zero"),
    phrase("as it would be without", "leaves the default in force"),
    phrase("weighed alone", "overridden alone"),
    phrase("nobody lingers", "`linger` is cut short"),
    phrase("holds up nobody, unless", "does not order anything"),
    phrase("the sender's word", "is set by the sender"),
    // What becomes of a message.
    phrase("came again", REDELIVERED),
    phrase("come again", REDELIVERED),
    phrase("comes again", REDELIVERED),
    phrase("coming again", REDELIVERED),
    phrase("gave back", RELEASED),
    phrase("give back", RELEASED),
    phrase("given back", RELEASED),
    phrase("gives back", RELEASED),
    phrase("giving back", RELEASED),
    phrase("go back", RELEASED),
    phrase("goes back", RELEASED),
    phrase("going back", RELEASED),
    phrase("went back", RELEASED),
    phrase("in hand", "in flight"),
    told("are told"),
    told("be told"),
    told("been told"),
    told("is told"),
    told("was told"),
    told("were told"),
    // Words for things.
    letter("letter", "dead letter"),
    letter("letters", "dead letters"),
    phrase("desk", "worker slot"),
    phrase("desks", "worker slots"),
    phrase("heard", "matched, subscribed to"),
    phrase("hears", "matches, is subscribed to"),
    phrase("keeper", "lease renewer"),
    phrase("ladder", "delay queues"),
    phrase("lane", "(ordered) group"),
    phrase("lanes", "(ordered) groups"),
    phrase("outlet", "publish channel"),
    phrase("outlets", "publish channels"),
    phrase("parcel", "outgoing (entry)"),
    phrase("parcels", "outgoing (entries)"),
    phrase("rung", "delay queue"),
    phrase("rungs", "delay queues"),
    phrase("unfetched", "reply buffer"),
];
