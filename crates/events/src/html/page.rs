//! A page of HTML that needs nothing but itself: no script, no request, one style for screen, phone and print.

use super::text::line;

/// What the browser may do: show the page's own style and images in it, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A page on its way: a frame, and what is put into it.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    pub(super) body: String,
}

impl Page {
    /// Begins a page.
    pub fn new(title: &str) -> Self {
        Self { title: line(title), body: String::new() }
    }

    /// Returns the page as one file.
    pub fn into_html(self) -> String {
        let Self { title, body } = self;
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
        )
    }
}

const STYLE: &str = include_str!("page.css");
