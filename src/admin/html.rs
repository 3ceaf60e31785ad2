//! HTML in which nothing from outside can become markup: text goes through [`Text`], always.

use std::fmt;

/// A value as HTML text or as a quoted attribute's value.
pub(super) struct Text<T>(pub(super) T);

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        write!(Escaper(f), "{}", self.0)
    }
}

struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.write_str("&amp;")?,
                '<' => self.0.write_str("&lt;")?,
                '>' => self.0.write_str("&gt;")?,
                '"' => self.0.write_str("&quot;")?,
                '\'' => self.0.write_str("&#39;")?,
                // Direction overrides could show a text other than the one that stands there.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => self.0.write_char('\u{fffd}')?,
                other if other.is_control() && !matches!(other, '\n' | '\t') => self.0.write_char('\u{fffd}')?,
                other => self.0.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A table with a caption and a header row; cells are HTML, made of [`Text`].
pub(super) fn table(caption: &str, columns: &[&str], rows: &[Vec<String>]) -> String {
    let head: String = columns.iter().map(|name| format!("<th scope=\"col\">{}</th>", Text(name))).collect();
    let body: String = rows.iter().map(|cells| row(cells)).collect();
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{label}\" tabindex=\"0\"><table><caption>{label}</caption>\
         <thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n",
        label = Text(caption)
    )
}

fn row(cells: &[String]) -> String {
    let cells: String = cells
        .iter()
        .enumerate()
        .map(|(at, cell)| match at {
            0 => format!("<th scope=\"row\">{cell}</th>"),
            _ => format!("<td>{cell}</td>"),
        })
        .collect();
    format!("<tr>{cells}</tr>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_not_become_markup() {
        let hostile = "<script>alert('&\"')</script>\u{202e}\u{0}";
        assert_eq!(
            Text(hostile).to_string(),
            "&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;\u{fffd}\u{fffd}"
        );
    }
}
