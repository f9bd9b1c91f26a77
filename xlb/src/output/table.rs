//! Plain aligned columns, in the way of `ss` and `kubectl`: a header row, no borders, easy to grep.
//!
//! An empty table is its header alone. Control characters in cells are replaced: names come from
//! outside, and a terminal obeys what it is sent.

use super::{Paint, Tone};

/// Which side of its column a cell keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A cell: text and how much attention it wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Text in a tone.
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: clean(&text.into()), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Rows under a header.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

impl Table {
    /// A table with these columns; a name that begins with `>` is of a column of numbers.
    pub fn new(columns: &[&'static str]) -> Self {
        let columns = columns
            .iter()
            .map(|name| match name.strip_prefix('>') {
                Some(name) => (name, Align::Right),
                None => (*name, Align::Left),
            })
            .collect();
        Self { columns, rows: Vec::new(), indent: 0 }
    }

    /// Indented by so many spaces.
    pub fn indent(mut self, indent: usize) -> Self {
        self.indent = indent;
        self
    }

    /// Adds a row; cells that are missing at its end are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, each with its end.
    pub fn render(&self, paint: Paint) -> String {
        let widths: Vec<usize> = (0..self.columns.len()).map(|i| self.width(i)).collect();
        let header: Vec<Cell> =
            self.columns.iter().map(|(name, _)| Cell::new(*name, Tone::Strong)).collect();
        let mut text = String::new();
        for row in std::iter::once(&header).chain(&self.rows) {
            text += &self.line(row, &widths, paint);
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.text.chars().count()).max();
        widest.unwrap_or(0).max(self.columns[column].0.len())
    }

    fn line(&self, row: &[Cell], widths: &[usize], paint: Paint) -> String {
        let mut line = " ".repeat(self.indent);
        // Spaces are written only before the text that needs them: no line ends with any.
        let mut owed = 0;
        for (i, (cell, width)) in row.iter().zip(widths).enumerate() {
            let pad = width - cell.text.chars().count();
            let (before, after) = match self.columns[i].1 {
                Align::Left => (0, pad),
                Align::Right => (pad, 0),
            };
            if !cell.text.is_empty() {
                line += &" ".repeat(owed + before);
                line += &paint.tone(cell.tone, &cell.text);
                owed = after + 2;
            } else {
                owed += width + 2;
            }
        }
        line.push('\n');
        line
    }
}

/// The text without control characters.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_tail() {
        let mut table = Table::new(&["NAME", ">PACKETS", "STATE"]);
        table.row(["web".into(), "12".into(), Cell::new("ok", Tone::Good)]);
        table.row(["a-long-one".into(), "".into(), "x".into()]);
        table.row(["short".into()]);
        assert_eq!(
            table.render(Paint::default()),
            "NAME        PACKETS  STATE\n\
             web              12  ok\n\
             a-long-one           x\n\
             short\n"
        );
    }

    #[test]
    fn colour_does_not_move_anything() {
        let mut table = Table::new(&["A", "B"]).indent(2);
        table.row([Cell::new("x", Tone::Bad), "y".into()]);
        let colored = table.render(Paint { color: true });
        assert!(colored.contains("\x1b[1;31mx\x1b[0m"));
        let mut plain = colored;
        for code in ["\x1b[1;31m", "\x1b[1m", "\x1b[0m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, table.render(Paint::default()));
    }

    #[test]
    fn an_empty_table_is_its_header_and_cells_cannot_steer_the_terminal() {
        assert_eq!(Table::new(&["NAME", ">N"]).render(Paint::default()), "NAME  N\n");
        assert_eq!(clean("a\x1b[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
