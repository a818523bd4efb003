//! What is on the screen in the end, whatever it was cut into on its way, and that nothing of it is lost.

use std::num::NonZeroU16;

use proptest::prelude::*;

use super::*;

/// Returns what a terminal of a size shows in the end, with what has scrolled off it.
fn screen(text: &str, cuts: &[usize], size: Size) -> String {
    let mut markdown = Markdown::new(size, true);
    let side = |length: usize| NonZeroU16::try_from(u16::try_from(length).unwrap()).unwrap();
    let mut terminal = vt100::Parser::new(side(size.1), side(size.0), 5000);
    let mut show = |written: &str| terminal.process(written.replace('\n', "\r\n").as_bytes());
    let mut from = 0;
    for cut in cuts.iter().copied().filter(|cut| text.is_char_boundary(*cut)) {
        if cut > from {
            markdown.push(&text[from..cut]);
            show(&markdown.draw(size));
            from = cut;
        }
    }
    markdown.push(&text[from..]);
    show(&markdown.draw(size));
    show(&markdown.finish(size));
    contents(&mut terminal)
}

/// Returns every row of a terminal with its styles.
fn contents(terminal: &mut vt100::Parser) -> String {
    let (height, width) = terminal.screen().size();
    let (height, width) = (usize::from(height.get()), width.get());
    terminal.screen_mut().set_scrollback(usize::MAX);
    let mut rows = Vec::new();
    let mut back = terminal.screen().scrollback();
    loop {
        terminal.screen_mut().set_scrollback(back);
        let count = if back == 0 { height } else { back.min(height) };
        rows.extend(terminal.screen().rows_formatted(0, width).take(count));
        if back == 0 {
            break;
        }
        back = back.saturating_sub(height);
    }
    rows.join("\n").trim_end().to_owned()
}

fn every_cut(text: &str) -> Vec<usize> {
    (1..text.len()).collect()
}

/// Returns what is written where nothing is colour.
fn plain(text: &str, columns: usize) -> String {
    let mut markdown = Markdown::new((columns, 24), false);
    markdown.push(text);
    let out = markdown.finish((columns, 24));
    strip(&out)
}

/// Takes the escape sequences of styles out.
fn strip(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        rest = after.split_once('m').expect("only styles are written").1;
    }
    out + rest
}

