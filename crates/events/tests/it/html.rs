//! HTML: a page that shows everything, and in which what was said can do nothing.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aichat_events::{
    CostCalculated, CostLine, Event, Interruption, MessageAssistant, MessageUser, Page, SessionCreated,
    SessionHeadMoved, Transcript, TurnFailed, TurnInterrupted, View, WarningRaised,
};
use aichat_message::{
    CostStatus, ErrorKind, Json, MediaKind, Message, Opaque, OpaqueKind, Origin, Part, PartKind, Protocol,
    ReasoningBlock, Role, Source,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use crate::log::{Log, message_id};

/// A picture of one dot.
const DOT: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const POLICY: &str = "<meta http-equiv=\"Content-Security-Policy\" \
                      content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">";

fn page(log: &Log) -> String {
    Transcript::fold(&log.events).to_html(|_| None)
}

/// The report of everything that happened.
fn report(log: &Log) -> String {
    let mut page = Page::new("report");
    let raw = "<script>fetch('raw')</script>\x1b";
    let exchange = |event: &Event| match event.kind() {
        "llm.request.started" => (Some(raw.to_owned()), None),
        "llm.response.completed" => (None, Some(raw.to_owned())),
        _ => (None, None),
    };
    page.report(&View::of(log.events.clone()), &Transcript::fold(&log.events), exchange);
    page.into_html()
}

/// The page from its body on.
fn body(log: &Log) -> String {
    let page = page(log);
    page[page.find("<body>").unwrap()..].to_owned()
}

fn media(source: Source, mime: &str, name: &str) -> Part {
    let (mime, name) = (Some(mime.to_owned()), Some(name.to_owned()));
    Part::new(PartKind::Media { media: MediaKind::Image, source, mime, name })
}

fn user(id: u8, parent: Option<u8>, message: Message) -> MessageUser {
    MessageUser { id: message_id(id), parent: parent.map(message_id), message }
}

#[test]
fn everything_that_was_said_is_shown() {
    let mut log = Log::new();
    log.add(&SessionCreated { name: Some("sky".into()), model: Some("openai/gpt".into()), scope: None });
    log.at(10).ask(1, None, "Why?\nTell me:\n```\na < b\n```").request(1).responded(Some((3, 5)));
    let mut message = Message::assistant("Because.");
    message.origin = Some(Origin {
        provider: "openai".into(),
        protocol: Protocol::OpenaiChat,
        model: "gpt-1".into(),
        response_id: None,
    });
    let thought = PartKind::Reasoning { blocks: vec![ReasoningBlock::Text("hm\nhm".into())] };
    message.parts.insert(0, Part::new(thought));
    let mut hidden = Part::reasoning();
    let (provider, kind) = ("openai".to_owned(), OpaqueKind::EncryptedContent);
    hidden.opaque.push(Opaque { provider, kind, data: "x".into() });
    message.parts.push(hidden);
    message.parts.push(Part::tool_call("c", "read_file", "{\"path\":\"a\"}"));
    message.parts.push(Part::tool_result("c", "done"));
    message.parts.push(Part::refusal("I will not"));
    message.parts.push(media(Source::Base64(DOT.into()), "image/png", "dot.png"));
    message.parts.push(media(Source::Url("https://x.org/cat.png".into()), "image/png", "cat.png"));
    let raw = Json::new("{\"type\":\"later\"}").unwrap();
    message.parts.push(Part::new(PartKind::Unknown { type_name: "later".into(), raw }));
    log.add(&MessageAssistant { id: message_id(3), parent: Some(message_id(2)), message, partial: true });
    log.add(&WarningRaised { text: "half an answer".into() });
    log.add(&TurnInterrupted { reason: Interruption::User, answer: Some(message_id(3)) });
    insta::assert_snapshot!(body(&log));
    let page = page(&log);
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains(POLICY));
}

#[test]
fn other_branches_stand_beside_the_one_that_was_gone_on_with() {
    let mut log = Log::new();
    log.ask(1, None, "one").say(1, "uno", false).complete(1);
    log.ask(2, Some(3), "left").say(2, "sinistra", false).complete(2);
    let to = |head| SessionHeadMoved { branch: "main".into(), head: Some(message_id(head)) };
    log.add(&to(3));
    log.ask(3, Some(3), "right").say(3, "destra", false).complete(3);
    log.add(&to(5));
    log.ask(4, Some(5), "further left").say(4, "più a sinistra", false).complete(4);
    log.add(&to(7));
    log.ask(5, Some(7), "go on").say(5, "avanti", false).complete(5);
    let body = body(&log);
    let said = ["one", "uno", "left", "sinistra", "further left", "right", "destra", "go on", "avanti"];
    let places: Vec<usize> = said.iter().map(|text| body.find(&format!(">{text}</div>")).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}\n{body}");
    assert!(body.contains("another branch, 4 messages: <span dir=\"auto\">left</span>"), "{body}");
    assert_eq!((body.matches("<details").count(), body.matches("</details>").count()), (1, 1));
}

