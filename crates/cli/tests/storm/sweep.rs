//! Looks for a secret byte by byte, in every form that it may have been written in.

use std::path::{Path, PathBuf};

/// A secret, and what it looks like raw, escaped for JSON, percent-encoded and in base64 at any place in a group.
pub(crate) struct Secret(pub(crate) Vec<(&'static str, String)>);

impl Secret {
    pub(crate) fn new(text: &str) -> Self {
        let quoted = serde_json::to_string(text).unwrap();
        let mut forms = vec![
            ("raw", text.to_owned()),
            ("json", quoted[1..quoted.len() - 1].to_owned()),
            ("percent", percent(text, |byte| format!("%{byte:02X}"))),
            ("percent, small", percent(text, |byte| format!("%{byte:02x}"))),
        ];
        for (name, before) in [("base64", 0), ("base64 + 1", 1), ("base64 + 2", 2)] {
            let standard = base64(text.as_bytes(), before);
            forms.push((name, standard.replace('+', "-").replace('/', "_")));
            forms.push((name, standard));
        }
        Self(forms)
    }

    /// Returns the form of the secret that the bytes hold, in one piece or in pieces that a reader would join.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<&'static str> {
        // Each form is ASCII, which bytes that are no text do not disturb.
        let text = String::from_utf8_lossy(bytes);
        let joined = joined(&text);
        let holds = |form: &String| text.contains(form) || joined.contains(form);
        self.0.iter().find(|(_, form)| holds(form)).map(|(name, _)| *name)
    }
}

/// Returns what the pieces of an answer say together: every text of a delta, one after another, whether it stands in a
/// record of a turn or in an event of a stream.
fn joined(text: &str) -> String {
    let mut all = String::new();
    for mark in ["\"content\":\"", "\"text\":\""] {
        for piece in text.split(mark).skip(1) {
            let quoted = format!("\"{piece}");
            let first = serde_json::Deserializer::from_str(&quoted).into_iter::<String>().next();
            all.push_str(&first.and_then(Result::ok).unwrap_or_default());
        }
    }
    all
}

/// What a file that is compressed with zstd begins with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Returns every file below a directory with its bytes; one that is compressed, with those it stands for.
pub(crate) fn files(place: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => {
                let bytes = std::fs::read(&path).unwrap();
                let bytes =
                    if bytes.starts_with(&ZSTD) { zstd::decode_all(&bytes[..]).unwrap() } else { bytes };
                all.push((path, bytes));
            }
        }
    }
    all
}

fn percent(text: &str, escape: impl Fn(u8) -> String) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).into() } else { escape(byte) }).collect()
}

/// Returns the digits that depend on the bytes alone where `before` other bytes stand before them.
fn base64(bytes: &[u8], before: usize) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = std::iter::repeat_n(0, before)
        .chain(bytes.iter().copied())
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let digit =
        |bits: &[u8]| char::from(DIGITS[bits.iter().fold(0, |sum, bit| sum << 1 | usize::from(*bit))]);
    bits.chunks_exact(6).skip((before * 8).div_ceil(6)).map(digit).collect()
}

#[test]
fn forms_are_those_that_others_write() {
    let secret = Secret::new("a/\"b?>");
    let all: Vec<&str> = secret.0.iter().map(|(_, form)| form.as_str()).collect();
    // As `printf 'a/"b?>' | base64` writes it, and after one and two other bytes.
    assert_eq!(all[..4], ["a/\"b?>", "a/\\\"b?>", "a%2F%22b%3F%3E", "a%2f%22b%3f%3e"]);
    assert_eq!(all[4..], ["YS8iYj8-", "YS8iYj8+", "EvImI_P", "EvImI/P", "hLyJiPz", "hLyJiPz"]);
    assert_eq!(secret.find(b"x YS8iYj8+ y"), Some("base64"));
    assert_eq!(secret.find(b"x YS8iYj8 y"), None);
}

#[test]
fn a_secret_in_pieces_is_found_as_well() {
    let secret = Secret::new("sk-/\"pieces\"-0123");
    let events: String = ["so: sk", "-/", "\"pie", "ces\"-01", "23."]
        .map(|text| {
            format!("data: {{\"choices\":[{{\"delta\":{{\"content\":{}}}}}]}}\n\n", serde_json::json!(text))
        })
        .concat();
    assert_eq!(secret.find(events.as_bytes()), Some("raw"));
    let records = events.replace("content", "text").replace("data: ", "\u{0}\u{7}");
    assert_eq!(secret.find(records.as_bytes()), Some("raw"));
    assert_eq!(secret.find(events.replace("pie", "‹secret›").as_bytes()), None);
}
