//! What counts as a card number, and what does not.

use proptest::prelude::*;

use super::*;

#[test]
fn card_numbers_are_found_however_they_are_written() {
    for text in [
        "4242424242424242",
        "tok_4242424242424242x",
        "my card: 4242 4242 4242 4242, thanks",
        "4242-4242-4242-4242",
        "4242.4242.4242.4242",
        "4242 - 4242 - 4242 - 4242",
        "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2",
        "order 7 4242 4242 4242 4242",
        "4242 4242 4242 4242 12/29",
        "3782 822463 10005",
        "378282246310005",
        "3056 930902 5904",
        "4222222222222",
        "4222 222 222 222",
        "6304000000000000000",
        "４２４２４２４２４２４２４２４２",
        "৪২৪২৪২৪২৪২৪২৪২৪২",
        "4242\u{3000}4242\u{2003}4242\u{2060}4242",
        "4242\u{AD}4242\u{FEFF}4242\u{200B}4242",
        "4242,4242,4242,4242",
        "4242, 4242, 4242, 4242",
        "4242:4242:4242:4242",
        "4242+4242+4242+4242",
        "4242*4242*4242*4242",
        "4242|4242|4242|4242",
        "4242\n4242\n4242\n4242",
        "%34242424242424242",
        "%34%32%34%32%34%32%34%32%34%32%34%32%34%32%34%32",
        "4242%204242%204242%204242",
        "100%: 4242%2C4242%2C4242%2C4242%zz",
    ] {
        assert!(contains(text), "{text}");
    }
}

#[test]
fn other_numbers_pass() {
    for text in [
        "",
        "4242424242424241",
        "424242424242",
        "42424242424242424242424242424242",
        "2026-11-21-000123",
        "2026-11-21-000128",
        "20261121-000123",
        "+82 10-1234-5678",
        "order 1000000000001",
        "2026-11-21 10:25:46",
        "2026-11-21T10:25:46.123456+09:00",
        "10.11.12.13:8080, 10:25:46",
        "1,000,000,000,000 and 19,900.00",
        "100%",
        "%20%20%20%20%20%20%20",
        "%5B4242%22%2C%224242%22%2C%224242%22%2C%224242%5D",
        "{\"a\":4242,\"b\":4242,\"c\":4242,\"d\":4242}",
        "[\"4242\",\"4242\",\"4242\",\"4242\"]",
        "tok_4242a4242b4242c4242",
        "ⅣⅡⅣⅡⅣⅡⅣⅡⅣⅡⅣⅡⅣⅡⅣⅡ",
    ] {
        assert!(!contains(text), "{text}");
    }
}

#[test]
fn only_a_text_with_a_card_number_is_masked() {
    for (text, expected) in [
        ("/4242424242424242/refund", "/****************/refund"),
        ("/%34242424242424242", "/%*****************"),
        ("/pay_01M7Y4T7FA113FEDQ4RYR6RJ9N/refund", "/pay_01M7Y4T7FA113FEDQ4RYR6RJ9N/refund"),
    ] {
        assert_eq!(masked(text), expected);
    }
}

#[test]
fn a_body_full_of_digits_has_few_candidates_and_short_ones() {
    for length in [1, 3, 4, 16, 65_536] {
        let scan = Scan { digits: vec![1; 65_536], groups: vec![length; 65_536 / length], separators: 0 };
        assert!(scan.candidates().count() <= scan.groups.len() * 19 / length, "groups of {length}");
        assert!(scan.candidates().all(|(_, digits)| digits.len() <= 19), "groups of {length}");
    }
}

#[test]
fn a_uuid_of_digits_is_no_card_number() {
    let uuid = "abcd4242-4242-4242-4242-abcdefabcdef";
    assert!(!contains(uuid));
    assert!(contains(&uuid[4..23]), "its digits alone would be one");
    assert!(contains(&format!("{uuid} 4242424242424242")));
}

mod property {
    use super::*;

    proptest! {
        #![proptest_config(crate::types::property::config(256))]

        #[test]
        fn any_run_with_its_check_digit_is_found(body in "[0-9]{12,18}", before in "[a-z:\"]{0,5}", after in "[a-z,\"]{0,5}") {
            let with = |check: u8| format!("{before}{body}{check}{after}");
            let found: Vec<u8> = (0..10).filter(|check| contains(&with(*check))).collect();
            prop_assert_eq!(found.len(), 1, "one check digit in ten is the right one");
        }

        #[test]
        fn a_card_is_found_whatever_stands_between_its_groups(
            between in "[ ,:+*_/.|#~\\u{A0}\\u{2000}-\\u{200B}\\u{2060}\\u{FEFF}\\u{3000}\\u{AD}-]{1,3}"
        ) {
            prop_assert!(contains(&["4242"; 4].join(&between)));
            prop_assert!(!contains(&["4242", "4242", "4242", "4241"].join(&between)));
        }

        #[test]
        fn masked_text_holds_no_card_number(text in "[0-9a-f% -]{0,80}") {
            let masked = masked(&text);
            prop_assert!(!contains(&masked));
            prop_assert_eq!(masked == text, !contains(&text));
        }

        #[test]
        fn any_text_is_scanned_without_a_panic(text in "\\PC{0,80}") {
            let _ = contains(&text);
        }
    }
}
