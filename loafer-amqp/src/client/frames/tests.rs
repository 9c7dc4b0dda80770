use std::{io, task::Poll};

use lapin::protocol::{
    AMQPClass,
    basic::{AMQPMethod, AMQPProperties, parse_properties},
    parse_class,
};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::{ChannelQueues, Frames, HEAD, mend};

/// Returns a frame of channel 1.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap();
    let head = [&[kind, 0, 1][..], &size.to_be_bytes()].concat();
    [&head, payload, &[0xce]].concat()
}

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// Returns the frame with these properties, behind their flags.
fn header(flags: u16, properties: &[u8]) -> Vec<u8> {
    let head = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    frame(2, &[&head, &flags.to_be_bytes()[..], properties].concat())
}

fn deliver(tag: &[u8], exchange: &[u8], key: &[u8]) -> Vec<u8> {
    let (tag, exchange, key) = (short(tag), short(exchange), short(key));
    let number = [0, 0, 0, 0, 0, 0, 0, 0x80, 1];
    frame(
        1,
        &[&[0, 60, 0, 60], &tag[..], &number, &exchange, &key].concat(),
    )
}

/// Returns what comes out of frames that are read in pieces of these sizes into buffers of those.
fn read(stream: &[u8], pieces: &[usize], buffers: &[usize]) -> Vec<u8> {
    let mut frames = Frames::new(ChannelQueues::default());
    let (mut left, mut pieces) = (stream, pieces.iter().cycle());
    let (mut buffers, mut out) = (buffers.iter().cycle(), Vec::new());
    let mut waits = false;
    loop {
        let mut into = vec![0; *buffers.next().unwrap()];
        let read = frames.read(&mut into, |bytes| {
            waits = !waits;
            if waits {
                return Poll::Pending;
            }
            let piece = bytes.len().min(left.len()).min(*pieces.next().unwrap());
            bytes[..piece].copy_from_slice(&left[..piece]);
            left = &left[piece..];
            Poll::Ready(Ok::<_, io::Error>(piece))
        });
        match read {
            Poll::Pending => {}
            Poll::Ready(Ok(0)) => return out,
            Poll::Ready(read) => out.extend(&into[..read.unwrap()]),
        }
    }
}

fn mended(stream: &[u8]) -> Vec<u8> {
    read(stream, &[usize::MAX], &[1 << 20])
}

/// Returns the properties of a frame, as the client reads them.
fn properties(frame: &[u8]) -> AMQPProperties {
    let (rest, properties) = parse_properties(&frame[mend::PROPERTIES..frame.len() - 1]).unwrap();
    assert!(rest.is_empty(), "{} bytes are left over", rest.len());
    properties
}

/// Fails if the client can't read one of the frames.
fn assert_readable(mut stream: &[u8]) {
    while !stream.is_empty() {
        let size = u32::from_be_bytes(stream[3..HEAD].try_into().unwrap()) as usize;
        let (frame, rest) = stream.split_at(HEAD + size + 1);
        match frame[0] {
            1 => assert!(parse_class(&frame[HEAD..HEAD + size]).unwrap().0.is_empty()),
            2 => _ = properties(frame),
            _ => {}
        }
        stream = rest;
    }
}

/// Texts of short strings: any bytes, or UTF-8.
fn text(any_bytes: bool) -> BoxedStrategy<Vec<u8>> {
    let utf8 = "\\PC{0,20}".prop_map(String::into_bytes);
    match any_bytes {
        true => prop_oneof![vec(any::<u8>(), 0..=255), utf8].boxed(),
        false => utf8.boxed(),
    }
}

fn entries(any_bytes: bool, value: BoxedStrategy<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let entry = (text(any_bytes), value).prop_map(|(name, value)| [short(&name), value].concat());
    vec(entry, 0..5).prop_map(|all| long(&all.concat())).boxed()
}

fn value(any_bytes: bool) -> BoxedStrategy<Vec<u8>> {
    let typed = |kind: u8| move |bytes: Vec<u8>| [vec![kind], bytes].concat();
    let numbers = [
        (1, "tbB"),
        (2, "sUu"),
        (4, "Iif"),
        (5, "D"),
        (8, "LldT"),
        (0, "V"),
    ];
    let numbers = numbers.into_iter().flat_map(|(bytes, kinds)| {
        let kinds = kinds.bytes();
        kinds.map(move |kind| vec(any::<u8>(), bytes).prop_map(typed(kind)).boxed())
    });
    let long = move |kind| vec(any::<u8>(), 0..300).prop_map(move |all| typed(kind)(long(&all)));
    let leaf = prop_oneof![
        proptest::strategy::Union::new(numbers),
        long(b'S'),
        long(b'x')
    ];
    leaf.prop_recursive(4, 40, 4, move |inner| {
        let inner = inner.boxed();
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(move |all| typed(b'A')(self::long(&all.concat()))),
            entries(any_bytes, inner).prop_map(typed(b'F')),
        ]
    })
    .boxed()
}

