//! How lines begin: the marks of lists, quotes, headings, fences, rules and tables.

/// What separates a list's mark from its text, or a table's cells.
fn is_blank(text: &str) -> bool {
    text.trim_matches([' ', '\t']).is_empty()
}

/// Returns how many blanks a line begins with.
pub(super) fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Returns a line whose leading tabs are blanks.
pub(super) fn untabbed(line: &str) -> String {
    let body = line.trim_start_matches([' ', '\t']);
    let mut out = String::with_capacity(line.len() + 8);
    for c in line[..line.len() - body.len()].chars() {
        match c {
            '\t' => out.extend(std::iter::repeat_n(' ', 4 - out.len() % 4)),
            c => out.push(c),
        }
    }
    out + body
}

/// Returns level and text of a heading.
pub(super) fn heading(body: &str) -> Option<(usize, &str)> {
    let text = body.trim_start_matches('#');
    let level = body.len() - text.len();
    if !(1..=6).contains(&level) || !(text.is_empty() || text.starts_with([' ', '\t'])) {
        return None;
    }
    let text = text.trim();
    let bare = text.trim_end_matches('#');
    let closed = bare.is_empty() || bare.ends_with([' ', '\t']);
    Some((level, if closed { bare.trim_end() } else { text }))
}

/// The beginning of a block of code.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    mark: char,
    length: usize,
    /// How far it is indented, which its lines may be as well.
    pub(super) indent: usize,
    pub(super) info: String,
}

impl Fence {
    pub(super) fn read(body: &str, indent: usize) -> Option<Self> {
        let mark = body.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = body.trim_start_matches(mark);
        let length = body.len() - info.len();
        let holds = length >= 3 && !(mark == '`' && info.contains('`'));
        holds.then(|| Self { mark, length, indent, info: info.trim().to_owned() })
    }

    /// Tells whether a line ends it.
    pub(super) fn is_closed_by(&self, line: &str) -> bool {
        let text = line.trim();
        indent(line) < self.indent + 4 && text.len() >= self.length && text.chars().all(|c| c == self.mark)
    }

    /// Tells whether a line that is not all there may end it.
    pub(super) fn may_be_closed_by(&self, line: &str) -> bool {
        line.trim().chars().all(|c| c == self.mark)
    }

    /// Returns a line of the code as it is.
    pub(super) fn code<'a>(&self, line: &'a str) -> &'a str {
        &line[indent(line).min(self.indent)..]
    }
}

/// Tells whether a line is a rule.
pub(super) fn is_rule(body: &str) -> bool {
    let Some(mark) = body.chars().next().filter(|c| matches!(c, '-' | '_' | '*')) else { return false };
    let mut marks = 0;
    for c in body.trim_end().chars() {
        match c {
            c if c == mark => marks += 1,
            ' ' | '\t' => {}
            _ => return false,
        }
    }
    marks >= 3
}

/// Returns what underlines the text above and makes it a heading.
pub(super) fn underline(body: &str) -> Option<char> {
    let text = body.trim_end();
    let mark = text.chars().next().filter(|c| matches!(c, '=' | '-'))?;
    text.chars().all(|c| c == mark).then_some(mark)
}

/// The mark of a list's item.
pub(super) struct Bullet<'a> {
    /// Number and dot as they are written; nothing for a list without numbers.
    pub(super) number: Option<&'a str>,
    /// How far the text of the item is indented from where the mark begins.
    pub(super) width: usize,
    /// Whether a task is done.
    pub(super) task: Option<bool>,
    pub(super) text: &'a str,
}

impl<'a> Bullet<'a> {
    pub(super) fn read(body: &'a str) -> Option<Self> {
        let digits = body.len() - body.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, length) = match body[digits..].chars().next()? {
            '-' | '*' | '+' if digits == 0 => (None, 1),
            '.' | ')' if (1..=9).contains(&digits) => (Some(&body[..=digits]), digits + 1),
            _ => return None,
        };
        let rest = &body[length..];
        if is_blank(rest) {
            return Some(Self { number, width: length + 1, task: None, text: "" });
        }
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        if blanks == 0 {
            return None;
        }
        // A tab reaches to the next stop, more than four blanks are one and code.
        let blanks = if rest.starts_with('\t') || blanks > 4 { 1 } else { blanks };
        let text = &rest[blanks..];
        let done = |text: &'a str| match text.get(..4) {
            Some("[ ] ") => Some(false),
            Some("[x] " | "[X] ") => Some(true),
            _ => None,
        };
        let task = done(text);
        let text = if task.is_some() { &text[4..] } else { text };
        Some(Self { number, width: length + blanks, task, text })
    }

    /// Tells whether it may begin a list in the midst of a paragraph.
    pub(super) fn interrupts(&self) -> bool {
        !self.text.is_empty() && self.number.is_none_or(|number| matches!(number, "1." | "1)"))
    }
}

