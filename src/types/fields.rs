//! A message's header section as one block of lines with an index over it.
//!
//! The data plane forwards far more fields than it reads. Keeping them as the lines they came in
//! makes reading and forwarding a copy of a few hundred bytes each, without an allocation a field,
//! and keeps the spelling that the sender chose. Names that the gateway itself looks for are
//! classified once, when they are added ([`Known`]).
//!
//! Invariant: names are tokens and values hold no CR, LF or NUL; whoever adds a field has checked that.

/// Names that the gateway looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant is the header of its name")]
pub enum Known {
    Other,
    AccessControlRequestMethod,
    Authorization,
    Connection,
    ContentLength,
    ContentType,
    Cookie,
    Date,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    IdempotencyKey,
    KeepAlive,
    Origin,
    Proxy,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Te,
    Traceparent,
    Tracestate,
    Trailer,
    TransferEncoding,
    Upgrade,
    XRealIp,
    XRequestId,
}

/// Every known name, the shortest first.
const NAMES: &[(&str, Known)] = &[
    ("te", Known::Te),
    ("host", Known::Host),
    ("date", Known::Date),
    ("proxy", Known::Proxy),
    ("cookie", Known::Cookie),
    ("expect", Known::Expect),
    ("origin", Known::Origin),
    ("trailer", Known::Trailer),
    ("upgrade", Known::Upgrade),
    ("forwarded", Known::Forwarded),
    ("x-real-ip", Known::XRealIp),
    ("connection", Known::Connection),
    ("keep-alive", Known::KeepAlive),
    ("tracestate", Known::Tracestate),
    ("traceparent", Known::Traceparent),
    ("content-type", Known::ContentType),
    ("x-request-id", Known::XRequestId),
    ("authorization", Known::Authorization),
    ("content-length", Known::ContentLength),
    ("http2-settings", Known::Http2Settings),
    ("idempotency-key", Known::IdempotencyKey),
    ("proxy-connection", Known::ProxyConnection),
    ("transfer-encoding", Known::TransferEncoding),
    ("proxy-authenticate", Known::ProxyAuthenticate),
    ("proxy-authorization", Known::ProxyAuthorization),
    ("access-control-request-method", Known::AccessControlRequestMethod),
];

/// The length of the longest known name.
const LONGEST: usize = NAMES[NAMES.len() - 1].0.len();

/// For each length, where the names of that length begin.
const STARTS: [u8; LONGEST + 1] = {
    let mut starts = [0u8; LONGEST + 1];
    let mut length = 0;
    while length <= LONGEST {
        let mut at = 0;
        while at < NAMES.len() && NAMES[at].0.len() < length {
            at += 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 256 names")]
        {
            starts[length] = at as u8;
        }
        length += 1;
    }
    starts
};

impl Known {
    /// Classifies a name in any case.
    #[must_use]
    pub fn classify(name: &[u8]) -> Self {
        let Some(&start) = STARTS.get(name.len()) else { return Self::Other };
        for (text, known) in &NAMES[usize::from(start)..] {
            if text.len() != name.len() {
                break;
            }
            if name.eq_ignore_ascii_case(text.as_bytes()) {
                return *known;
            }
        }
        Self::Other
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The line with its CR LF.
    line: (u32, u32),
    name_end: u32,
    value: (u32, u32),
    known: Known,
    removed: bool,
}

/// A field as seen while iterating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    name: &'a [u8],
    /// Without surrounding white space; any bytes but CR, LF, NUL.
    pub value: &'a [u8],
    /// The classified name.
    pub known: Known,
}

impl<'a> Field<'a> {
    /// The name's bytes, for a quick look.
    #[must_use]
    pub fn name_bytes(&self) -> &'a [u8] {
        self.name
    }

    /// As the sender spelled it.
    #[must_use]
    pub fn name(&self) -> &'a str {
        std::str::from_utf8(self.name).unwrap_or_default()
    }
}

/// The fields of one message, in order.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    text: Vec<u8>,
    entries: Vec<Entry>,
    present: u32,
}