#[test]
fn every_construct_has_its_form() {
    let text = "# Title\n\nSome *emphasis*, **strong**, `code` and ~~gone~~ text.\nA second line.\n\n\
        - one\n  - two\n    1. three\n- [x] done\n- [ ] open\n\n10. ten\n11. eleven\n\n> quoted\n> - item\n>\n> more\n\n\
        ```rust\nfn main() {\n\tlet x = \"a long line that is not wrapped at all, whatever the width of the screen is\";\n}\n```\n\n\
        | a | b |\n|---|--:|\n| 1 | 22 |\n| `x|y` | **z** |\n\n[text](https://e.org) and <https://e.org>\n\n---\n\nTitle\n=====\nend";
    insta::assert_snapshot!(plain(text, 40), @r#"
    Title

    Some emphasis, strong, `code` and gone
    text.
    A second line.

    • one
      ◦ two
        1. three
    ☑ done
    ☐ open

    10. ten
    11. eleven

    │ quoted
    │ • item
    │
    │ more

    ─── rust ───────────
    fn main() {
    	let x = "a long line that is not wrapped at all, whatever the width of the screen is";
    }
    ────────────────────

    a  │    b
    ───┼─────
    1  │   22
    `x │ y` z

    text (https://e.org) and https://e.org

    ────────────────────────────────────────

    Title
    ═════
    end
    "#);
}

#[test]
fn hostile_text_steers_nothing() {
    let text = "\x1b]52;c;aGk=\x07 `\x1b[2J` **\u{9b}31m** &#27;[2J &#x9b;x \u{202e}txt\n\n```\x1b[H\n\x1b[2Jx\r\n```\n|\x1b[A|b|\n|-|-|\n|\x1b|&#27;c|\n[x](http://\x1b[31m) <a:\x1b>";
    for cuts in [vec![], every_cut(text)] {
        let mut markdown = Markdown::new((80, 24), true);
        let mut out = String::new();
        let mut from = 0;
        for cut in cuts.into_iter().filter(|cut| text.is_char_boundary(*cut)) {
            markdown.push(&text[from..cut]);
            out.push_str(&markdown.draw((80, 24)));
            from = cut;
        }
        markdown.push(&text[from..]);
        out.push_str(&markdown.finish((80, 24)));
        let mut rest = out.as_str();
        while let Some((_, after)) = rest.split_once('\x1b') {
            let sequence: String = after.chars().take_while(|c| !c.is_ascii_alphabetic()).collect();
            let end = after.chars().nth(sequence.len()).unwrap();
            assert!(sequence.starts_with('[') && "mAJ".contains(end), "{sequence:?} {end}");
            rest = &after[sequence.len()..];
        }
        assert!(out.chars().all(|c| !c.is_control() || "\x1b\n\r\t".contains(c)), "{out:?}");
        assert!(!out.contains('\u{202e}'));
    }
}

#[test]
fn what_is_not_closed_is_shown_as_it_is_written() {
    for text in [
        "a *b c",
        "**bold",
        "`tick",
        "[x",
        "[x](y",
        "![",
        "<a",
        "&am",
        "a\\",
        "*.rs and *.toml",
        "snake_case_name",
        "~~x",
    ] {
        let shown = screen(text, &every_cut(text), (80, 24));
        assert_eq!(strip(&shown), text);
    }
}

#[test]
fn open_text_shows_at_once_in_its_likely_style() {
    let mut markdown = Markdown::new((80, 24), true);
    markdown.push("**Hel");
    assert_eq!(markdown.draw((80, 24)), "\x1b[1mHel\x1b[0m");
    markdown.push("lo** w");
    assert_eq!(markdown.draw((80, 24)), "\x1b[1mlo\x1b[0m w");
    markdown.push("orld");
    assert_eq!(markdown.draw((80, 24)), "orld");
    assert_eq!(markdown.finish((80, 24)), "\n");
}

#[test]
fn another_width_holds_for_what_comes() {
    let mut markdown = Markdown::new((20, 24), true);
    let mut out = String::new();
    markdown.push("one two three four five six sev");
    out.push_str(&markdown.draw((20, 24)));
    markdown.push("en eight nine ten");
    out.push_str(&markdown.draw((40, 24)));
    out.push_str(&markdown.finish((40, 24)));
    assert_eq!(out, "one two three four\nfive six seven eight nine ten\n");
}

#[test]
fn a_long_document_is_all_there() {
    let mut text = String::new();
    for n in 0..2000 {
        text.push_str(&format!("line {n} of *many*\n{}", if n % 7 == 0 { "\n" } else { "" }));
    }
    let shown = plain(&text, 80);
    for n in 0..2000 {
        assert!(shown.contains(&format!("line {n} of many\n")), "{n}");
    }
}

/// Pieces that documents are made of, to be put together in any order.
fn piece() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "*",
        "**",
        "_",
        "__",
        "`",
        "``",
        "```",
        "~~",
        "~~~",
        "[",
        "]",
        "(",
        ")",
        "](u/v9)",
        "![",
        "<",
        ">",
        "&",
        "&amp;",
        "\\",
        "\n",
        "\n\n",
        "\n",
        " ",
        "  ",
        "    ",
        "\t",
        "\n- ",
        "\n* ",
        "\n  - ",
        "\n1. ",
        "\n> ",
        "\n# ",
        "\n## ",
        "\n```rust\n",
        "\n```\n",
        "\n| a | b |\n|---|:-:|\n",
        "| c | d |\n",
        "|",
        "\n---\n",
        "\n===\n",
        "\r",
        "\r\n",
        "<br>",
        "漢字",
        "👩\u{200d}👩\u{200d}👧",
        "e\u{301}",
        "\u{200d}",
        "\x1b[2J",
        "https://example.org/a/b",
        "a very long sentence of many words ",
        "[x] ",
        "- [ ] ",
        "1",
        "23",
        "!",
        "#",
        "=",
        "-",
        ":",
    ]);
    prop_oneof![3 => fixed.prop_map(str::to_owned), 2 => "[a-z]{1,12} ?", 1 => "[0-9a-zäß]{1,4}"]
}

fn document() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..60).prop_map(|pieces| pieces.concat())
}

/// Returns the words of a text: what is neither mark nor blank.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Returns how much is written of a text that comes in pieces of so many bytes, and in how many of them it came.
fn written(text: &str, piece: usize, size: Size) -> (usize, usize) {
    let mut markdown = Markdown::new(size, true);
    let (mut written, mut pieces) = (0, 0);
    let mut rest = text;
    while !rest.is_empty() {
        let cut = (piece..=rest.len()).find(|cut| rest.is_char_boundary(*cut)).unwrap_or(rest.len());
        markdown.push(&rest[..cut]);
        written += markdown.draw(size).len();
        pieces += 1;
        rest = &rest[cut..];
    }
    (written + markdown.finish(size).len(), pieces)
}

/// Returns the most that may be written: what the text takes at once, and what may be written over.
fn most(text: &str, pieces: usize, size: Size) -> usize {
    written(text, text.len().max(1), size).0 + BEGUN + SHARE * text.len() + FREE * pieces
}

