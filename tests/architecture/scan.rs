//! Reads Rust source far enough to judge imports: words and punctuation with lines, comments gone, string literals apart.
//!
//! Not a parser: it knows literals, comments, `mod` blocks and paths, and nothing else of the language.

/// A word or a piece of punctuation of the code proper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// `::` is one token, every other punctuation character its own; a string literal begins with a quote here.
    pub(crate) text: String,
    /// From 1.
    pub(crate) line: usize,
}

/// What one file says.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) tokens: Vec<Token>,
    /// String literals with the line they begin on, escapes as written.
    pub(crate) strings: Vec<(usize, String)>,
}

/// A path as the code names it, e.g. `["crate", "flags", "Flag"]`; groups in braces are spread out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// Names of the `mod … {` blocks around it.
    pub(crate) within: Vec<String>,
}

/// Splits source into tokens and string literals.
pub(crate) fn scan(source: &str) -> Scan {
    let chars: Vec<char> = source.chars().collect();
    let mut reader = Reader { chars: &chars, at: 0, line: 1, out: Scan::default() };
    while reader.at < chars.len() {
        reader.step();
    }
    reader.out
}

struct Reader<'a> {
    chars: &'a [char],
    at: usize,
    line: usize,
    out: Scan,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn advance(&mut self, count: usize) {
        for _ in 0..count {
            if self.peek(0) == '\n' {
                self.line += 1;
            }
            self.at += 1;
        }
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => {
                while self.at < self.chars.len() && self.peek(0) != '\n' {
                    self.advance(1);
                }
            }
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', _) => self.quote(),
            (first, _) if first.is_alphabetic() || first == '_' => self.word(),
            (first, _) if first.is_numeric() => {
                while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                    self.advance(1);
                }
            }
            (first, _) if first.is_whitespace() => self.advance(1),
            (':', ':') => self.punctuation("::"),
            (first, _) => self.punctuation(first.encode_utf8(&mut [0; 4])),
        }
    }

    fn punctuation(&mut self, text: &str) {
        self.out.tokens.push(Token { text: text.into(), line: self.line });
        self.advance(text.chars().count());
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    self.advance(2);
                }
                ('*', '/') => {
                    depth -= 1;
                    self.advance(2);
                }
                _ => self.advance(1),
            }
            if depth == 0 || self.at >= self.chars.len() {
                return;
            }
        }
    }

    fn string(&mut self) {
        let line = self.line;
        self.advance(1);
        let start = self.at;
        while self.at < self.chars.len() && self.peek(0) != '"' {
            self.advance(if self.peek(0) == '\\' { 2 } else { 1 });
        }
        self.keep_string(line, start, self.at);
        self.advance(1);
    }

    fn raw_string(&mut self, hashes: usize) {
        let line = self.line;
        self.advance(hashes + 1);
        let start = self.at;
        while self.at < self.chars.len() && !(self.peek(0) == '"' && (1..=hashes).all(|n| self.peek(n) == '#')) {
            self.advance(1);
        }
        self.keep_string(line, start, self.at);
        self.advance(hashes + 1);
    }

    fn keep_string(&mut self, line: usize, start: usize, end: usize) {
        let end = end.min(self.chars.len());
        let content: String = self.chars[start.min(end)..end].iter().collect();
        self.out.tokens.push(Token { text: format!("\"{content}"), line });
        self.out.strings.push((line, content));
    }

    /// A character literal, or a lifetime, which has no closing quote.
    fn quote(&mut self) {
        if self.peek(1) == '\\' {
            self.advance(3);
            while self.at < self.chars.len() && self.peek(0) != '\'' {
                self.advance(1);
            }
            self.advance(1);
        } else if self.peek(2) == '\'' {
            self.advance(3);
        } else {
            self.advance(1);
            while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                self.advance(1);
            }
        }
    }

    fn word(&mut self) {
        let line = self.line;
        let start = self.at;
        while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
            self.advance(1);
        }
        let text: String = self.chars[start..self.at].iter().collect();
        let hashes = (0..).take_while(|&n| self.peek(n) == '#').count();
        match text.as_str() {
            "r" | "br" | "cr" if self.peek(hashes) == '"' => self.raw_string(hashes),
            "b" | "c" if self.peek(0) == '"' => self.string(),
            "b" if self.peek(0) == '\'' => self.quote(),
            "r" if hashes == 1 => self.advance(1),
            _ => self.out.tokens.push(Token { text, line }),
        }
    }
}

