//! The value of a decimal digit of any script: a form, a provider or a bank may turn it into ASCII later.
//!
//! Decimal digits are those of Unicode's general category Nd (version 17), which come as ten in a row from a zero on.
//! Numbers that are no decimal digits (`char::is_numeric` knows those as well: Roman numerals, fractions) do not count.

/// The zeros outside ASCII, ascending.
const ZEROS: [u32; 76] = [
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0, 0xF20,
    0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0,
    0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30, 0x10D40, 0x11066, 0x110F0, 0x11136, 0x111D0,
    0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x116D0, 0x116DA, 0x11730, 0x118E0, 0x11950, 0x11BF0, 0x11C50,
    0x11D50, 0x11DA0, 0x11DE0, 0x11F50, 0x16130, 0x16A60, 0x16AC0, 0x16B50, 0x16D70, 0x1CCF0, 0x1D7CE, 0x1D7D8,
    0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E5F1, 0x1E950, 0x1FBF0,
];

/// 0 to 9; `None` if it is no decimal digit.
pub(super) fn value(char: char) -> Option<u8> {
    if char.is_ascii() {
        return char.to_digit(10).and_then(|value| u8::try_from(value).ok());
    }
    let code = u32::from(char);
    let zero = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1).map(|place| ZEROS[place])?;
    u8::try_from(code - zero).ok().filter(|value| *value < 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_any_script_have_their_value() {
        for (ten, script) in [
            ("0123456789", "ASCII"),
            ("٠١٢٣٤٥٦٧٨٩", "Arabic-Indic"),
            ("০১২৩৪৫৬৭৮৯", "Bengali"),
            ("๐๑๒๓๔๕๖๗๘๙", "Thai"),
            ("០១២៣៤៥៦៧៨៩", "Khmer"),
            ("０１２３４５６７８９", "full width"),
            ("𝟘𝟙𝟚𝟛𝟜𝟝𝟞𝟟𝟠𝟡", "double-struck"),
            ("𝟶𝟷𝟸𝟹𝟺𝟻𝟼𝟽𝟾𝟿", "monospace"),
        ] {
            assert!(ten.chars().filter_map(value).eq(0..10), "{script}");
        }
    }

    #[test]
    fn what_is_no_decimal_digit_has_none() {
        for char in "x½Ⅷ五²①/:\u{65F}\u{66A}\u{FF0F}\u{FF1A}\u{1D800}".chars() {
            assert_eq!(value(char), None, "{char}");
        }
    }

    #[test]
    fn each_zero_begins_a_row_of_its_own() {
        for zero in ZEROS {
            assert!((zero..zero + 10).filter_map(char::from_u32).all(char::is_numeric), "{zero:X}");
        }
        assert!(ZEROS.windows(2).all(|pair| pair[1] >= pair[0] + 10), "ascending, and no two rows overlap");
    }
}