#[test]
fn branches_of_branches_without_end_are_all_there() {
    let mut log = Log::new();
    for id in 0..120u8 {
        // Two follow each message; the later of them ends there.
        let parent = if id < 2 { None } else { Some(id / 2 * 2 - 2) };
        log.add(&user(id, parent, Message::user(format!("n{id}"))));
    }
    let body = body(&log);
    for id in 0..120 {
        assert_eq!(body.matches(&format!(">n{id}</div>")).count(), 1, "{id}");
    }
    assert_eq!(body.matches("<details").count(), body.matches("</details>").count());
}

#[test]
fn a_page_takes_several_transcripts_and_each_message_has_a_place_of_its_own() {
    let mut log = Log::new();
    log.ask(1, None, "one");
    let transcript = Transcript::fold(&log.events);
    let mut page = Page::new("two & more");
    page.transcript(&transcript, |_| None);
    page.transcript(&transcript, |_| None);
    let html = page.into_html();
    assert!(html.contains("<title>two &amp; more</title>"));
    assert_eq!((html.matches("<section>").count(), html.matches("</html>").count()), (2, 1));
}

#[test]
fn only_dots_become_pictures_whatever_they_are_called() {
    let svg = STANDARD.encode("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>");
    let html = STANDARD.encode("<script>alert(1)</script>");
    let shown = |part: Part| {
        let mut log = Log::new();
        log.add(&user(1, None, Message::new(Role::User, vec![part])));
        body(&log)
    };
    for (data, mime) in
        [(&svg, "image/png"), (&svg, "image/svg+xml"), (&html, "image/gif"), (&html, "text/html")]
    {
        let body = shown(media(Source::Base64(data.clone()), mime, "a"));
        assert!(!body.contains("<img") && body.contains("attached: a"), "{body}");
    }
    for data in ["", "!", "iVBORw0KGgo", "\" onerror=\"alert(1)"] {
        assert!(!shown(media(Source::Base64(data.into()), "image/png", "a")).contains("<img"), "{data}");
    }
    let lying = shown(media(Source::Base64(DOT.into()), "text/html\" onload=\"x", "a\" onerror=\"alert(1)"));
    let image = format!("<img alt=\"a&quot; onerror=&quot;alert(1)\" src=\"data:image/png;base64,{DOT}\">");
    assert!(lying.contains(&image), "{lying}");
    for url in ["javascript:alert(1)", "data:image/svg+xml,<svg onload=alert(1)>", "https://x.org/a.png"] {
        let body = shown(media(Source::Url(url.into()), "image/png", "a"));
        assert!(!body.contains("<img") && !body.contains("href"), "{body}");
    }
}

#[test]
fn pictures_that_are_kept_elsewhere_are_shown_and_what_is_gone_is_named() {
    let hash = "0123456789abcdef".repeat(4);
    let mut log = Log::new();
    let part = media(Source::Blob(hash.clone()), "image/png", "dot.png");
    log.add(&user(1, None, Message::new(Role::User, vec![part])));
    let transcript = Transcript::fold(&log.events);
    let html = transcript.to_html(|asked| (asked == hash).then(|| STANDARD.decode(DOT).unwrap()));
    assert!(html.contains(&format!("src=\"data:image/png;base64,{DOT}\"")), "{html}");
    let html = transcript.to_html(|_| None);
    assert!(!html.contains("<img") && html.contains("attached: dot.png (image/png)"), "{html}");
}

