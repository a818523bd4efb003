//! The parts of a message as HTML.

use std::fmt::Write;

use aichat_message::{Message, Part, PartKind, Source};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::text::{blocks, line, preformatted};

/// Finds the bytes that are kept under a hash.
pub(super) type Media<'a> = &'a dyn Fn(&str) -> Option<Vec<u8>>;

/// A result of more lines is folded away.
const LONG: usize = 24;

/// Appends all parts of a message.
pub(super) fn message(out: &mut String, message: &Message, media: Media<'_>) {
    for part in &message.parts {
        write(out, part, media);
    }
}

fn write(out: &mut String, part: &Part, media: Media<'_>) {
    match &part.kind {
        PartKind::Text { text, .. } => blocks(out, text),
        PartKind::Refusal { text } => {
            out.push_str("<p class=\"note bad\">refused:</p>\n");
            blocks(out, text);
        }
        PartKind::Reasoning { blocks: thoughts } => {
            let texts: Vec<&str> =
                thoughts.iter().map(|block| block.text()).filter(|text| !text.is_empty()).collect();
            match texts.is_empty() {
                true if part.opaque.is_empty() => {}
                true => out.push_str("<p class=\"note\">reasoning that its provider does not show</p>\n"),
                false => folded(out, "reasoning", false, |out| blocks(out, &texts.join("\n\n"))),
            }
        }
        PartKind::ToolCall { name, arguments, .. } => {
            let _ = writeln!(out, "<p class=\"note call\">calls <b>{}</b></p>", line(name));
            preformatted(out, arguments.as_str(), "");
        }
        PartKind::ToolResult { name, content, is_error, .. } => {
            let of = name.as_deref().map(|name| format!(" of {}", line(name))).unwrap_or_default();
            let what = if *is_error { "error" } else { "result" };
            let mut inner = String::new();
            content.iter().for_each(|part| write(&mut inner, part, media));
            let is_short = inner.lines().nth(LONG).is_none();
            folded(out, &format!("{what}{of}"), is_short, |out| out.push_str(&inner));
        }
        PartKind::Media { source, mime, name, .. } => {
            let what = line(name.as_deref().or(mime.as_deref()).unwrap_or("media"));
            let bytes = bytes(source, media);
            match bytes.as_deref().and_then(|bytes| raster(bytes).map(|mime| (mime, bytes))) {
                Some((mime, bytes)) => {
                    let data = STANDARD.encode(bytes);
                    let _ = writeln!(
                        out,
                        "<figure><img alt=\"{what}\" src=\"data:{mime};base64,{data}\"><figcaption>{what}\
                         </figcaption></figure>"
                    );
                }
                None => {
                    let _ =
                        writeln!(out, "<p class=\"place\">attached: {what} ({})</p>", place(source, mime));
                }
            }
        }
        PartKind::Unknown { type_name, raw } => {
            let what = format!("a part of type {}", line(type_name));
            folded(out, &what, false, |out| preformatted(out, raw.get(), ""));
        }
        _ => out.push_str("<p class=\"note\">a part of another type</p>\n"),
    }
}

/// Appends something that can be folded away; `what` is HTML.
pub(super) fn folded(out: &mut String, what: &str, open: bool, inner: impl FnOnce(&mut String)) {
    let open = if open { " open" } else { "" };
    let _ = writeln!(out, "<details{open}><summary>{what}</summary><div class=\"inner\">");
    inner(out);
    out.push_str("</div></details>\n");
}

fn bytes(source: &Source, media: Media<'_>) -> Option<Vec<u8>> {
    match source {
        Source::Base64(text) => STANDARD.decode(text).ok(),
        Source::Blob(hash) => media(hash),
        _ => None,
    }
}

fn place(source: &Source, mime: &Option<String>) -> String {
    match source {
        Source::Url(text) | Source::FileId(text) => line(text),
        _ => line(mime.as_deref().unwrap_or("not shown")),
    }
}

/// Returns the media type of a picture that every browser draws as dots, by what is in it: what a message says of
/// its type is not believed. Pictures that are documents, SVG above all, are none of these.
fn raster(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => return None,
    })
}