/// Headers with all properties, of which some are left out.
fn any_header(any_bytes: bool) -> BoxedStrategy<Vec<u8>> {
    let texts = vec(text(any_bytes), 11);
    let table = entries(any_bytes, value(any_bytes));
    (texts, table, any::<u16>())
        .prop_map(|(texts, table, flags)| {
            let flags = flags & 0xfffc;
            let mut texts = texts.iter().map(|text| short(text));
            let mut all = Vec::new();
            for bit in 0..14 {
                let part = match bit {
                    2 => table.clone(),
                    3 | 4 => vec![2],
                    9 => vec![0xff; 8],
                    _ => texts.next().unwrap_or_default(),
                };
                if flags & (1 << (15 - bit)) != 0 {
                    all.extend(part);
                }
            }
            header(flags, &all)
        })
        .boxed()
}

fn any_frame(any_bytes: bool) -> BoxedStrategy<Vec<u8>> {
    let three = [text(any_bytes), text(any_bytes), text(any_bytes)];
    let close = |method: [u8; 4]| {
        move |text: Vec<u8>| frame(1, &[&method[..], &[1, 56], &short(&text), &[0; 4]].concat())
    };
    prop_oneof![
        4 => any_header(any_bytes),
        4 => three.clone().prop_map(|[tag, exchange, key]| deliver(&tag, &exchange, &key)),
        1 => three.prop_map(|[_, exchange, key]| {
            let (exchange, key) = (short(&exchange), short(&key));
            frame(1, &[&[0, 60, 0, 71], &[0xff; 8][..], &[0], &exchange, &key, &[0xff; 4]].concat())
        }),
        1 => text(any_bytes).prop_map(close([0, 20, 0, 40])),
        1 => text(any_bytes).prop_map(close([0, 10, 0, 50])),
        3 => vec(any::<u8>(), 0..3000).prop_map(|body| frame(3, &body)),
        1 => Just(frame(8, &[])),
        // A method that is not looked at: basic.ack.
        1 => Just(frame(1, &[0, 60, 0, 80, 0xff, 0, 0, 0, 0, 0, 0, 7, 1])),
    ]
    .boxed()
}

/// How a stream is cut, and into what it is read.
fn cuts() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    let sizes = || prop_oneof![vec(1..12usize, 1..20), vec(1..4000usize, 1..20)];
    (sizes(), sizes())
}

/// A message that is returned on channel 2: its frames, and what comes out of them.
fn returned() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let bodies = vec(vec(any::<u8>(), 1..3000), 0..4);
    (text(false), any_header(false), bodies).prop_map(|(key, mut given, bodies)| {
        let method = [&[0, 60, 0, 50, 1, 56, 0, 0][..], &short(&key)].concat();
        let id = properties(&given).message_id().clone();
        let (flags, id) = id.map_or((0, Vec::new()), |id| {
            (1 << 7, short(id.as_str().as_bytes()))
        });
        let mut left = header(flags, &id);
        left[mend::PROPERTIES - 1] = 0;
        let size: usize = bodies.iter().map(Vec::len).sum();
        given[mend::PROPERTIES - 8..mend::PROPERTIES].copy_from_slice(&size.to_be_bytes());
        let bodies = bodies.iter().map(|body| (frame(3, body), Vec::new()));
        let mut all = vec![(frame(1, &method), frame(1, &method)), (given, left)];
        all.extend(bodies);
        for (given, left) in &mut all {
            for frame in [given, left] {
                frame
                    .iter_mut()
                    .skip(2)
                    .take(1)
                    .for_each(|channel| *channel = 2);
            }
        }
        all
    })
}

/// What waits of messages on either channel, in any order between the channels.
fn interleaved(
    others: Vec<Vec<u8>>,
    returned: Vec<Vec<(Vec<u8>, Vec<u8>)>>,
    turns: &[bool],
) -> (Vec<u8>, Vec<u8>) {
    let mut others = others.into_iter().map(|other| (other.clone(), other));
    let mut returned = returned.into_iter().flatten();
    let mut turns = turns.iter().cycle();
    let both = std::iter::from_fn(|| match turns.next() {
        Some(true) => others.next().or_else(|| returned.next()),
        _ => returned.next().or_else(|| others.next()),
    });
    let (given, left): (Vec<_>, Vec<_>) = both.unzip();
    (given.concat(), left.concat())
}