/// What has broken pages before.
const EVIL: &[&str] = &[
    "<script>fetch('URL/script')</script>",
    "</style><script>fetch('URL/style')</script>",
    "</title></main></body><img src=URL/img onerror=\"fetch('URL/onerror')\">",
    "\"><svg onload=\"fetch('URL/svg')\">",
    "' autofocus onfocus='fetch(`URL/focus`)' x='",
    "<a href=\"javascript:fetch('URL/href')\">x</a> javascript:alert(1)",
    "&lt;script&gt;&#60;script&#62;&amp;lt;",
    "<!-- <![CDATA[ ]]> --> <base href=URL/> <meta http-equiv=refresh content='0;url=URL/refresh'>",
    "<iframe src=URL/frame></iframe><link rel=stylesheet href=URL/css><style>@import 'URL/import';</style>",
    "<style>body{background:url(URL/background)}</style><plaintext><xmp><textarea>",
    "\0\u{1}\x1b]0;x\x07\u{2028}\u{2029}\u{202e}\u{2066}\u{feff}\u{fffe}\r\r\n\u{85}",
    "```\n</code></pre><script>fetch('URL/code')</script>\n```",
    "``` \"><script>fetch('URL/info')</script>\n~~~",
];

fn hostile(url: &str) -> Log {
    let evil: Vec<String> = EVIL.iter().map(|text| text.replace("URL", url)).collect();
    let all = evil.join("\n");
    let mut log = Log::new();
    log.add(&SessionCreated { name: Some(all.clone()), model: Some(all.clone()), scope: None });
    for (n, text) in (0u8..).step_by(2).zip(&evil) {
        log.add(&user(n, None, Message::user(text.clone())));
        let mut message = Message::assistant(text.clone());
        message.origin = Some(Origin {
            provider: text.clone(),
            protocol: Protocol::OpenaiChat,
            model: text.clone(),
            response_id: Some(text.clone()),
        });
        message
            .parts
            .push(Part::new(PartKind::Reasoning { blocks: vec![ReasoningBlock::Text(text.clone())] }));
        message.parts.push(Part::tool_call(text.as_str(), text.as_str(), text.as_str()));
        message.parts.push(Part::tool_result(text.as_str(), text.as_str()));
        message.parts.push(Part::refusal(text.as_str()));
        for source in [Source::Url(text.clone()), Source::FileId(text.clone()), Source::Base64(text.clone())]
        {
            message.parts.push(media(source, text, text));
        }
        let raw = Json::from_value(text).unwrap();
        message.parts.push(Part::new(PartKind::Unknown { type_name: text.clone(), raw }));
        log.add(&MessageAssistant { id: message_id(n + 1), parent: None, message, partial: true });
    }
    log.turn = Some(aichat_message::TurnId::from_bits([7; 10]));
    log.add(&WarningRaised { text: all.clone() });
    log.ask(99, None, "x");
    log.add(&TurnFailed { kind: ErrorKind::Server, message: all, answer: None });
    log
}

/// Every tag of the page's body, without those that this crate writes itself.
fn foreign_tags(html: &str) -> Vec<&str> {
    const OWN: &[&str] = &[
        "body",
        "header",
        "h1",
        "h2",
        "dl",
        "dt",
        "dd",
        "section",
        "article",
        "b",
        "span",
        "time",
        "p",
        "div",
        "pre",
        "code",
        "details",
        "summary",
        "figure",
        "img",
        "figcaption",
        "html",
        "ol",
        "li",
        "svg",
        "rect",
        "i",
        "table",
        "tr",
        "th",
        "td",
    ];
    let body = &html[html.find("<body>").unwrap()..];
    let tags = body.split('<').skip(1).map(|rest| rest.split('>').next().unwrap());
    tags.filter(|tag| {
        let name = tag.trim_start_matches('/').split(' ').next().unwrap();
        let attributes = tag.split('"').step_by(2).collect::<String>();
        !OWN.contains(&name) || [" on", " style", " href"].iter().any(|name| attributes.contains(name))
    })
    .collect()
}

