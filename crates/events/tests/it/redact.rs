//! Redaction: every form, every cut, hostile secrets, and what must not be touched.

use std::borrow::Cow;

use aichat_events::Redactor;
use aichat_message::{Extra, Json, Message, Opaque, OpaqueKind, Part, PartKind, Role};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

const KEY: &str = "sk-T3st/K3y+\"q\\uo\"te-é";

fn redactor(secrets: &[(&str, &str)]) -> Redactor {
    Redactor::new(secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn key() -> Redactor {
    redactor(&[("key", KEY)])
}

/// Passes `text` in pieces of `len` characters.
fn streamed(redactor: &Redactor, text: &str, len: usize) -> String {
    let mut stream = redactor.stream();
    let chars: Vec<char> = text.chars().collect();
    let mut out: String =
        chars.chunks(len).map(|piece| stream.push(&piece.iter().collect::<String>())).collect();
    out.push_str(&stream.finish());
    out
}

#[test]
fn each_form_of_a_secret_is_masked_whole_and_cut_into_single_characters() {
    let minimal_json = serde_json::to_string(KEY).unwrap();
    let json = minimal_json[1..minimal_json.len() - 1].to_owned();
    let twice = serde_json::to_string(&json).unwrap();
    let full: String = KEY.bytes().map(|b| format!("%{b:02X}")).collect();
    let forms = [
        KEY.to_owned(),
        json.clone(),
        json.replace('é', "\\u00e9").replace('/', "\\/"),
        json.replace('é', "\\u00E9"),
        twice[1..twice.len() - 1].to_owned(),
        full.clone(),
        full.to_lowercase(),
        "sk-T3st%2FK3y%2B%22q%5Cuo%22te-%C3%A9".to_owned(),
        "sk-T3st%2fK3y%2b%22q%5cuo%22te-%c3%a9".to_owned(),
        "sk-T3st/K3y+%22q%5Cuo%22te-%C3%A9".to_owned(),
    ];
    for form in forms {
        let text = format!("before {form} after");
        assert_eq!(key().redact_str(&text), "before ‹secret:key› after", "{form}");
        assert_eq!(streamed(&key(), &text, 1), "before ‹secret:key› after", "{form}");
    }
}

#[test]
fn base64_is_masked_from_the_first_digit_to_the_last_that_holds_a_bit_of_the_secret() {
    for (secret, before, after) in
        (0..3).flat_map(|s| (0..5).flat_map(move |b| (0..5).map(move |a| (s, b, a))))
    {
        let secret = format!("long?secret>{}", "~".repeat(secret));
        let redactor = redactor(&[("key", &secret)]);
        let plain = [vec![0xf7; before], secret.clone().into_bytes(), vec![0xfb; after]].concat();
        for text in [STANDARD.encode(&plain), URL_SAFE_NO_PAD.encode(&plain)] {
            let (from, to) = (before * 8 / 6, ((before + secret.len()) * 8).div_ceil(6));
            let masked = format!("{}‹secret:key›{}", &text[..from], &text[to..]);
            assert_eq!(redactor.redact_str(&text), masked, "{before} {after} {text}");
            assert_eq!(streamed(&redactor, &text, 1), masked);
        }
    }
}

#[test]
fn secrets_that_overlap_themselves_or_each_other_leave_no_rest() {
    let own = redactor(&[("ab", "abababababab")]);
    assert_eq!(own.redact_str("x ababababababababab y"), "x ‹secret:ab› y");
    assert_eq!(streamed(&own, "x ababababababababab y", 1), "x ‹secret:ab› y");
    let both =
        redactor(&[("short", "0123456789ab"), ("long", "xyz0123456789abcdef"), ("next", "abcdefghijklmnop")]);
    let cases = [
        ("(0123456789ab)", "(‹secret:short›)"),
        ("(xyz0123456789abcdef)", "(‹secret:long›)"),
        ("(xyz0123456789abcdefghijklmnop)", "(‹secret:long›)"),
        ("(xyz0123456789abcde)", "(xyz‹secret:short›cde)"),
        ("(0123456789ab0123456789ab)", "(‹secret:short›‹secret:short›)"),
    ];
    for (text, masked) in cases {
        assert_eq!(both.redact_str(text), masked);
        assert_eq!(streamed(&both, text, 1), masked);
    }
}

#[test]
fn an_endless_overlap_does_not_fill_the_stream() {
    let redactor = redactor(&[("ab", "abababababab")]);
    let mut stream = redactor.stream();
    let out: String = (0..10_000).map(|_| stream.push("ab")).collect();
    assert_eq!(out, "‹secret:ab›");
    assert!(stream.held() < 100, "{}", stream.held());
    assert_eq!(stream.push("! abababababa") + &stream.finish(), "! abababababa");
}

#[test]
fn a_stream_holds_back_only_what_could_become_a_secret() {
    let redactor = redactor(&[("key", "?secret-secret-")]);
    let mut stream = redactor.stream();
    assert_eq!(stream.push("Why? "), "Why? ");
    assert_eq!(stream.push("Why?"), "Why");
    assert_eq!(stream.push("se"), "");
    assert_eq!(stream.push("e. "), "?see. ");
    assert_eq!(stream.push("?secret-secret-"), "‹secret:key›");
    assert_eq!((stream.finish().as_str(), stream.held()), ("", 0));
}

#[test]
fn without_secrets_or_with_short_ones_nothing_is_copied() {
    for redactor in [Redactor::none(), redactor(&[("short", "elevenbytes"), ("empty", "")])] {
        assert!(redactor.is_none());
        assert!(matches!(redactor.redact_str("elevenbytes"), Cow::Borrowed("elevenbytes")));
        assert_eq!(redactor.stream().push("elevenbyte"), "elevenbyte");
        assert!(redactor.take_counts().is_empty());
    }
    assert!(matches!(key().redact(b"nothing \xff here"), Cow::Borrowed(_)));
}

#[test]
fn debug_output_shows_no_value_and_white_space_is_no_part_of_one() {
    let redactor = redactor(&[("key", " 0123456789ab\n")]);
    let mut stream = redactor.stream();
    assert_eq!(stream.push("0123456789a"), "");
    assert_eq!(format!("{redactor:?} {stream:?}"), r#"{"key"} RedactStream { redactor: {"key"}, held: 11 }"#);
    assert_eq!(stream.push("b."), "‹secret:key›.");
}

#[test]
fn text_that_holds_a_placeholder_stays_and_names_cannot_break_what_they_stand_in() {
    assert_eq!(key().redact_str("‹secret:key› ‹secret:"), "‹secret:key› ‹secret:");
    let redactor = redactor(&[("a\"b\n›", "0123456789ab")]);
    assert_eq!(redactor.redact_str("0123456789ab"), "‹secret:a_b__›");
    assert_eq!(format!("{redactor:?}"), "{\"a_b__\"}");
}

#[test]
fn counts_are_per_secret_and_per_tally() {
    let redactor = redactor(&[("one", "0123456789ab"), ("two", "ab9876543210")]);
    let turn = redactor.counted();
    let _ = turn.redact_str("0123456789ab, 0123456789ab");
    let _ = streamed(&turn, "0123456789ab", 1);
    let _ = redactor.redact(b"ab9876543210");
    let counts = |r: &Redactor| r.take_counts().into_iter().map(|c| (c.name, c.count)).collect::<Vec<_>>();
    assert_eq!(counts(&turn), [("one".to_owned(), 3)]);
    assert_eq!(counts(&turn), []);
    assert_eq!(counts(&redactor), [("two".to_owned(), 1)]);
}

#[test]
fn json_is_masked_inside_its_strings_and_stays_json() {
    let redactor =
        redactor(&[("quote", "a\",\"b\":\"c-d-e"), ("number", "1234567890123"), ("n", "nsecret-secret")]);
    let json = Json::new(
        r#"{"x": 12345678901234567890,"a\",\"b\":\"c-d-e":[ "\u0061\",\"b\":\"c-d-e","a","b", 1.0e+3],"a":"c-d-e","b":"\nsecret-secret","c":"\n\u006esecret-secret \ud800","d":"\ud800"}"#,
    )
    .unwrap();
    insta::assert_snapshot!(redactor.redact_json(&json), @r#"{"x": "‹secret:number›4567890","‹secret:quote›":[ "‹secret:quote›","a","b", 1.0e+3],"a":"c-d-e","b":"\nsecret-secret","c":"\n‹secret:n› ���","d":"\ud800"}"#);
    let plain = Json::new(r#"{"z":1.0e+3,  "a":["\u00e9",987654321098765432109876543210]}"#).unwrap();
    assert_eq!(redactor.redact_json(&plain), plain);
}

#[test]
fn a_message_is_masked_everywhere_but_in_opaque_data() {
    let mut part = Part::text(format!("text {KEY}"));
    part.id = Some(KEY.into());
    part.extra.push(KEY, Json::from_value(KEY).unwrap());
    let mut signed = Part::new(PartKind::Reasoning { blocks: vec![] });
    signed.opaque.push(Opaque { provider: "p".into(), kind: OpaqueKind::Signature, data: KEY.into() });
    let result = Part::new(PartKind::ToolResult {
        call_id: KEY.into(),
        name: Some(KEY.into()),
        content: vec![Part::text(KEY), Part::refusal(KEY)],
        is_error: false,
    });
    let unknown =
        Part::new(PartKind::Unknown { type_name: "new".into(), raw: Json::from_value(&[KEY]).unwrap() });
    let whole = Part::tool_call(KEY, KEY, serde_json::json!({ "k": KEY }).to_string());
    let cut = Part::tool_call("", "", format!("{{\"k\":{}", serde_json::to_string(KEY).unwrap()));
    let mut message = Message::new(Role::Assistant, vec![part, result, unknown, whole, cut]);
    message.extra = Extra::from_iter([("e".to_owned(), Json::from_value(KEY).unwrap())]);

    let masked = key().redact_message(&message);
    let text = serde_json::to_string(&masked).unwrap();
    assert_eq!(text.matches("‹secret:key›").count(), 14, "{text}");
    assert!(!text.contains("T3st"), "{text}");
    assert_eq!(key().redact_part(&signed), signed);
    assert_eq!(Redactor::none().redact_message(&message), message);
}

/// How many ways of [`written`] there are.
const WAYS: usize = 12;

/// Every way of writing a secret that the tests know, made without the crate.
fn written(secret: &str, way: usize, pad: usize) -> (String, String, String) {
    let whole = |text: String| (String::new(), text, String::new());
    let json = |text: &str| {
        let text = serde_json::to_string(text).unwrap();
        text[1..text.len() - 1].to_owned()
    };
    // Some escape all but letters and digits, some what a part of an address may not hold.
    let percent = |plain: &str, upper: bool| -> String {
        let byte = |b: u8| match b.is_ascii_alphanumeric() || plain.as_bytes().contains(&b) {
            true => char::from(b).to_string(),
            false if upper => format!("%{b:02X}"),
            false => format!("%{b:02x}"),
        };
        secret.bytes().map(byte).collect()
    };
    let ascii = |upper: bool| -> String {
        let unit = |u: u16| if upper { format!("\\u{u:04X}") } else { format!("\\u{u:04x}") };
        let escape = |c: char| match c.is_ascii() {
            true => c.to_string(),
            false => c.encode_utf16(&mut [0; 2]).iter().map(|u| unit(*u)).collect(),
        };
        json(secret).chars().map(escape).collect()
    };
    match way {
        0 => whole(secret.to_owned()),
        1 => whole(json(secret)),
        2 => whole(json(secret).replace('/', "\\/")),
        3 => whole(ascii(pad.is_multiple_of(2))),
        4 => whole(json(&json(secret))),
        5 => whole(secret.bytes().map(|b| format!("%{b:02x}")).collect()),
        6 => whole(secret.bytes().map(|b| format!("%{b:02X}")).collect()),
        7 => whole(percent("-_.~", pad.is_multiple_of(2))),
        8 => whole(percent("-_.~!*'()", pad.is_multiple_of(2))),
        9 => whole(percent("-_.~!*'();/?:@&=+$,#", pad.is_multiple_of(2))),
        _ => {
            let plain = [vec![0; pad], secret.as_bytes().to_vec(), vec![0; pad]].concat();
            let text = if way == 10 { STANDARD.encode(&plain) } else { URL_SAFE_NO_PAD.encode(&plain) };
            let (from, to) = (pad * 8 / 6, ((pad + secret.len()) * 8).div_ceil(6));
            (text[..from].to_owned(), text[from..to].to_owned(), text[to..].to_owned())
        }
    }
}

#[test]
fn a_cut_in_the_middle_of_an_escape_hides_nothing() {
    let secret = "k/\"é漢\\=+key-0123";
    let redactor = redactor(&[("k", secret)]);
    for (way, pad) in (0..WAYS).flat_map(|way| (0..3).map(move |pad| (way, pad))) {
        let (before, form, after) = written(secret, way, pad);
        let text = format!("<{before}{form}{after}>");
        let expected = format!("<{before}‹secret:k›{after}>");
        for cut in (0..=text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            let mut stream = redactor.stream();
            let said = stream.push(&text[..cut]) + &stream.push(&text[cut..]) + &stream.finish();
            assert_eq!(said, expected, "way {way}, pad {pad}, cut at {cut}");
        }
    }
}

proptest! {
    // Each case builds an automaton.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_of_a_planted_secret_remains_however_it_is_written_and_cut(
        secret in "[!-~é漢😀]{12,40}", way in 0..WAYS, pad in 0usize..4,
        head in "[ \n]{0,9}", tail in "[ \n]{0,9}", len in 1usize..30,
    ) {
        let (before, form, after) = written(&secret, way, pad);
        let text = format!("{head}{before}{form}{after}{tail}");
        let expected = format!("{head}{before}‹secret:k›{after}{tail}");
        let redactor = redactor(&[("k", &secret)]);
        prop_assert_eq!(redactor.redact_str(&text), expected.as_str());
        prop_assert_eq!(streamed(&redactor, &text, len), expected);
    }

    #[test]
    fn a_stream_says_what_the_whole_says(
        secrets in prop::collection::vec("[ab\"]{12,16}|[ab]{12}", 1..4),
        picks in prop::collection::vec((any::<prop::sample::Index>(), 0usize..16, 0usize..16), 1..8),
        len in 1usize..9,
    ) {
        // Pieces of the secrets one after another, so that they overlap, nest and almost begin.
        let text: String = picks.iter().map(|(which, from, to)| {
            let secret = which.get(&secrets);
            &secret[(*from).min(secret.len()) / 3..(*to + 8).min(secret.len())]
        }).collect();
        let named: Vec<(&str, &str)> = secrets.iter().map(|s| ("n", s.as_str())).collect();
        let redactor = redactor(&named);
        let whole = redactor.redact_str(&text).into_owned();
        prop_assert_eq!(streamed(&redactor, &text, len), whole.as_str());

        let mut masked = vec![false; text.len()];
        for secret in &secrets {
            for at in (0..text.len()).filter(|at| text[*at..].starts_with(secret.as_str())) {
                masked[at..at + secret.len()].fill(true);
            }
        }
        let left = whole.replace("‹secret:n›", "");
        prop_assert!(secrets.iter().all(|secret| !whole.contains(secret.as_str())));
        prop_assert!(left.len() <= masked.iter().filter(|m| !**m).count());
    }

    #[test]
    fn json_stays_json_and_unmasked_json_stays_itself(text in "[ab\"\\\\ ,:\\[\\]{}0-9é\u{1}]{0,60}", secret in "[ab\"\\\\,:0-9]{12}") {
        let value = serde_json::json!({ text.clone(): [text, 123456789012345u64] });
        let json = Json::from_value(&value).unwrap();
        let masked = redactor(&[("n", &secret)]).redact_json(&json);
        prop_assert!(masked.to::<serde_json::Value>().is_ok());
        prop_assert!(masked == json || masked.get().contains("‹secret:n›"));
    }
}
