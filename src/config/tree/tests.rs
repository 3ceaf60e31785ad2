//! Trees with positions; every kind of unreadable file.

use super::{Node, Position, ScalarKind, Value, parse};

fn at(line: usize, column: usize) -> Position {
    Position { line, column }
}

fn scalar(yaml: &str) -> (String, ScalarKind) {
    match parse(yaml).root.map(|root| root.value) {
        Some(Value::Mapping(entries)) => match &entries[0].value.value {
            Value::Scalar(scalar) => (scalar.text.clone(), scalar.kind),
            other => panic!("{yaml}: {other:?}"),
        },
        other => panic!("{yaml}: {other:?}"),
    }
}

/// Each expected mistake as position and a part of its message.
fn check(yaml: &str, expected: &[(usize, usize, &str)]) {
    let mistakes = parse(yaml).mistakes;
    let found: Vec<_> = mistakes.iter().map(|m| (m.at.line, m.at.column, m.message.as_str())).collect();
    assert_eq!(found.len(), expected.len(), "{yaml}\n{found:#?}");
    for ((line, column, message), (expected_line, expected_column, part)) in found.iter().zip(expected) {
        assert_eq!((line, column), (expected_line, expected_column), "{yaml}: {message}");
        assert!(message.contains(part), "{yaml}: {message}");
    }
}

#[test]
fn keys_and_values_know_where_they_stand() {
    let tree = parse("a: 1\nb:\n  - x\n  - {c: [y]}\n");
    let Some(Node { value: Value::Mapping(entries), .. }) = tree.root else { panic!("a mapping") };
    assert_eq!((entries[0].at, entries[0].value.at), (at(1, 1), at(1, 4)));
    let Value::List(items) = &entries[1].value.value else { panic!("a list") };
    assert_eq!(items[0].at, at(3, 5));
    let Value::Mapping(inner) = &items[1].value else { panic!("a mapping") };
    assert_eq!((inner[0].at, inner[0].value.at), (at(4, 6), at(4, 9)));
}

#[test]
fn columns_count_characters() {
    let tree = parse("é: [ü, x]");
    let Some(Node { value: Value::Mapping(entries), .. }) = tree.root else { panic!("a mapping") };
    let Value::List(items) = &entries[0].value.value else { panic!("a list") };
    assert_eq!(items[1].at, at(1, 8));
}

#[test]
fn scalars_are_what_yaml_1_2_says() {
    for word in
        ["True", "off", "no", "on", "yes", "y", "2027-03-31", "1_000", "12:30", "0b1", "1.2.3", "+", ".", "e1", "-.e"]
    {
        assert_eq!(scalar(&format!("a: {word}")), (word.to_owned(), ScalarKind::Text));
    }
    for number in ["0", "-1", "+1", "007", "1.5", ".5", "1e3", "0x1F", "0o17", ".inf", "-.INF", ".nan"] {
        assert_eq!(scalar(&format!("a: {number}")).1, ScalarKind::Number, "{number}");
    }
    for word in ["true", "false"] {
        assert_eq!(scalar(&format!("a: {word}")).1, ScalarKind::Bool, "{word}");
    }
    for nothing in ["", "~", "null"] {
        assert_eq!(scalar(&format!("a: {nothing}")).1, ScalarKind::Null, "{nothing}");
    }
    for quoted in ["'1'", "\"true\"", "''", "|\n  1"] {
        assert_eq!(scalar(&format!("a: {quoted}")).1, ScalarKind::Text, "{quoted}");
    }
}

#[test]
fn an_empty_document_is_no_mistake() {
    for text in ["", "\n", "# only a comment\n", "---\n", "---\n...\n", "~", "\u{feff}"] {
        let tree = parse(text);
        assert_eq!((tree.root, tree.mistakes), (None, vec![]), "{text:?}");
    }
}

#[test]
fn every_duplicate_key_is_named() {
    let yaml = "a: 1\nb: 2\na: 3\nb: {c: 1, c: 2}\n";
    check(
        yaml,
        &[(3, 1, "\"a\" stands here a second time; the first is on line 1"), (4, 11, "\"c\""), (4, 1, "\"b\"")],
    );
}

