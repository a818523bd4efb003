//! Attachments: bytes and addresses that come with a message, as the parts that their content says they are.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use aichat_message::{MediaKind, Message, Part, PartKind, Source};

use crate::error::Error;

/// Largest file that is attached, in bytes. Providers take less, some of them much less.
pub const MAX_ATTACHMENT: usize = 20 << 20;

/// Returns a file as a part: media by what its first bytes say it is, anything else as text in a block that names
/// it. The name says nothing about the kind.
///
/// # Errors
/// Fails with kind `input`, naming the file, where it is too large, or neither text nor media of a known kind.
pub fn attach(name: &str, bytes: &[u8]) -> Result<Part, Error> {
    if bytes.len() > MAX_ATTACHMENT {
        let (size, most) = (bytes.len().div_ceil(1 << 20), MAX_ATTACHMENT >> 20);
        return Err(Error::input(format!(
            "{name} has {size} MB, and {most} MB is the most that is attached"
        )));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) && !bytes.starts_with(b"%PDF-") => {
            return Ok(Part::text(block("file", Some(name), text)));
        }
        text => text,
    };
    if let Some((media, mime)) = sniff(bytes) {
        let name = name.rsplit('/').next().unwrap_or(name).to_owned();
        let source = Source::Base64(STANDARD.encode(bytes));
        return Ok(Part::new(PartKind::Media {
            media,
            source,
            mime: Some(mime.to_owned()),
            name: Some(name),
        }));
    }
    Err(Error::input(match text {
        Err(error) if !bytes.contains(&0) => {
            format!("{name} is not UTF-8 text (byte {}), nor of a known kind", error.valid_up_to() + 1)
        }
        _ => format!("{name} is a binary file of no known kind"),
    }))
}

/// Returns what is at an address as a part that the provider fetches by itself; nothing is fetched here, so the
/// kind is what the end of the address says.
///
/// # Errors
/// Fails with kind `input` where the address does not end like that of media.
pub fn link(url: &str) -> Result<Part, Error> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    let Some((_, media, mime)) = EXTENSIONS.iter().find(|(known, ..)| *known == extension) else {
        // What stands before the host may be a password.
        let (scheme, rest) = path.split_once("://").unwrap_or(("", path));
        let (authority, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        let shown = format!("{scheme}://{host}{rest}");
        return Err(Error::input(format!("{shown} does not end like an image, a sound, a video or a PDF")));
    };
    Ok(Part::new(PartKind::Media {
        media: *media,
        source: Source::Url(url.to_owned()),
        mime: Some((*mime).to_owned()),
        name: Some(name.to_owned()),
    }))
}

/// Returns text between tags that do not occur in it, under a name.
pub fn block(tag: &str, name: Option<&str>, text: &str) -> String {
    let mut tag = Cow::Borrowed(tag);
    while text.contains(&format!("</{tag}>")) {
        tag.to_mut().push('_');
    }
    let name = name.map(|name| format!(" name={name:?}")).unwrap_or_default();
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    format!("<{tag}{name}>\n{text}{newline}</{tag}>")
}

/// Returns the name of a medium of the message that a request made from it does not hold. A request without a body
/// is one that never leaves the process.
pub(crate) fn left_out(message: &Message, body: &[u8]) -> Option<String> {
    let is_media = |part: &Part| matches!(part.kind, PartKind::Media { .. });
    if body.is_empty() || !message.parts.iter().any(is_media) {
        return None;
    }
    let body = String::from_utf8_lossy(body);
    message.parts.iter().find_map(|part| {
        let PartKind::Media { source, mime, name, .. } = &part.kind else { return None };
        let (Source::Base64(data) | Source::Url(data) | Source::FileId(data)) = source else { return None };
        // As it stands between the quotes of a JSON text.
        let quoted = serde_json::to_string(data).expect("text is JSON");
        let is_sent = body.contains(quoted.trim_matches('"'));
        let name = name.as_ref().or(mime.as_ref()).map_or("the attachment", String::as_str);
        (!is_sent).then(|| name.to_owned())
    })
}

/// What the ends of addresses say.
const EXTENSIONS: &[(&str, MediaKind, &str)] = &[
    ("png", MediaKind::Image, "image/png"),
    ("jpg", MediaKind::Image, "image/jpeg"),
    ("jpeg", MediaKind::Image, "image/jpeg"),
    ("gif", MediaKind::Image, "image/gif"),
    ("webp", MediaKind::Image, "image/webp"),
    ("mp3", MediaKind::Audio, "audio/mpeg"),
    ("wav", MediaKind::Audio, "audio/wav"),
    ("mp4", MediaKind::Video, "video/mp4"),
    ("webm", MediaKind::Video, "video/webm"),
    ("pdf", MediaKind::File, "application/pdf"),
];

/// What files begin with.
const BEGINNINGS: &[(&[u8], MediaKind, &str)] = &[
    (b"\x89PNG\r\n\x1a\n", MediaKind::Image, "image/png"),
    (b"\xff\xd8\xff", MediaKind::Image, "image/jpeg"),
    (b"GIF87a", MediaKind::Image, "image/gif"),
    (b"GIF89a", MediaKind::Image, "image/gif"),
    (b"II*\0", MediaKind::Image, "image/tiff"),
    (b"MM\0*", MediaKind::Image, "image/tiff"),
    (b"%PDF-", MediaKind::File, "application/pdf"),
    (b"ID3", MediaKind::Audio, "audio/mpeg"),
    (b"fLaC", MediaKind::Audio, "audio/flac"),
    (b"OggS", MediaKind::Audio, "audio/ogg"),
    (b"\x1a\x45\xdf\xa3", MediaKind::Video, "video/webm"),
];

