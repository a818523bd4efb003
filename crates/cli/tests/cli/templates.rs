//! Templates: kept like agents, and filled in for a prompt.

use crate::common::{Done, Home};

fn run(home: &Home, args: &[&str]) -> Done {
    Done::from(home.command(args).output().unwrap())
}

#[test]
fn a_template_is_kept_and_filled_in() {
    let home = Home::new();
    let text = "Say {{prompt}} in {{language}}.";
    let created = run(&home, &["templates", "create", "say", text]);
    assert_eq!(created.all(), "0\nsay, version 1\n");
    let said = home.run("send -m openai/echo -t say -p language=French good morning");
    assert_eq!(said.all(), "0\nSay good morning in French.\n");
    let sum = home.pipe("templates create sum --description short -", b"Sum up: {{stdin}}\n");
    assert_eq!(sum.code, 0, "{}", sum.err);
    assert_eq!(home.pipe("send -m openai/echo -t sum", b"1 2").out, "Sum up: 1 2\n");
    std::fs::write(home.path().join("file"), "{{a}} or {{b}}\n").unwrap();
    assert_eq!(home.run("templates edit sum @file").out, "sum, version 2\n");
    assert_eq!(home.run("send -m openai/echo -t sum -p b=2 -p a=1").out, "1 or 2\n");
    insta::assert_snapshot!(home.run("templates list").out, @r#"
    say  version 1  language  Say {{prompt}} in {{language}}.
    sum  version 2  a, b      short
    "#);
    let shown = home.run("templates show sum").out;
    insta::assert_snapshot!(shown.split_once('\n').unwrap().1, @r#"
    description: short
    parameters: a, b

    {{a}} or {{b}}
    "#);
    let exported = home.run("templates export say").out;
    let other = Home::new();
    assert_eq!(other.pipe("templates import -", exported.as_bytes()).out, "say, version 1\n");
    assert_eq!(home.run("templates delete say").code, 0);
    assert_eq!(home.run("send -m openai/echo -t say x").code, 66);
}

#[test]
fn what_is_missing_or_too_much_is_named() {
    let home = Home::new();
    run(&home, &["templates", "create", "say", "Say {{prompt}} in {{language}} and {{other}}."]);
    run(&home, &["templates", "create", "plain", "Be brief."]);
    let said: Vec<String> = [
        "send -m openai/echo -t say -p language=French x",
        "send -m openai/echo -t say -p langage=French x",
        "send -m openai/echo -t plain -p a=1 x",
        "send -m openai/echo -t plain -p a x",
        "send -m openai/echo -t sya x",
        "send -m openai/echo -p a=1 x",
    ]
    .map(|line| home.run(line).all())
    .into();
    insta::assert_snapshot!(said.concat(), @r#"
    2
    error: the template has no value for other
    hint: write -p KEY=VALUE for each of its parameters; `aichat templates show say` shows them
    2
    error: the template has no parameter "langage"; it has language, other
    hint: write -p KEY=VALUE for each of its parameters; `aichat templates show say` shows them
    2
    error: the template has no parameter "a", nor any other
    hint: write -p KEY=VALUE for each of its parameters; `aichat templates show plain` shows them
    2
    error: invalid value 'a' for '--param <KEY=VALUE>': write the value after an equals sign: -p a=VALUE

    For more information, try '--help'.
    66
    error: there is no template named "sya"
    hint: did you mean "say"?
    2
    error: the following required arguments were not provided:
      --template <TEMPLATE>

    Usage: aichat send --template <TEMPLATE> --model <MODEL> --param <KEY=VALUE> <PROMPT>...

    For more information, try '--help'.
    "#);
    assert_eq!(run(&home, &["templates", "create", "empty", " "]).code, 66);
    assert!(home.mock.requests().is_empty());
}