impl Fields {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets every field and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
        self.present = 0;
    }

    /// Takes a whole section of lines, each with its CR LF; `fields` are slices of `section`, in order.
    pub fn adopt<'a>(&mut self, section: &'a [u8], fields: impl Iterator<Item = (&'a str, &'a [u8])>) {
        let base = self.text.len();
        self.text.reserve(section.len() + 512); // room for what the gateway adds
        self.text.extend_from_slice(section);
        let place = |slice: &[u8]| base + (slice.as_ptr() as usize - section.as_ptr() as usize);
        let first = self.entries.len();
        self.entries.reserve(24);
        for (name, value) in fields {
            let start = place(name.as_bytes());
            let value = value.trim_ascii();
            // An empty value may lie anywhere, and is nowhere then.
            let value_start = if value.is_empty() { start } else { place(value) };
            let known = Known::classify(name.as_bytes());
            if self.entries.len() > first
                && let Some(before) = self.entries.last_mut()
            {
                before.line.1 = offset(start);
            }
            self.entries.push(Entry {
                line: (offset(start), offset(base + section.len())),
                name_end: offset(start + name.len()),
                value: (offset(value_start), offset(value_start + value.len())),
                known,
                removed: false,
            });
            self.present |= known.bit();
        }
    }

    /// Adds a field at the end. The caller has checked name and value (see the module's invariant).
    pub fn push(&mut self, name: &str, value: &[u8]) {
        self.push_known(Known::classify(name.as_bytes()), name, value);
    }

    /// Adds a field whose name is already classified.
    pub fn push_known(&mut self, known: Known, name: &str, value: &[u8]) {
        let start = self.text.len();
        self.text.reserve(name.len() + value.len() + 4);
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b": ");
        self.text.extend_from_slice(value);
        self.text.extend_from_slice(b"\r\n");
        let value_start = start + name.len() + 2;
        self.entries.push(Entry {
            line: (offset(start), offset(self.text.len())),
            name_end: offset(start + name.len()),
            value: (offset(value_start), offset(value_start + value.len())),
            known,
            removed: false,
        });
        self.present |= known.bit();
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.removed).count()
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.entries.iter().filter(|entry| !entry.removed).map(|entry| self.field(entry))
    }

    /// Whether a field of this name may be there: cheap, and never wrong when it says no.
    #[must_use]
    pub fn may_have(&self, known: Known) -> bool {
        self.present & known.bit() != 0
    }

    /// First value of a known name.
    #[must_use]
    pub fn get(&self, known: Known) -> Option<&[u8]> {
        self.get_all(known).next()
    }

    /// First value of a known name, if it is text.
    #[must_use]
    pub fn get_str(&self, known: Known) -> Option<&str> {
        self.get(known).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All values of a known name, in order.
    pub fn get_all(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        let entries: &[Entry] = if self.may_have(known) { &self.entries } else { &[] };
        entries.iter().filter(move |entry| entry.known == known && !entry.removed).map(|entry| self.slice(entry.value))
    }

    /// First value of any name, compared without case.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|field| field.name.eq_ignore_ascii_case(name.as_bytes())).map(|field| field.value)
    }

    /// Removes every field of a known name.
    pub fn remove(&mut self, known: Known) {
        if self.may_have(known) {
            self.present &= !known.bit();
            for entry in self.entries.iter_mut().filter(|entry| entry.known == known) {
                entry.removed = true;
            }
        }
    }

    /// Removes every field for which `drop` says so.
    pub fn remove_if(&mut self, mut drop: impl FnMut(Field<'_>) -> bool) {
        for index in 0..self.entries.len() {
            let entry = self.entries[index];
            if !entry.removed && drop(self.field(&entry)) {
                self.entries[index].removed = true;
            }
        }
    }

    /// Replaces every field of a known name by one.
    pub fn set(&mut self, known: Known, name: &str, value: &[u8]) {
        self.remove(known);
        self.push_known(known, name, value);
    }

    /// Writes all fields as HTTP/1 lines, without the empty line at the end; neighbours in one piece.
    pub fn write_lines(&self, out: &mut Vec<u8>) {
        let mut run = (0u32, 0u32);
        for entry in self.entries.iter().filter(|entry| !entry.removed) {
            if entry.line.0 != run.1 {
                out.extend_from_slice(self.slice(run));
                run.0 = entry.line.0;
            }
            run.1 = entry.line.1;
        }
        out.extend_from_slice(self.slice(run));
    }

    /// Value of a cookie by name, from all `Cookie` fields.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.get_all(Known::Cookie).filter_map(|value| std::str::from_utf8(value).ok()).find_map(|value| {
            value.split(';').find_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                (key.trim() == name).then(|| value.trim().trim_matches('"'))
            })
        })
    }

    fn field(&self, entry: &Entry) -> Field<'_> {
        Field { name: self.slice((entry.line.0, entry.name_end)), value: self.slice(entry.value), known: entry.known }
    }

    fn slice(&self, (start, end): (u32, u32)) -> &[u8] {
        &self.text[start as usize..end as usize]
    }
}

/// The elements of a comma-separated list value, trimmed, empty ones left out.
pub fn list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("a header section is bounded far below 4 GiB")
}

#[cfg(test)]
mod tests;
