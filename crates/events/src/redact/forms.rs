//! The forms in which one secret may have been written.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The characters of base64 in the order of their values, as far as both alphabets agree.
const COMMON_DIGITS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Returns every form of `secret` that is looked for, each once.
pub(super) fn of(secret: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([secret.to_owned()]);
    json(secret, &mut forms);
    percent(secret, &mut forms);
    base64(secret, &mut forms);
    forms
}

/// Escapes for JSON strings as different writers do it: beyond what must be escaped, some escape slashes, some
/// everything beyond ASCII, some what HTML would take for markup. Also JSON inside a JSON string.
fn json(secret: &str, forms: &mut BTreeSet<String>) {
    // Most keys are written the same by all of them.
    if secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~:+= ".contains(&byte)) {
        return;
    }
    for style in 0..16u8 {
        let [slash, ascii, html, upper] = [1, 2, 4, 8].map(|bit| style & bit != 0);
        let mut text = String::with_capacity(secret.len());
        for c in secret.chars() {
            match c {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\u{8}' => text.push_str("\\b"),
                '\u{c}' => text.push_str("\\f"),
                '/' if slash => text.push_str("\\/"),
                _ if c < ' ' || ascii && c > '~' || html && "<>&'".contains(c) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        text.push_str(&if upper {
                            format!("\\u{unit:04X}")
                        } else {
                            format!("\\u{unit:04x}")
                        });
                    }
                }
                _ => text.push(c),
            }
        }
        forms.insert(text.replace('\\', "\\\\").replace('"', "\\\""));
        forms.insert(text);
    }
}

/// Escapes for addresses and forms, from everything to as little as possible, hexadecimal in both cases.
fn percent(secret: &str, forms: &mut BTreeSet<String>) {
    const KEPT: [&str; 6] =
        ["-_.~", "-_.~!*'()", "*-_.", "-_.~!*'();/?:@&=+$,#", "-_.~!*'();/?:@&=+$,#[]|^`{}\\", ""];
    for (style, kept) in KEPT.into_iter().enumerate() {
        for (upper, plus) in [(true, false), (true, true), (false, false), (false, true)] {
            let mut text = String::with_capacity(secret.len() * 3);
            for byte in secret.bytes() {
                match byte {
                    b' ' if plus => text.push('+'),
                    _ if kept.as_bytes().contains(&byte) => text.push(char::from(byte)),
                    _ if style < KEPT.len() - 1 && byte.is_ascii_alphanumeric() => {
                        text.push(char::from(byte))
                    }
                    _ => {
                        let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
                        text.push('%');
                        text.extend([byte >> 4, byte & 15].map(|half| char::from(digits[usize::from(half)])));
                    }
                }
            }
            forms.insert(text);
        }
    }
}

/// Encodes in base64 at each of the three places in a group where the secret may begin.
///
/// The first and the last digit may hold bits of a neighbour; every value these can take is a form, so that
/// no bit of the secret remains. Without those two digits it is a form as well, for text cut there.
fn base64(secret: &str, forms: &mut BTreeSet<String>) {
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for before in 0..3usize {
            let mut bytes = vec![0; before];
            bytes.extend_from_slice(secret.as_bytes());
            let rest = bytes.len() % 3;
            let digits = engine.encode(&bytes);
            // Digits that hold nothing but zeros from before the secret, and the one that is shared with them.
            let own = [0, 2, 3][before];
            let whole = digits.len() - usize::from(rest > 0);
            let middle = &digits[own..whole];
            forms.insert(middle.to_owned());
            let edge = |shared: &str, mask: u8| -> Vec<String> {
                let value = (0..64).find(|v| digit(&engine, *v) == shared).unwrap_or(0);
                (0..64).filter(|v| v & mask == value & mask).map(|v| digit(&engine, v)).collect()
            };
            let first = match before {
                0 => vec![String::new()],
                1 => edge(&digits[1..2], 0b00_1111),
                _ => edge(&digits[2..3], 0b00_0011),
            };
            let last = match rest {
                0 => vec![String::new()],
                1 => edge(&digits[whole..], 0b11_0000),
                _ => edge(&digits[whole..], 0b11_1100),
            };
            for first in &first {
                forms.extend(last.iter().map(|last| [first, middle, last].concat()));
            }
        }
    }
}

fn digit(engine: &impl Engine, value: u8) -> String {
    match COMMON_DIGITS.get(usize::from(value)) {
        Some(digit) => char::from(*digit).to_string(),
        None => engine.encode([value << 2])[..1].to_owned(),
    }
}