#[test]
fn hostile_text_is_text() {
    let log = hostile("http://x.org");
    for html in [page(&log), report(&log)] {
        assert_eq!(foreign_tags(&html), [""; 0]);
        assert_eq!((html.matches("<style>").count(), html.matches(POLICY).count()), (1, 1));
        assert!(html.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
    }
    let html = page(&log);
    let title = html.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
    assert!(!title.contains('<'), "{title}");
}

#[test]
fn a_report_has_everything_that_happened() {
    let mut log = Log::new();
    log.add(&SessionCreated { name: Some("sky".into()), model: Some("openai/gpt".into()), scope: None });
    log.at(10).ask(1, None, "Why < not?").request(1).add(&WarningRaised { text: "odd".into() });
    log.at(500).first_chunk(400).at(900).responded(Some((3, 5))).say(1, "Because.", false);
    let (amount, price) = (Some("0.0012".parse().unwrap()), Some("2.5".parse().unwrap()));
    let part = CostLine { bucket: "input".into(), quantity: 3, price_per_million: price, amount };
    log.add(&CostCalculated {
        amount,
        status: CostStatus::Exact,
        lines: vec![part],
        ..CostCalculated::default()
    });
    log.complete(1);
    let html = report(&log);
    let body = &html[html.find("<body>").unwrap()..];
    assert_eq!(body.matches("class=\"event\"").count(), log.events.len());
    for text in [
        "<h1 dir=\"auto\">sky</h1>",
        "<dt>events</dt><dd>10</dd>",
        "<b>Turn 1</b><span class=\"good\">completed</span><span>890.0 ms</span>",
        "<p class=\"facts\"><span>openai/gpt</span><span>tokens: 3 in, 5 out</span><span>cost: $0.0012</span></p>",
        "Why &lt; not?",
        "<span class=\"name\">stream</span><svg viewBox=\"0 0 1000 10\"",
        "<td>input</td><td>3</td><td>$2.5</td><td>$0.0012</td>",
        "request as it was sent",
        "answer as it came",
        "Outside of turns",
        "<pre class=\"tree\">",
    ] {
        assert!(body.contains(text), "{text}: {body}");
    }
    for tag in ["details", "article", "section", "svg", "ol", "table", "div"] {
        let (open, close) =
            (body.matches(&format!("<{tag}")).count(), body.matches(&format!("</{tag}>")).count());
        assert_eq!(open, close, "{tag}");
    }
    log.events = log.events.iter().map(Event::erase).collect();
    let html = report(&log);
    assert!(!html.contains("Because") && html.contains("erased"), "{html}");
    assert!(report(&Log::new()).contains("no turn has begun yet"));
}

#[test]
fn huge_texts_are_written_in_one_go() {
    let mut log = Log::new();
    let text = "```\n<b>&\n".repeat(200_000);
    log.add(&user(1, None, Message::user(text.clone())));
    let html = page(&log);
    assert!(html.len() > text.len() && foreign_tags(&html).is_empty());
}

proptest! {
    #[test]
    fn no_text_becomes_markup(text in any::<String>(), fenced in "(```|~~~|[<>&\"'\\n a-z]){0,20}") {
        let mut log = Log::new();
        log.add(&SessionCreated { name: Some(text.clone()), model: Some(fenced.clone()), scope: None });
        log.add(&user(1, None, Message::user(format!("{text}\n{fenced}"))));
        log.add(&user(2, None, Message::user(fenced)));
        let html = page(&log);
        prop_assert_eq!(foreign_tags(&html), [""; 0]);
        let html = report(&log);
        prop_assert_eq!(foreign_tags(&html), [""; 0]);
    }
}

/// Returns a browser, if one is installed.
fn chromium() -> Option<PathBuf> {
    let places = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&places)
        .flat_map(|dir| names.map(|name| dir.join(name)))
        .find(|path| path.is_file())
}

#[test]
fn in_a_browser_no_script_runs_and_no_request_leaves() {
    let Some(chromium) = chromium() else {
        eprintln!("skipped: there is no chromium on this machine");
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    std::thread::spawn(move || {
        listener.incoming().for_each(|_| {
            counted.fetch_add(1, Ordering::SeqCst);
        })
    });
    let dir = std::env::temp_dir().join(format!("aichat-html-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let open = |name: &str, html: &str| {
        let path = dir.join(name);
        fs::write(&path, html).unwrap();
        let done = Command::new(&chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--no-first-run",
            ])
            .arg(format!("--user-data-dir={}", dir.join("profile").display()))
            .args(["--virtual-time-budget=3000", "--dump-dom"])
            .arg(format!("file://{}", path.display()))
            .stderr(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    // The page that shows that the trap works: the same, unescaped and without its policy.
    let trap = format!("<img src={url}/img><script>document.title = 'ran'</script>");
    let sprung = open("trap.html", &trap);
    if !sprung.contains("ran") {
        eprintln!("skipped: the browser does not start here");
        return;
    }
    let requests = seen.swap(0, Ordering::SeqCst);
    assert!(requests > 0, "the trap saw the request of a page that makes one");
    let log = hostile(&url);
    let doms = [open("hostile.html", &page(&log)), open("report.html", &report(&log))];
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 0, "a request left");
    for dom in doms {
        assert!(dom.contains("<article"), "the page was shown: {dom}");
        for tag in ["<script", "<iframe", "<svg on", "<base", "<link"] {
            assert!(!dom.contains(tag), "{tag}");
        }
    }
}