proptest! {
    #[test]
    fn of_a_returned_message_its_id_is_left_and_other_channels_stay(
        others in vec(any_frame(false), 1..12),
        messages in vec(returned(), 1..4),
        turns in vec(any::<bool>(), 1..12),
        (pieces, buffers) in cuts(),
    ) {
        let (stream, left) = interleaved(others, messages, &turns);
        assert_readable(&left);
        prop_assert_eq!(read(&stream, &pieces, &buffers), left);
    }

    #[test]
    fn frames_that_can_be_read_stay_as_they_are(
        frames in vec(any_frame(false), 1..12),
        (pieces, buffers) in cuts(),
    ) {
        let stream = frames.concat();
        assert_readable(&stream);
        prop_assert_eq!(read(&stream, &pieces, &buffers), stream);
    }

    #[test]
    fn frames_with_any_short_strings_can_be_read_after_it(
        frames in vec(any_frame(true), 1..12),
        (pieces, buffers) in cuts(),
    ) {
        let stream = frames.concat();
        let read = read(&stream, &pieces, &buffers);
        prop_assert_eq!(read.len(), stream.len());
        prop_assert_eq!(&mended(&read), &read);
        assert_readable(&read);
    }

    #[test]
    fn headers_with_any_damage_can_be_read_after_it(
        header in any_header(true),
        damage in vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let mut header = header;
        let end = header.len() - 1;
        for (at, byte) in damage {
            header[mend::PROPERTIES..end][at.index(end - mend::PROPERTIES)] = byte;
        }
        let read = mended(&header);
        prop_assert_eq!(read.len(), header.len());
        assert_readable(&read);
    }

    #[test]
    fn properties_that_are_any_bytes_can_be_read_after_it(bytes in vec(any::<u8>(), 0..400), flags: u16) {
        assert_readable(&mended(&header(flags, &bytes)));
    }
}

#[test]
fn each_wrong_byte_has_a_stand_in_and_the_rest_of_the_text_stays() {
    let id = header(1 << 7, &short("é-\u{1f980}-".as_bytes()));
    assert_eq!(mended(&id), id);
    let id = |bytes: &[u8]| {
        let read = properties(&mended(&header(1 << 7, &short(bytes))));
        read.message_id().clone().unwrap().to_string()
    };
    assert_eq!(id(b"id \xff\xfe\x93\x00\xc3"), "id _-T\0D");
    assert_eq!(id("é".as_bytes()), "é");
    assert_eq!(id(b"\xc3\xa9\xc3"), "éD");
    // Ids that differ in wrong bytes alone.
    assert_ne!(id(b"\xff\xfe"), id(b"\xfe\xff"));
}

#[test]
fn what_stands_in_long_strings_and_byte_arrays_stays() {
    let entry = |name: &[u8], kind| [short(name), vec![kind], long(b"\xff\xfe")].concat();
    let table = |name| [entry(name, b'S'), entry(b"b", b'x')].concat();
    let read = mended(&header(1 << 13, &long(&table(b"\xff"))));
    assert_eq!(read, header(1 << 13, &long(&table(b"_"))));
}

#[test]
fn the_other_properties_stay_if_a_table_can_t_be_read() {
    let unknown = [short(b"odd"), vec![b'?', 1, 2, 3]].concat();
    for entries in [
        &unknown[..],
        b"\x01",
        b"\x09",
        b"\x02ab",
        b"\x03abS\0\0\0\xffabc",
    ] {
        let all = [long(entries), short(b"7")].concat();
        let read = properties(&mended(&header(1 << 13 | 1 << 7, &all)));
        let id = read.message_id().as_ref().map(|id| id.as_str());
        // No table has one byte: nothing but a table can tell where it ends.
        assert_eq!(id, (entries.len() > 1).then_some("7"), "{entries:?}");
    }
}

/// The client's parser calls itself at each level, and would overflow its stack.
#[test]
fn tables_and_lists_that_are_nested_too_deep_lose_what_is_deepest() {
    for kind in [b'A', b'F'] {
        let mut value = vec![b'V'];
        for _ in 0..10_000 {
            let name: &[u8] = if kind == b'F' { b"\0" } else { b"" };
            value = [vec![kind], long(&[name, &value].concat())].concat();
        }
        let table = long(&[short(b"deep"), value].concat());
        let read = properties(&mended(&header(1 << 13, &table)));
        assert!(read.headers().as_ref().unwrap().contains_key("deep"));
    }
}

#[test]
fn what_is_no_amqp_and_frames_that_are_cut_off_pass() {
    let other = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    assert_eq!(read(other, &[3], &[5]), other);
    let cut = &deliver(b"tag", b"", b"key")[..20];
    assert!(cut.starts_with(&mended(cut)));
}

/// A channel may end before the body came, and its number is used again.
#[test]
fn the_next_message_of_a_channel_keeps_its_body() {
    let method = [&[0, 60, 0, 50, 1, 56, 0, 0][..], b"\x01k"].concat();
    let cut = [frame(1, &method), header(0, &[])].concat();
    let next = [
        deliver(b"tag", b"", b"key"),
        header(0, &[]),
        frame(3, b"body"),
    ]
    .concat();
    assert!(mended(&[cut, next.clone()].concat()).ends_with(&next));
}

#[test]
fn a_routing_key_that_is_no_text_can_be_read() {
    let read = mended(&deliver(b"tag", b"event", b"order.\xff"));
    match parse_class(&read[HEAD..read.len() - 1]).unwrap().1 {
        AMQPClass::Basic(AMQPMethod::Deliver(of)) => {
            assert_eq!(of.routing_key.as_str(), "order._");
        }
        other => panic!("{other:?}"),
    }
}
