//! Form bodies and queries: `amount=5&metadata%5Bcart%5D=c+7`.

/// Names and values in the order written, decoded. What is not UTF-8 after decoding is replaced.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decode(name), decode(value))
    };
    text.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

/// The first value of this name.
pub(super) fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The members of `name[…]`, by what stands in the brackets.
pub(super) fn members<'a>(pairs: &'a [(String, String)], name: &str) -> Vec<(&'a str, &'a str)> {
    let member = |(known, value): &'a (String, String)| {
        let inner = known.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
        Some((inner, value.as_str()))
    };
    pairs.iter().filter_map(member).collect()
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (bytes[at], digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_values_and_members_are_decoded() {
        let form = pairs("amount=5&metadata%5Bcart%5D=c+7&metadata[k]=%EA%B0%80&flag&bad=%zz%");
        assert_eq!(value(&form, "amount"), Some("5"));
        assert_eq!(members(&form, "metadata"), [("cart", "c 7"), ("k", "가")]);
        assert_eq!((value(&form, "flag"), value(&form, "bad")), (Some(""), Some("%zz%")));
        assert_eq!(value(&form, "none"), None);
    }
}