/// Returns the cells of a table's row: what is between bars that are not escaped.
pub(super) fn cells(row: &str) -> Vec<String> {
    let row = row.trim();
    let row = row.strip_prefix('|').unwrap_or(row);
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for c in row.chars() {
        match c {
            '|' if escaped => {
                let cell = cells.last_mut().expect("there is one from the start");
                cell.pop();
                cell.push(c);
            }
            '|' => cells.push(String::new()),
            c => cells.last_mut().expect("there is one from the start").push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    if cells.len() > 1 && cells.last().is_some_and(|last| is_blank(last)) {
        cells.pop();
    }
    cells.into_iter().map(|cell| cell.trim().to_owned()).collect()
}

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Middle,
    Right,
}

/// Reads the row under a table's head.
pub(super) fn sides(row: &str) -> Option<Vec<Side>> {
    if !row.contains('-') || !row.contains(['|', ':']) {
        return None;
    }
    let side = |cell: String| {
        let dashes = cell.trim_matches(':');
        let holds = !dashes.is_empty() && dashes.chars().all(|c| c == '-') && cell.len() <= dashes.len() + 2;
        match (cell.starts_with(':'), cell.ends_with(':')) {
            _ if !holds => None,
            (true, true) => Some(Side::Middle),
            (false, true) => Some(Side::Right),
            _ => Some(Side::Left),
        }
    };
    cells(row).into_iter().map(side).collect()
}

/// Tells whether the beginning of a line does not show yet what the line is.
pub(super) fn is_unclear(line: &str, in_item: bool) -> bool {
    let body = line.trim_start_matches([' ', '\t']);
    let Some(first) = body.chars().next() else { return true };
    let alike = || body.chars().all(|c| c == first);
    match first {
        // All at once: a line may be nothing else.
        '>' => is_unclear(body.trim_start_matches(['>', ' ', '\t']), false),
        '#' => alike(),
        '`' | '~' => alike() || body.starts_with(if first == '`' { "```" } else { "~~~" }),
        '-' | '*' | '_' | '+' | '=' => {
            let marks_only = body.chars().all(|c| c == first || c == ' ');
            marks_only
                || (first != '_'
                    && first != '='
                    && body[1..].starts_with(' ')
                    && is_unclear(&body[1..], true))
        }
        '[' if in_item => matches!(body, "[" | "[ " | "[x" | "[X" | "[ ]" | "[x]" | "[X]"),
        c if c.is_ascii_digit() => {
            let rest = body.trim_start_matches(|c: char| c.is_ascii_digit());
            match rest.strip_prefix(['.', ')']) {
                Some(rest) => rest.is_empty() || (rest.starts_with(' ') && is_unclear(rest, true)),
                None => rest.is_empty() && body.len() <= 9,
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_tables_are_cut_at_their_bars() {
        assert_eq!(cells("| a | b\\|c | |"), ["a", "b|c", ""]);
        assert_eq!(cells("a|b"), ["a", "b"]);
        assert_eq!(sides("|:--|:-:|--:|"), Some(vec![Side::Left, Side::Middle, Side::Right]));
        assert_eq!(sides("---"), None);
        assert_eq!(sides("|-x-|"), None);
    }

    #[test]
    fn beginnings_are_unclear_until_they_tell() {
        for unclear in
            ["", "#", "##", "-", "- ", "* *", "**", "---", "12", "12.", "1. ", "- [x", "> -", "```ru", "- 1."]
        {
            assert!(is_unclear(unclear, false), "{unclear}");
        }
        for clear in ["a", "#a", "-a", "**b", "1 2", "3.1", "- a", "[x", "`a", "0123456789"] {
            assert!(!is_unclear(clear, false), "{clear}");
        }
    }

    #[test]
    fn marks_are_read() {
        assert_eq!(heading("## a #b ##"), Some((2, "a #b")));
        assert_eq!(heading("#a"), None);
        assert!(is_rule("* * *") && is_rule("---") && !is_rule("--") && !is_rule("-*-"));
        let bullet = Bullet::read("- [x] done").unwrap();
        assert_eq!((bullet.task, bullet.text, bullet.width), (Some(true), "done", 2));
        let bullet = Bullet::read("10)  ten").unwrap();
        assert_eq!((bullet.number, bullet.text, bullet.width), (Some("10)"), "ten", 5));
        assert!(Bullet::read("-x").is_none() && Bullet::read("1.5").is_none());
    }
}
