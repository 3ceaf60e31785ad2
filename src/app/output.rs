//! What commands print: aligned plain columns or JSON, and nothing that could drive a terminal.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde_json::Value;

use super::cli::Output;

/// Prints text to standard output. A reader that went away (`figway flags list | head`) is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a document as JSON, or as `table` shows it.
pub(crate) fn print_as(output: Output, document: &Value, table: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
    match output {
        Output::Table => print(&table(document)),
        Output::Json => print(&json(document)),
    }
}

/// A document as JSON that could not drive a terminal either.
pub(crate) fn json(document: &Value) -> String {
    let mut text = String::new();
    for character in format!("{document:#}\n").chars() {
        if character != '\n' && is_unseen(character) {
            // Such a one stands within a string, where its escape means the same.
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(character);
        }
    }
    text
}

/// Text without control and format characters: what a server sends must not move the cursor, recolour the screen, turn
/// the order of its letters round or hide some of them.
pub(crate) fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => clean.push('\n'),
            character if is_unseen(character) => clean.extend(character.escape_unicode()),
            character => clean.push(character),
        }
    }
    clean
}

/// Control and format characters and separators of lines (Unicode's categories Cc, Cf, Zl and Zp), among them whatever
/// changes the direction of writing (UAX 9). Left out are the signs of Cf that are drawn, such as the Arabic number sign.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}'..='\u{e007f}')
}

/// An error with its causes, but for those that its own words tell already.
pub(crate) fn with_causes(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .reduce(|told, cause| if told.contains(&cause) { told } else { format!("{told}: {cause}") })
        .unwrap_or_default()
}

/// Columns under headings.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; empty cells show as `-`.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        let shown = cells.into_iter().map(|cell| match printable(&cell).replace('\n', " ") {
            cell if cell.is_empty() => "-".to_owned(),
            cell => cell,
        });
        self.rows.push(shown.collect());
    }

    /// The table as text; `nothing` stands for an empty one.
    pub(crate) fn render(&self, nothing: &str) -> String {
        if self.rows.is_empty() {
            return format!("{nothing}\n");
        }
        let headings: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&headings).chain(&self.rows).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| lines.iter().filter_map(|line| line.get(column)).map(|cell| width(cell)).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for line in lines {
            let mut out = String::new();
            for (cell, wanted) in line.iter().zip(&widths) {
                out.push_str(cell);
                out.push_str(&" ".repeat(wanted - width(cell) + 2));
            }
            text.push_str(out.trim_end());
            text.push('\n');
        }
        text
    }
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

/// A JSON value as one cell: text without quotes, null as nothing.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A JSON document as indented `name: value` lines.
pub(crate) fn outline(document: &Value) -> String {
    let mut text = String::new();
    write_outline(&mut text, document, 0);
    text
}

fn write_outline(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let line = |text: &mut String, label: &str, value: &Value| match value {
        Value::Object(inner) if !inner.is_empty() => {
            let _ = writeln!(text, "{indent}{label}");
            write_outline(text, value, depth + 1);
        }
        Value::Array(inner) if inner.iter().any(|element| element.is_object() || element.is_array()) => {
            let _ = writeln!(text, "{indent}{label}");
            write_outline(text, value, depth + 1);
        }
        Value::Array(inner) => {
            let cells: Vec<String> = inner.iter().map(cell).collect();
            let _ = writeln!(text, "{indent}{label} {}", printable(&dash(cells.join(", "))));
        }
        scalar => {
            let shown = printable(&dash(cell(scalar)));
            let _ = writeln!(text, "{indent}{label} {}", shown.replace('\n', &format!("\n{indent}  ")));
        }
    };
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                line(text, &format!("{}:", printable(name)), member);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                line(text, "-", element);
            }
        }
        scalar => {
            let _ = writeln!(text, "{indent}{}", printable(&cell(scalar)));
        }
    }
}

fn dash(text: String) -> String {
    if text.is_empty() || text == "{}" { "-".into() } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_space() {
        let mut table = Table::new(&["FLAG", "SAYS"]);
        table.row(vec!["member-api".into(), "canary".into()]);
        table.row(vec!["x".into(), String::new()]);
        assert_eq!(table.render("none"), "FLAG        SAYS\nmember-api  canary\nx           -\n");
        assert_eq!(Table::new(&["FLAG"]).render("There are no flags."), "There are no flags.\n");
    }

    #[test]
    fn text_from_a_server_can_not_drive_the_terminal() {
        let mut table = Table::new(&["REASON"]);
        table.row(vec!["\u{1b}[2Jgone\nnext".into()]);
        assert_eq!(table.render(""), "REASON\n\\u{1b}[2Jgone next\n");
        assert_eq!(outline(&json!({"a": "\u{7}"})), "a: \\u{7}\n");
        for unseen in
            "\u{9b}\u{ad}\u{61c}\u{200b}\u{200f}\u{2028}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}".chars()
        {
            assert_eq!(printable(&format!("for {unseen}ecila")), format!("for {}ecila", unseen.escape_unicode()));
        }
        let plain = "für Zoë, 한국어, \u{3000}العربية ↩ 🙂\n";
        assert_eq!(printable(plain), plain);
    }

    #[test]
    fn nor_can_it_in_json_which_means_the_same() {
        let document = json!({"reason": "\u{9b}2J\u{7f} for \u{202e}ecila\n\u{e0041}é"});
        let text = json(&document);
        assert!(text.contains(r"\u009b2J\u007f for \u202eecila\n\udb40\udc41é"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), document);
    }

    #[test]
    fn a_cause_is_told_once() {
        let said = anyhow::anyhow!("denied").context("can't listen on [::1]:80: denied").context("server.listen");
        assert_eq!(with_causes(&said), "server.listen: can't listen on [::1]:80: denied");
        assert_eq!(with_causes(&anyhow::anyhow!("denied").context("the key")), "the key: denied");
    }

    #[test]
    fn a_document_becomes_an_outline() {
        let document = json!({"route": {"name": "m", "methods": ["GET", "PUT"]}, "steps": [{"a": 1}], "flag": null});
        assert_eq!(outline(&document), "route:\n  name: m\n  methods: GET, PUT\nsteps:\n  -\n    a: 1\nflag: -\n");
    }
}
