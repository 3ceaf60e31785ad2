//! Finds the end of a head line by line as bytes arrive, so that a slow sender costs no second look
//! and limits strike before the whole head is there.

/// Why a head is refused before it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadFlaw {
    /// The first line is over its limit.
    LongFirstLine,
    /// The header section is over its limit in bytes.
    TooManyBytes,
    /// Too many header lines.
    TooManyLines,
    /// A line that does not end in CR LF: two parsers may see two messages.
    BareLf,
}

/// Limits of a head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLimits {
    pub(crate) first_line: usize,
    pub(crate) bytes: usize,
    pub(crate) lines: usize,
}

/// Where the scan of one head stands.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct HeadScan {
    scanned: usize,
    line_start: usize,
    first_line_end: usize,
    lines: usize,
}

impl HeadScan {
    /// Header lines seen so far, without the first line.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Length of the head including its empty line, once it is complete.
    pub(crate) fn advance(&mut self, bytes: &[u8], limits: HeadLimits) -> Result<Option<usize>, HeadFlaw> {
        for at in memchr::memchr_iter(b'\n', &bytes[self.scanned..]) {
            let at = self.scanned + at;
            if at == 0 || bytes[at - 1] != b'\r' {
                return Err(HeadFlaw::BareLf);
            }
            let empty = at - 1 == self.line_start;
            self.line_start = at + 1;
            if self.first_line_end == 0 {
                if at > limits.first_line {
                    return Err(HeadFlaw::LongFirstLine);
                }
                self.first_line_end = at;
            } else if empty {
                return if at - self.first_line_end > limits.bytes {
                    Err(HeadFlaw::TooManyBytes)
                } else {
                    Ok(Some(at + 1))
                };
            } else {
                self.lines += 1;
                if self.lines > limits.lines {
                    return Err(HeadFlaw::TooManyLines);
                }
            }
        }
        self.scanned = bytes.len();
        if self.first_line_end == 0 {
            return if bytes.len() > limits.first_line { Err(HeadFlaw::LongFirstLine) } else { Ok(None) };
        }
        if bytes.len() - self.first_line_end > limits.bytes { Err(HeadFlaw::TooManyBytes) } else { Ok(None) }
    }
}

/// The header lines of a complete head: all but its first line and the empty one at the end.
pub(crate) fn header_section(head: &[u8]) -> &[u8] {
    let start = memchr::memchr(b'\n', head).map_or(0, |at| at + 1);
    head.get(start..head.len().saturating_sub(2)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { first_line: 20, bytes: 40, lines: 2 };

    #[test]
    fn finds_the_end_whatever_the_pieces() {
        let head = b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest";
        for cut in 0..head.len() {
            let mut scan = HeadScan::default();
            let first = scan.advance(&head[..cut], LIMITS).expect("within limits");
            let end = match first {
                Some(end) => end,
                None => scan.advance(head, LIMITS).expect("within limits").expect("complete"),
            };
            assert_eq!(end, 24, "cut at {cut}");
        }
    }

    #[test]
    fn limits_strike_before_the_head_is_complete() {
        let scan = |bytes: &[u8]| HeadScan::default().advance(bytes, LIMITS);
        assert_eq!(scan(&[b'a'; 21]), Err(HeadFlaw::LongFirstLine));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA: b\r\nA: b\r\nA: b\r\n"), Err(HeadFlaw::TooManyLines));
        assert_eq!(scan(&[b"GET / HTTP/1.1\r\n".to_vec(), vec![b'a'; 50]].concat()), Err(HeadFlaw::TooManyBytes));
        assert_eq!(scan(b"GET / HTTP/1.1\n"), Err(HeadFlaw::BareLf));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA: b\n"), Err(HeadFlaw::BareLf));
    }
}