/// Returns texts of marks and little else, which stay undecided.
fn marks() -> impl Strategy<Value = String> {
    prop::collection::vec("[*_~`\\[\\]()|<&!> a\n-]{1,12}", 1..200).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_written_is_in_proportion_to_the_text(text in prop_oneof![marks(), document()], piece in 1_usize..9, narrow in any::<bool>()) {
        let size = if narrow { (24, 60) } else { (80, 24) };
        let (written, pieces) = written(&text, piece, size);
        prop_assert!(written <= most(&text, pieces, size), "{written} bytes for {} in {pieces}", text.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn cuts_make_no_difference(text in document(), cuts in prop::collection::vec(0_usize..600, 0..40), narrow in any::<bool>()) {
        let size = if narrow { (24, 60) } else { (80, 60) };
        let mut cuts = cuts;
        cuts.sort_unstable();
        let whole = screen(&text, &[], size);
        prop_assert_eq!(&screen(&text, &cuts, size), &whole);
        prop_assert_eq!(&screen(&text, &every_cut(&text), size), &whole);
    }

    #[test]
    fn no_word_is_lost_on_a_screen_that_changes(steps in prop::collection::vec((1_usize..90, 8_usize..100, 2_usize..40), 1..30)) {
        let marks = ["**", "\n\n", "`", "\n- ", "*"];
        let text: String = (0..240).map(|n| format!("w{n} {}", if n % 7 == 6 { marks[n / 7 % 5] } else { "" })).collect();
        let (mut markdown, mut out, mut from, mut size) = (Markdown::new((80, 24), true), String::new(), 0, (80, 24));
        for (length, columns, height) in steps {
            let to = (from + length).min(text.len());
            size = (columns, height);
            markdown.push(&text[from..to]);
            out.push_str(&markdown.draw(size));
            from = to;
        }
        markdown.push(&text[from..]);
        out.push_str(&markdown.finish(size));
        // Where a screen changed, words may stand there twice; what steers it is between words or within them.
        let shown: String = out.split("\x1b[").enumerate().map(|(n, part)| match n {
            0 => part,
            _ => part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest),
        }).collect();
        let mut rest = shown.split(|c: char| !c.is_alphanumeric());
        for n in 0..240 {
            prop_assert!(rest.any(|word| word == format!("w{n}")), "w{n} is not in {shown:?}");
        }
    }

    #[test]
    fn no_word_is_lost(text in document(), narrow in 8_usize..60) {
        let text = text.replace("[x]", " ");
        // A cell of several rows mixes its words with those of its neighbours.
        let straight = text.replace("<br>", " ");
        let said = words(&straight.replace("&amp;", "&"));
        let shown = words(&plain(&straight, 2000)).concat();
        let mut rest = shown.as_str();
        for word in &said {
            let at = rest.find(word);
            prop_assert!(at.is_some(), "{word} of {text:?} is not in {shown:?}");
            rest = &rest[at.unwrap_or_default() + word.len()..];
        }
        // Cells side by side mix their words.
        let sorted = |words: &[String]| {
            let mut letters: Vec<char> = words.concat().chars().collect();
            letters.sort_unstable();
            letters
        };
        let shown = sorted(&words(&plain(&text, narrow)));
        let mut rest = shown.iter();
        for letter in sorted(&said) {
            prop_assert!(rest.any(|shown| *shown == letter), "{letter} of {text:?} is not shown");
        }
    }

    #[test]
    fn emphasis_is_what_others_take_it_for(pieces in prop::collection::vec(prop::sample::select(vec!["*", "**", "_", "__", "a", "b c", " ", ".", "`", "``", "\\*", "(", ")"]), 0..24)) {
        let text = format!("x{}", pieces.concat());
        let text = text.trim_end();
        let manner = inline::Manner { reach: 2000, ticks: false };
        let ours = inline::read(text, '\n', row::Style::PLAIN, true, manner).settled;
        let ours: Vec<(String, row::Style)> = ours.into_iter().map(|span| (span.text, span.style)).collect();
        prop_assert_eq!(ours, theirs(text), "{}", text);
    }
}

/// Returns the runs of a paragraph as another parser sees them.
fn theirs(text: &str) -> Vec<(String, row::Style)> {
    use pulldown_cmark::{Event, Parser, Tag, TagEnd};
    let mut runs: Vec<row::Span> = Vec::new();
    let (mut strong, mut emphasis) = (0, 0);
    for event in Parser::new(text) {
        let mut style = row::Style::PLAIN;
        if strong > 0 {
            style = style.with(row::Style::BOLD);
        }
        if emphasis > 0 {
            style = style.with(row::Style::ITALIC);
        }
        match event {
            Event::Start(Tag::Strong) => strong += 1,
            Event::Start(Tag::Emphasis) => emphasis += 1,
            Event::End(TagEnd::Strong) => strong -= 1,
            Event::End(TagEnd::Emphasis) => emphasis -= 1,
            Event::Text(text) => row::append(&mut runs, style, &text),
            Event::Code(text) => row::append(&mut runs, style.with(row::Style::CODE), &text),
            _ => {}
        }
    }
    runs.into_iter().map(|span| (span.text, span.style)).collect()
}