#[test]
fn anchors_aliases_merge_keys_and_tags_are_refused() {
    check("a: &x 1\nb: *x\nc: *y\n", &[(1, 7, "anchor"), (2, 4, "alias"), (3, 4, "alias")]);
    check("a: {<<: {b: 1}}\n", &[(1, 5, "merge key")]);
    check("a: !!int \"1\"\nb: !secret x\n", &[(1, 10, "\"!!int\""), (2, 12, "\"!secret\"")]);
}

#[test]
fn an_alias_bomb_is_never_expanded() {
    let mut bomb = "a0: &a0 [x, x]\n".to_owned();
    for i in 1..40 {
        bomb.push_str(&format!("a{i}: &a{i} [*a{0}, *a{0}]\n", i - 1));
    }
    assert_eq!(parse(&bomb).mistakes.len(), 40 + 2 * 39);
}

#[test]
fn keys_are_plain_names() {
    check("? [a]\n: 1\n", &[(1, 3, "can't be a key")]);
    check(": 1\n", &[(1, 1, "empty")]);
}

#[test]
fn syntax_errors_name_the_place_the_text_and_the_mend() {
    check("a:\n\t- 1\n", &[(2, 2, "a tab indents this line; use spaces")]);
    check("a: [1, 2\nb: 3\n", &[(2, 2, "a bracket above may not be closed")]);
    check("a: {b: 1]\n", &[(1, 4, "this `{` is closed by a `]`")]);
    check("a: 1\n}\n", &[(2, 1, "was never opened")]);
    check("server\n  listen: 1\n", &[(2, 9, "a line above lacks its colon")]);
    check("a:\n  b: 1\n   c: 2\n", &[(3, 5, "indented unlike its neighbours")]);
    check("a:\n  b: 1\n c: 2\n", &[(3, 2, "indented unlike the keys around it")]);
    check("a: 1\nb\nc: 1\n", &[(2, 1, "a colon was expected")]);
    check("a: - b\n", &[(1, 4, "begin it on a line of its own")]);
    check("- a\nb: c\n", &[(2, 1, "don't mix")]);
    check("a: @x\n", &[(1, 4, "can't begin with '@'")]);
    check("a: 'it's'\n", &[(1, 8, "behind the closing quote")]);
    check("a: \"\\q\"\n", &[(1, 4, "a backslash in double quotes")]);
    check("a: [b]c\n", &[(1, 7, "behind a bracket's end")]);
    check("a: \"x\nb: 1\n", &[(2, 1, "never closed")]);
    check("a: \"x", &[(1, 4, "never closed")]);
    check("a: [x", &[(1, 4, "`[` is never closed")]);
    check("a: {b: ${NAME}}\n", &[(1, 9, "`${…}` in quotes")]);
    check("a: b: c\n", &[(1, 5, "a text with a colon lacks its quotes")]);
    check("a: 1\n---\nb: 2\n", &[(2, 1, "second document")]);
}

#[test]
fn deep_nesting_is_refused_where_it_becomes_too_deep() {
    for bomb in ["[".repeat(200_000), "{a: ".repeat(50_000), "- ".repeat(100_000), "? ".repeat(100_000)] {
        let mistakes = parse(&bomb).mistakes;
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].message.contains("nested deeper than 32 levels"), "{}", mistakes[0].message);
        assert!(mistakes[0].at.column <= 4 * 34, "{}", mistakes[0].at.column);
    }
}

mod property {
    use proptest::prelude::*;

    use super::*;
    use crate::types::property::config;

    proptest! {
        #![proptest_config(config(256))]

        #[test]
        fn no_text_makes_the_reader_panic(text in "[-a-c0-9:{}\\[\\],#&*!|>'\"%@`$ \n\t?~<.]{0,200}") {
            let tree = parse(&text);
            for mistake in &tree.mistakes {
                prop_assert!(mistake.at.line > 0 && mistake.at.column > 0, "{mistake:?}");
            }
        }
    }
}
