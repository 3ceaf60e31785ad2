//! YAML text to a tree in which every key and value knows its line and column.
//!
//! Built from the events of serde-saphyr's parser, because serde's data model loses what this needs:
//! positions of keys, quoting, tags, and the second of two equal keys. A mistake that leaves the
//! structure readable (a duplicate key, an alias) is noted and reading goes on, so that one run
//! reports everything; a syntax error ends the file.
//!
//! Deliberately refused: anchors, aliases, merge keys, tags, several documents. A configuration that
//! is read during an incident says what it says where it says it.

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Span};

use super::quote::quoted;
use super::syntax::explain;

/// Nesting beyond this is refused; the deepest key of the schema is six levels down.
pub(super) const MAX_DEPTH: usize = 32;

/// Line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A mistake found while reading, before any meaning is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) at: Position,
    pub(super) message: String,
}

/// A value and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// One value.
    Scalar(Scalar),
    /// `- …` or `[…]`.
    List(Vec<Node>),
    /// `key: …` or `{…}`, in the order written, each key once.
    Mapping(Vec<Entry>),
    /// A mistake was reported here already; nothing more is to be said about it.
    Broken,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Position,
    pub(super) value: Node,
}

/// A scalar as written, quotes and escapes resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) kind: ScalarKind,
}

/// What a scalar is by YAML 1.2's core schema, with `true` and `false` in this spelling alone: `off`, `no` and
/// `2027-03-31` are text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScalarKind {
    /// Empty, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// An integer or a float.
    Number,
    /// Anything else, and everything in quotes.
    Text,
    /// It came from the environment, which has no types: whatever its place takes.
    Any,
}

/// What was read from one file.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// `None` if the document is empty or can't be parsed.
    pub(super) root: Option<Node>,
    pub(super) mistakes: Vec<Mistake>,
}

/// Reads one YAML document.
pub(super) fn parse(text: &str) -> Tree {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut reader = Reader { events: Parser::new_from_str_with_options(text, options), text, mistakes: Vec::new() };
    let root = reader.document().unwrap_or_else(|mistake| {
        reader.mistakes.push(mistake);
        None
    });
    Tree { root, mistakes: reader.mistakes }
}

struct Reader<'a> {
    events: Parser<'a, granit_parser::StrInput<'a>>,
    text: &'a str,
    mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Position), Mistake> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((as_written(event, &span), position(&span))),
            Some(Err(error)) => Err(explain(&error, self.text)),
            None => Ok((Event::StreamEnd, Position::default())),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Mistake> {
        let mut root = None;
        let mut documents = 0;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::DocumentStart(..), at) => {
                    documents += 1;
                    if documents > 1 {
                        let message = "a second document starts here (`---`); a file holds one document: \
                                       move it into a file of its own";
                        return Err(Mistake { at, message: message.into() });
                    }
                }
                (Event::StreamStart | Event::DocumentEnd, _) => {}
                (event, at) => root = self.node(event, at)?.filter(|node| !node.is_empty()),
            }
        }
    }

    /// `None` for the end of the collection around.
    fn node(&mut self, event: Event<'a>, at: Position) -> Result<Option<Node>, Mistake> {
        self.refuse_properties(&event, at);
        let value = match event {
            Event::Scalar(text, style, ..) => {
                let kind = if style == ScalarStyle::Plain { kind_of(&text) } else { ScalarKind::Text };
                Value::Scalar(Scalar { text: text.into_owned(), kind })
            }
            Event::SequenceStart(..) => Value::List(self.list()?),
            Event::MappingStart(..) => Value::Mapping(self.mapping()?),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.note(at, "an alias (`*name`) is not supported; write the value out".into());
                Value::Broken
            }
            _ => return Ok(None),
        };
        Ok(Some(Node { at, value }))
    }

    fn list(&mut self) -> Result<Vec<Node>, Mistake> {
        let mut items = Vec::new();
        loop {
            let (event, at) = self.next()?;
            match self.node(event, at)? {
                Some(item) => items.push(item),
                None => return Ok(items),
            }
        }
    }

    fn mapping(&mut self) -> Result<Vec<Entry>, Mistake> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = std::collections::HashMap::new();
        loop {
            let (event, at) = self.next()?;
            let Some(key) = self.node(event, at)? else { return Ok(entries) };
            let (event, value_at) = self.next()?;
            let Some(value) = self.node(event, value_at)? else { return Ok(entries) };
            let Some(key) = self.key(key) else { continue };
            if let Some(first) = seen.insert(key.clone(), at) {
                let message =
                    format!("key {} stands here a second time; the first is on line {}", quoted(&key), first.line);
                self.note(at, message);
                seen.insert(key, first);
                continue;
            }
            entries.push(Entry { key, at, value });
        }
    }

    fn key(&mut self, key: Node) -> Option<String> {
        let message = match key.value {
            Value::Scalar(Scalar { text, .. }) if text == "<<" => {
                "a merge key (`<<`) is not supported; write the keys out"
            }
            Value::Scalar(scalar) if scalar.kind != ScalarKind::Null => return Some(scalar.text),
            Value::Scalar(_) => "this key is empty; write `name: value`",
            Value::List(_) | Value::Mapping(_) => "a list or a mapping can't be a key; write `name: value`",
            Value::Broken => return None,
        };
        self.note(key.at, message.into());
        None
    }

    fn refuse_properties(&mut self, event: &Event<'_>, at: Position) {
        if event.anchor_id().is_some() {
            self.note(at, "an anchor (`&name`) is not supported; write the value out where it is needed".into());
        }
        if let Some(tag) = event.tag() {
            let message = format!("the tag {} is not supported; remove it", quoted(&tag.original()));
            self.note(at, message);
        }
    }

    fn note(&mut self, at: Position, message: String) {
        self.mistakes.push(Mistake { at, message });
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.kind == ScalarKind::Null)
    }
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

/// The parser calls a value that is not there `~`; messages must not quote what nobody wrote.
fn as_written<'a>(event: Event<'a>, span: &Span) -> Event<'a> {
    match event {
        Event::Scalar(_, ScalarStyle::Plain, anchor, tag) if span.is_empty() => {
            Event::Scalar("".into(), ScalarStyle::Plain, anchor, tag)
        }
        event => event,
    }
}

/// YAML 1.2.2, section 10.3.2.
fn kind_of(plain: &str) -> ScalarKind {
    match plain {
        "" | "~" | "null" | "Null" | "NULL" => ScalarKind::Null,
        "true" | "false" => ScalarKind::Bool,
        ".nan" | ".NaN" | ".NAN" => ScalarKind::Number,
        _ if is_number(plain) => ScalarKind::Number,
        _ => ScalarKind::Text,
    }
}

fn is_number(plain: &str) -> bool {
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    if let Some(octal) = plain.strip_prefix("0o") {
        return !octal.is_empty() && octal.bytes().all(|b| (b'0'..=b'7').contains(&b));
    }
    if let Some(hex) = plain.strip_prefix("0x") {
        return !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    }
    let starts_like_one = unsigned.trim_start_matches('.').starts_with(|c: char| c.is_ascii_digit());
    starts_like_one
        && unsigned.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
        && plain.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests;
