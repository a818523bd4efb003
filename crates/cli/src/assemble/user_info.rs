//! What stands before the host of an address: it is masked like a key.

use aichat_engine::Secrets;

/// Learns the user info of an address, whole and its password alone, as written and as the header it becomes says it.
pub(super) fn learn(secrets: &Secrets, name: &str, url: &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let Some((user_info, _)) = rest.rsplit_once('@') else { return };
    let password = user_info.split_once(':').map(|(_, password)| password);
    for text in std::iter::once(user_info).chain(password) {
        secrets.learn(name, text);
        secrets.learn(name, &decoded(text));
    }
}

/// Returns percent-encoded text as it was before.
fn decoded(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        match piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => bytes.extend(std::iter::once(byte).chain(piece.bytes().skip(2))),
            None => bytes.extend(std::iter::once(b'%').chain(piece.bytes())),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