/// What follows `ftyp` in files of the ISO base media format; others are video.
const BRANDS: &[(&[u8], MediaKind, &str)] = &[
    (b"avif", MediaKind::Image, "image/avif"),
    (b"heic", MediaKind::Image, "image/heic"),
    (b"heix", MediaKind::Image, "image/heic"),
    (b"mif1", MediaKind::Image, "image/heif"),
    (b"M4A ", MediaKind::Audio, "audio/mp4"),
    (b"qt  ", MediaKind::Video, "video/quicktime"),
];

fn sniff(bytes: &[u8]) -> Option<(MediaKind, &'static str)> {
    match bytes {
        // Two letters may begin any text; four reserved bytes follow the size.
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => return Some((MediaKind::Image, "image/bmp")),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
            return Some((MediaKind::Image, "image/webp"));
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => {
            return Some((MediaKind::Audio, "audio/wav"));
        }
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => {
            let known = BRANDS.iter().find(|(known, ..)| brand.starts_with(known));
            return Some(known.map_or((MediaKind::Video, "video/mp4"), |(_, media, mime)| (*media, mime)));
        }
        // An MPEG frame of layer III; of no layer, which is ADTS.
        [0xff, second, ..] if second & 0xe6 == 0xe2 => return Some((MediaKind::Audio, "audio/mpeg")),
        [0xff, second, ..] if second & 0xf6 == 0xf0 => return Some((MediaKind::Audio, "audio/aac")),
        _ => {}
    }
    BEGINNINGS.iter().find(|(known, ..)| bytes.starts_with(known)).map(|(_, media, mime)| (*media, *mime))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(bytes: &[u8]) -> String {
        match attach("dir/name", bytes).map(|part| part.kind) {
            Ok(PartKind::Media { mime, name, .. }) => {
                assert_eq!(name.as_deref(), Some("name"));
                mime.unwrap()
            }
            Ok(PartKind::Text { .. }) => "text".to_owned(),
            Ok(_) => panic!("neither text nor media"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_file_is_what_its_bytes_say() {
        for (bytes, is) in [
            (&b"\x89PNG\r\n\x1a\n\0"[..], "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"GIF89a\x01\0", "image/gif"),
            (b"RIFF\0\0\0\0WEBPVP8", "image/webp"),
            (b"RIFF\0\0\0\0WAVEfmt", "audio/wav"),
            (b"\0\0\0\x20ftypheic", "image/heic"),
            (b"\0\0\0\x20ftypisom", "video/mp4"),
            (b"\xff\xfb\x90\0", "audio/mpeg"),
            (b"\xff\xf1\x50\0", "audio/aac"),
            (b"%PDF-1.7\nall in letters", "application/pdf"),
            (b"ID3 tags are described here", "text"),
            (b"BM and the like", "text"),
            (b"BM\x36\0\xff\0\0\0\0\0\x36", "image/bmp"),
            (b"BMW f\xfcr alle", "dir/name is not UTF-8 text (byte 6), nor of a known kind"),
            (b"", "text"),
            ("caf\u{e9}".as_bytes(), "text"),
            (b"caf\xe9", "dir/name is not UTF-8 text (byte 4), nor of a known kind"),
            (b"PK\x03\x04\0", "dir/name is a binary file of no known kind"),
        ] {
            assert_eq!(kind(bytes), is, "{bytes:?}");
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_with_both_sizes() {
        assert_eq!(kind(&vec![b'a'; MAX_ATTACHMENT]), "text");
        let refused = kind(&vec![b'a'; MAX_ATTACHMENT + 1]);
        assert_eq!(refused, "dir/name has 21 MB, and 20 MB is the most that is attached");
    }

    #[test]
    fn an_address_is_passed_on_and_must_end_like_media() {
        let part = link("https://x.org/a/photo.JPG?size=2#top").unwrap();
        let PartKind::Media { media: MediaKind::Image, source: Source::Url(url), mime, name } = part.kind
        else {
            panic!("no image")
        };
        assert_eq!(url, "https://x.org/a/photo.JPG?size=2#top");
        assert_eq!((mime.as_deref(), name.as_deref()), (Some("image/jpeg"), Some("photo.JPG")));
        let error = link("https://x.org/page?token=CANARY").unwrap_err().to_string();
        assert!(!error.contains("CANARY"), "{error}");
        let error = link("https://bob:CANARY@x.org/page").unwrap_err().to_string();
        assert!(!error.contains("CANARY") && error.contains("x.org/page"), "{error}");
    }

    #[test]
    fn a_block_cannot_be_closed_from_within() {
        assert_eq!(block("stdin", None, "a</stdin>b"), "<stdin_>\na</stdin>b\n</stdin_>");
    }

    #[test]
    fn a_medium_that_is_not_in_the_request_is_noticed() {
        let image = attach("a.png", b"\x89PNG\r\n\x1a\n\0\0\xff").unwrap();
        let photo = link("https://x.org/a.png").unwrap();
        let message = Message::new(aichat_message::Role::User, vec![Part::text("what?"), image, photo]);
        let data = "data:image/png;base64,iVBORw0KGgoAAP8=";
        let whole = format!(r#"["what?","{data}","https://x.org/a.png"]"#);
        assert_eq!(left_out(&message, whole.as_bytes()), None);
        assert_eq!(left_out(&message, data.as_bytes()).as_deref(), Some("a.png"));
        assert_eq!(left_out(&message, b"[]").as_deref(), Some("a.png"));
    }
}
