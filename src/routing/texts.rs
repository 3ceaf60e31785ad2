//! Texts that a tree compares with: each is kept once, and all lie in one piece of memory.

use std::collections::HashMap;

/// Segments and methods.
#[derive(Debug, Default)]
pub(super) struct Texts {
    all: String,
    known: HashMap<Box<str>, Span>,
}

/// Where one of the texts stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Texts {
    pub(super) fn get(&self, span: Span) -> &str {
        &self.all[span.start as usize..span.end as usize]
    }

    /// Keeps a text, unless it is there already.
    pub(super) fn keep(&mut self, text: &str) -> Span {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let at = |end: usize| u32::try_from(end).expect("a configuration file has less than four gigabytes");
        let start = at(self.all.len());
        self.all.push_str(text);
        let span = Span { start, end: at(self.all.len()) };
        self.known.insert(text.into(), span);
        span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_kept_once() {
        let mut texts = Texts::default();
        let spans = ["things", "", "käse", "things"].map(|text| texts.keep(text));
        assert_eq!(spans.map(|span| texts.get(span)), ["things", "", "käse", "things"]);
        assert_eq!(spans[0], spans[3]);
        assert_eq!(texts.all, "thingskäse");
    }
}
