//! What is written in angle brackets, after an ampersand, and after the text of a link.

/// What was found at the beginning of a text.
pub(super) enum Found {
    Nothing,
    /// It may become something with what follows.
    Unfinished,
    Text {
        text: String,
        length: usize,
    },
    Link {
        text: String,
        length: usize,
    },
}

/// The longest entity that is looked for, in bytes.
const ENTITY: usize = 12;

/// Reads `<https://…>`, `<name@host>` or `<br>`.
pub(super) fn angle(source: &str, reach: usize) -> Found {
    let body = &source[1..];
    let end = body.find(|c: char| c == '>' || c == '<' || c.is_whitespace());
    match end {
        None if source.len() <= reach => Found::Unfinished,
        Some(end) if body[end..].starts_with('>') && end + 2 <= reach => {
            let inner = &body[..end];
            let length = end + 2;
            match inner.to_ascii_lowercase().as_str() {
                "br" | "br/" => Found::Text { text: "\n".to_owned(), length },
                _ if is_address(inner) => Found::Link { text: inner.to_owned(), length },
                _ => Found::Nothing,
            }
        }
        // The one tag with a blank in it that stands for something here.
        Some(end) if body[..end].eq_ignore_ascii_case("br") => match &body[end..] {
            rest if rest.starts_with(" />") => Found::Text { text: "\n".to_owned(), length: end + 4 },
            " " | " /" => Found::Unfinished,
            _ => Found::Nothing,
        },
        _ => Found::Nothing,
    }
}

fn is_address(text: &str) -> bool {
    let is_scheme = |scheme: &str| {
        (2..=32).contains(&scheme.len())
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
    };
    match (text.split_once(':'), text.split_once('@')) {
        (Some((scheme, _)), _) if is_scheme(scheme) => true,
        (_, Some((name, host))) => {
            let name_holds = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_{|}~-`".contains(c);
            let label_holds = |label: &str| {
                label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                    && label.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && label.ends_with(|c: char| c.is_ascii_alphanumeric())
            };
            !name.is_empty() && name.chars().all(name_holds) && host.split('.').all(label_holds)
        }
        _ => false,
    }
}

/// Reads a character that is written by number or by one of the names that are in use.
pub(super) fn entity(source: &str) -> Found {
    let body = &source[1..];
    let Some(end) = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '#') else {
        return if source.len() <= ENTITY { Found::Unfinished } else { Found::Nothing };
    };
    if !body[end..].starts_with(';') || end + 2 > ENTITY {
        return Found::Nothing;
    }
    let name = &body[..end];
    let number = match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => digits.parse().ok(),
        },
        None => None,
    };
    let text = match (number, name) {
        (Some(0), _) => '\u{fffd}',
        // A line that is written by number does not end one.
        (Some(10 | 13), _) => ' ',
        (Some(number), _) => char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER),
        (None, "amp") => '&',
        (None, "lt") => '<',
        (None, "gt") => '>',
        (None, "quot") => '"',
        (None, "apos") => '\'',
        (None, "nbsp") => '\u{a0}',
        (None, "copy") => '©',
        (None, "deg") => '°',
        (None, "hellip") => '…',
        (None, "larr") => '←',
        (None, "rarr") => '→',
        (None, "le") => '≤',
        (None, "ge") => '≥',
        (None, "ne") => '≠',
        (None, "mdash") => '—',
        (None, "ndash") => '–',
        (None, "middot") => '·',
        (None, "times") => '×',
        _ => return Found::Nothing,
    };
    Found::Text { text: text.to_string(), length: end + 2 }
}

/// Reads `(where "title")`, which follows the text of a link.
pub(super) fn target(source: &str, reach: usize) -> Found {
    let Some(body) = source.strip_prefix('(') else {
        return if source.is_empty() { Found::Unfinished } else { Found::Nothing };
    };
    let unfinished = || if source.len() <= reach { Found::Unfinished } else { Found::Nothing };
    let inner = body.trim_start_matches([' ', '\n']);
    let (url, rest) = match inner.strip_prefix('<') {
        Some(inner) => match inner.find(['>', '<', '\n']) {
            None => return unfinished(),
            Some(end) if inner[end..].starts_with('>') => (&inner[..end], &inner[end + 1..]),
            Some(_) => return Found::Nothing,
        },
        None => {
            let mut depth = 0_u32;
            let mut escaped = false;
            let end = inner.find(|c: char| {
                let is_escaped = std::mem::take(&mut escaped);
                match c {
                    _ if c.is_ascii_control() || c == ' ' => return true,
                    _ if is_escaped => {}
                    '\\' => escaped = true,
                    '(' => depth += 1,
                    ')' if depth == 0 => return true,
                    ')' => depth -= 1,
                    _ => {}
                }
                false
            });
            match end {
                None => return unfinished(),
                Some(end) => (&inner[..end], &inner[end..]),
            }
        }
    };
    let after = rest.trim_start_matches([' ', '\n']);
    let (title, rest) = match after.chars().next() {
        None => return unfinished(),
        Some(')') => ("", after),
        Some(quote @ ('"' | '\'')) if after.len() < rest.len() => match after[1..].find(quote) {
            None => return unfinished(),
            Some(end) => (&after[1..=end], after[end + 2..].trim_start_matches([' ', '\n'])),
        },
        Some(_) => return Found::Nothing,
    };
    match rest.strip_prefix(')') {
        None if rest.is_empty() => unfinished(),
        None => Found::Nothing,
        Some(rest) => {
            let length = source.len() - rest.len();
            if length > reach {
                return Found::Nothing;
            }
            let title = if title.is_empty() { String::new() } else { format!(" \"{title}\"") };
            Found::Link { text: format!("{url}{title}"), length }
        }
    }
}
