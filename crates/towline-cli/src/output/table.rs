//! Columns of text, as wide as they need to be.

/// Rows under a heading. A cell may carry colours of its own; they count no width.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

/// Two blanks between columns, so that one blank inside a cell is not taken for the border.
const GAP: &str = "  ";

impl Table {
    /// A table with these headings.
    pub(crate) fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows[0].len();
        let widths: Vec<usize> =
            (0..columns).map(|column| self.rows.iter().map(|row| width(&row[column])).max().unwrap_or(0)).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, full) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(full - width(cell)));
                line.push_str(GAP);
            }
            let end = if number + 1 == self.rows.len() { "" } else { "\n" };
            write!(f, "{}{end}", line.trim_end())?;
        }
        Ok(())
    }
}

/// How many characters a terminal shows of it: all but the colours' sequences.
fn width(cell: &str) -> usize {
    let mut count = 0;
    let mut in_sequence = false;
    for character in cell.chars() {
        match (in_sequence, character) {
            (false, '\x1b') => in_sequence = true,
            (true, 'm') => in_sequence = false,
            (true, _) => {}
            (false, _) => count += 1,
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_colours_their_cells_have() {
        let mut table = Table::new(["what", "outcome"]);
        table.row(["order.xml".into(), "\x1b[32mhandled\x1b[0m".into()]);
        table.row(["ü".into(), "x".into()]);
        assert_eq!(table.to_string(), "what       outcome\norder.xml  \x1b[32mhandled\x1b[0m\nü          x");
    }
}