/// Every path that the code names, `use` trees spread out into single paths.
pub(crate) fn paths(tokens: &[Token]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut within: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let text = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text.as_str());
        match text(0) {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                within.retain(|(_, opened_at)| *opened_at <= depth);
            }
            "mod" if text(2) == "{" => {
                depth += 1;
                within.push((text(1).into(), depth));
                at += 3;
                continue;
            }
            "use" => {
                let names: Vec<String> = within.iter().map(|(name, _)| name.clone()).collect();
                at = tree(tokens, at + 1, &[], &names, &mut found);
                continue;
            }
            _ if text(1) == "::" && is_word(text(0)) && !continues_a_path(tokens, at) => {
                let names: Vec<String> = within.iter().map(|(name, _)| name.clone()).collect();
                at = tree(tokens, at, &[], &names, &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// `<T as Trait>::name` and `.method::<T>` have a path sign that begins no path of its own.
fn continues_a_path(tokens: &[Token], at: usize) -> bool {
    at > 0 && matches!(tokens[at - 1].text.as_str(), "::" | ".")
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Reads one path or `use` tree that begins at `at`; returns where it ends.
fn tree(tokens: &[Token], mut at: usize, prefix: &[String], within: &[String], found: &mut Vec<Path>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let line = tokens.get(at).map_or(0, |token| token.line);
    let mut segments = prefix.to_vec();
    if text(at) == "::" {
        at += 1;
    }
    loop {
        if text(at) == "{" {
            at += 1;
            while !matches!(text(at), "}" | "") {
                at = tree(tokens, at, &segments, within, found);
                if text(at) == "as" {
                    at += 2;
                }
                if text(at) == "," {
                    at += 1;
                } else if text(at) != "}" {
                    // Not a `use` tree after all (a macro's body, say): leave it to the caller.
                    return at;
                }
            }
            return at + 1;
        }
        if !is_word(text(at)) && text(at) != "*" {
            break;
        }
        segments.push(text(at).into());
        at += 1;
        if text(at) != "::" {
            break;
        }
        at += 1;
    }
    if segments.len() > prefix.len() {
        found.push(Path { segments, line, within: within.to_vec() });
        at
    } else {
        at + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &[&str]) {
        let found: Vec<String> = paths(&scan(source).tokens).iter().map(|path| path.segments.join("::")).collect();
        assert_eq!(found, expected, "in {source:?}");
    }

    #[test]
    fn spreads_use_trees_and_sees_inline_paths() {
        check(
            "use crate::{auth::Issuer, flags::{Flag, self}, units as u};",
            &["crate::auth::Issuer", "crate::flags::Flag", "crate::flags::self", "crate::units"],
        );
        check("fn f(x: crate::flags::Flag) -> Vec<super::Thing> {}", &["crate::flags::Flag", "super::Thing"]);
        check("use std::fmt; pub(crate) use self::a::*;", &["std::fmt", "self::a::*"]);
        check("use axum;", &["axum"]);
        check("#[tokio::main] fn main() { figway::app::main() }", &["tokio::main", "figway::app::main"]);
    }

    #[test]
    fn comments_strings_and_characters_hide_nothing_and_add_nothing() {
        check("// use crate::a;\n/* use /* crate::b */ x */ let s = \"crate::c\"; crate::d::e", &["crate::d::e"]);
        check("let s = r#\"a \" crate::c\"#; let c = '\"'; let l: &'a str = b::c;", &["b::c"]);
        check(r"let q = '\''; let u = '\u{7f}'; x::y", &["x::y"]);
        check("r#use::x", &["x"]);
    }

    #[test]
    fn generic_arguments_and_methods_begin_no_path() {
        check("iter.collect::<Vec<crate::a::B>>()", &["crate::a::B"]);
        check("<crate::a::B as x::C>::new()", &["crate::a::B", "x::C"]);
    }

    #[test]
    fn knows_the_module_block_around_a_path() {
        let scan = scan("mod tests { use super::*; mod deep { fn f() { super::g() } } }\nuse super::h;");
        let found = paths(&scan.tokens);
        let within: Vec<_> = found.iter().map(|path| path.within.join("::")).collect();
        assert_eq!(within, ["tests", "tests::deep", ""]);
        assert_eq!(found[2].line, 2);
    }

    #[test]
    fn keeps_string_literals_with_their_lines() {
        let scan = scan("a(\"one\\\"\",\n r\"two\")");
        assert_eq!(scan.strings, [(1, "one\\\"".into()), (2, "two".into())]);
    }
}
