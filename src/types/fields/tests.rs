//! Fields are found by any spelling and leave as they came.

use super::*;

#[test]
fn classifies_every_known_name_in_any_case_and_no_other() {
    assert!(NAMES.is_sorted_by_key(|(name, _)| name.len()), "the search begins at the first name of a length");
    for (name, known) in NAMES {
        for spelled in [name.to_owned(), &name.to_uppercase()] {
            assert_eq!(Known::classify(spelled.as_bytes()), *known, "{spelled}");
        }
        assert_eq!(Known::classify(format!("{name}x").as_bytes()), Known::Other);
    }
    for other in [&b""[..], b"x-other", b"hosts", &[b'a'; 29], &[b'a'; 200]] {
        assert_eq!(Known::classify(other), Known::Other);
    }
}

#[test]
fn keeps_order_and_spelling_and_forgets_what_was_removed() {
    let mut fields = Fields::new();
    fields.push("Host", b"shop.example");
    fields.push("X-Other", b"1");
    fields.push("x-other", b"2");
    fields.remove_if(|field| field.value == b"1");
    fields.set(Known::Host, "Host", b"other.example");
    let mut out = Vec::new();
    fields.write_lines(&mut out);
    assert_eq!(out, b"x-other: 2\r\nHost: other.example\r\n");
    assert_eq!(fields.len(), 2);
    assert_eq!(fields.find("X-OTHER"), Some(&b"2"[..]));
}

#[test]
fn an_adopted_section_is_written_as_it_came_but_for_what_was_removed() {
    let section = b"Host: a\r\nX-One:  1 \r\nEmpty:\r\nX-Two:2\r\n";
    let mut fields = Fields::new();
    fields.push("first", b"0");
    let parsed = [
        ("Host", &section[6..7]),
        ("X-One", &section[17..18]),
        ("Empty", &section[27..27]),
        ("X-Two", &section[35..36]),
    ];
    let names = [&section[0..4], &section[9..14], &section[21..26], &section[29..34]];
    let named = names.iter().map(|name| std::str::from_utf8(name).expect("a name"));
    fields.adopt(section, named.zip(parsed.iter().map(|(_, value)| *value)));
    fields.push("last", b"9");
    assert_eq!(fields.find("x-one"), Some(&b"1"[..]));
    assert_eq!(fields.find("empty"), Some(&b""[..]));
    fields.remove_if(|field| field.name() == "X-One");
    let mut out = Vec::new();
    fields.write_lines(&mut out);
    assert_eq!(out, b"first: 0\r\nHost: a\r\nEmpty:\r\nX-Two:2\r\nlast: 9\r\n");
}

#[test]
fn finds_cookies_across_fields() {
    let mut fields = Fields::new();
    fields.push("Cookie", b"a=1; b=\"two\"");
    fields.push("cookie", b"c=3");
    assert_eq!(fields.cookie("b"), Some("two"));
    assert_eq!(fields.cookie("c"), Some("3"));
    assert_eq!(fields.cookie("d"), None);
}
