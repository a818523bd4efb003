//! What `-f` attaches: what the provider gets, what is remembered, and what is refused before anything is asked.

use std::fs;

use serde_json::Value;

use crate::common::Home;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
/// The same as it is sent.
const BASE64: &str = "iVBORw0KGgoAAAANSUhEUg==";

/// The bytes of every attachment in the store.
fn kept(home: &Home) -> Vec<Vec<u8>> {
    let files = fs::read_dir(home.data().join("attached")).unwrap().map(|file| file.unwrap());
    let blobs = files.filter(|file| file.file_name() != "lock");
    blobs.map(|blob| fs::read(blob.path()).unwrap()).collect()
}

#[test]
fn an_image_reaches_the_model_and_stays_in_the_session() {
    let home = Home::new();
    home.configure("[record]\nwire = \"off\"\n");
    fs::write(home.path().join("photo"), PNG).unwrap();
    let done = home.run("send -m openai/c1 -s s -f photo what is this");
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    let sent: Value = serde_json::from_str(&home.mock.requests()[0].body).unwrap();
    insta::assert_snapshot!(sent["messages"], @r#"[{"content":[{"text":"what is this","type":"text"},{"image_url":{"url":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="},"type":"image_url"}],"role":"user"}]"#);
    assert_eq!(home.run("send -s s and now").code, 0);
    assert!(home.mock.requests()[1].body.contains(BASE64), "it is sent again with what follows it");
    assert_eq!(kept(&home), [PNG]);
    assert!(home.run("sessions export s --format md").out.contains("*attached: photo (kept)*"));
}

#[test]
fn a_large_image_is_sent_and_kept_whole_and_once() {
    let home = Home::new();
    home.configure("[record]\nwire = \"off\"\n");
    let mut bytes = PNG.to_vec();
    bytes.extend((0..5_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
    fs::write(home.path().join("large.png"), &bytes).unwrap();
    let done = home.run("send -m openai/c1 -s s -f large.png hi");
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    let body = &home.mock.requests()[0].body;
    let data = body.split("base64,").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(data.len(), bytes.len().div_ceil(3) * 4);
    assert_eq!(home.run("send -s s -f large.png again").code, 0);
    assert!(kept(&home) == [bytes]);
    assert_eq!(home.run("events verify s").code, 0);
}

#[test]
fn a_directory_is_its_files_by_name_without_the_hidden_ones() {
    let home = Home::new();
    let dir = home.path().join("notes");
    fs::create_dir_all(dir.join("more")).unwrap();
    fs::create_dir_all(dir.join(".git")).unwrap();
    for (name, bytes) in [
        ("b.txt", &b"two"[..]),
        ("a.txt", b"one"),
        ("more/c", b"three"),
        (".git/config", b"hidden"),
        ("x.bin", b"\0\x01"),
    ] {
        fs::write(dir.join(name), bytes).unwrap();
    }
    let done = home.run("send -m openai/echo -f notes sum up");
    assert_eq!(done.code, 0, "{}", done.err);
    insta::assert_snapshot!(done.all(), @r#"
    0
    sum up

    <file name="notes/a.txt">
    one
    </file>

    <file name="notes/b.txt">
    two
    </file>

    <file name="notes/more/c">
    three
    </file>
    warning: left out: notes/x.bin is a binary file of no known kind
    "#);
    fs::create_dir(home.path().join("empty")).unwrap();
    assert_eq!(home.run("send -m openai/echo -f empty hi").code, 66);
}

#[test]
fn an_address_is_passed_on_and_not_fetched() {
    let home = Home::new();
    let done = home.run("send -m openai/c1 -f http://127.0.0.1:1/a.jpg?size=2 what is this");
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    let sent: Value = serde_json::from_str(&home.mock.requests()[0].body).unwrap();
    assert_eq!(sent["messages"][0]["content"][1]["image_url"]["url"], "http://127.0.0.1:1/a.jpg?size=2");
    let refused = home.run("send -m openai/c1 -f https://x.org/page hi");
    insta::assert_snapshot!(refused.all(), @r#"
    66
    error: https://x.org/page does not end like an image, a sound, a video or a PDF
    hint: the provider fetches it by itself; save anything else and attach the file
    "#);
    assert_eq!(home.mock.requests().len(), 1);
}

#[test]
fn an_image_may_be_piped_in() {
    let home = Home::new();
    let done = home.pipe("send -m openai/c1 -f - what is this", PNG);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    assert!(home.mock.requests()[0].body.contains(BASE64));
    assert_eq!(home.pipe("send -m openai/c1 what is this", PNG).code, 66, "it was not named");
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_is_asked() {
    let home = Home::new();
    fs::write(home.path().join("clip.mp4"), b"\0\0\0\x20ftypisom").unwrap();
    let large = fs::File::create(home.path().join("large")).unwrap();
    large.set_len((20 << 20) + 1).unwrap();
    let mut all = String::new();
    for line in ["send -m openai/c1 -f clip.mp4 what happens", "send -m openai/c1 -f large hi"] {
        all.push_str(&format!("{}\n", home.run(line).all()));
    }
    insta::assert_snapshot!(all, @r#"
    1
    error: openai/c1: clip.mp4 cannot be sent over openai-chat

    66
    error: large has 21 MB, and 20 MB is the most that is attached
    hint: text, images, sound, video and PDF can be attached
    "#);
    assert!(home.mock.requests().is_empty());
}
