//! Model options: `-o key=value` in one vocabulary for every provider.

use aichat_message::{ErrorKind, Json};
use aichat_providers::{Options, Reasoning};

use crate::failure::Failure;
use crate::talk::Talk;

/// Reads options; a name that is not in the vocabulary is passed to the provider as it is, with a note.
///
/// # Errors
/// Fails with kind `usage` where a value is not what its option takes.
pub(crate) fn parse(pairs: &[(String, String)], talk: &Talk) -> Result<Options, Failure> {
    let mut options = Options::default();
    for (key, value) in pairs {
        match key.as_str() {
            "max_tokens" => options.max_tokens = Some(number(key, value)?),
            "temperature" => options.temperature = Some(fraction(key, value)?),
            "top_p" => options.top_p = Some(fraction(key, value)?),
            "top_k" => options.top_k = Some(number(key, value)?),
            "stop" => options.stop.push(value.clone()),
            "seed" => options.seed = Some(number(key, value)?),
            "reasoning" => options.reasoning = Some(reasoning(value)?),
            _ => {
                talk.note(&format!("{key} is passed to the provider as it is"));
                let json = Json::new(value.as_str()).or_else(|_| Json::from_value(value));
                options.other.set(key, json.expect("text can be written as JSON"));
            }
        }
    }
    Ok(options)
}

/// Takes an option away.
pub(crate) fn unset(options: &mut Options, key: &str) {
    match key {
        "max_tokens" => options.max_tokens = None,
        "temperature" => options.temperature = None,
        "top_p" => options.top_p = None,
        "top_k" => options.top_k = None,
        "stop" => options.stop.clear(),
        "seed" => options.seed = None,
        "reasoning" => options.reasoning = None,
        _ => {
            let rest = options.other.iter().filter(|(name, _)| *name != key);
            options.other = rest.map(|(name, value)| (name.to_owned(), value.clone())).collect();
        }
    }
}

fn reasoning(value: &str) -> Result<Reasoning, Failure> {
    Ok(match value {
        "none" => Reasoning::None,
        "low" => Reasoning::Low,
        "medium" => Reasoning::Medium,
        "high" => Reasoning::High,
        _ => Reasoning::Tokens(
            value
                .parse()
                .map_err(|_| wrong("reasoning", value, "none, low, medium, high or a token count"))?,
        ),
    })
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, Failure> {
    value.parse().map_err(|_| wrong(key, value, "a whole number"))
}

fn fraction(key: &str, value: &str) -> Result<f64, Failure> {
    let number: f64 = number(key, value).map_err(|_| wrong(key, value, "a number"))?;
    if number.is_finite() { Ok(number) } else { Err(wrong(key, value, "a number")) }
}

fn wrong(key: &str, value: &str, wanted: &str) -> Failure {
    Failure::new(ErrorKind::Usage, format!("-o {key}={value}: {key} is {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Color;
    use crate::env::Env;

    fn read(pairs: &[(&str, &str)]) -> Result<String, u8> {
        let talk = Talk::new(true, Color::Never, &Env::of([]), aichat_engine::Secrets::new());
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        parse(&pairs, &talk).map(|options| crate::output::json(&options)).map_err(|failure| failure.code())
    }

    #[test]
    fn known_options_have_types_and_others_pass_as_they_are() {
        insta::assert_snapshot!(
            read(&[
                ("max_tokens", "7"), ("temperature", "0.5"), ("stop", "a"), ("stop", "b"), ("seed", "-1"),
                ("reasoning", "2048"), ("n", "1"), ("user", "me"), ("big", "123456789012345678901234567890"),
            ]).unwrap(),
            @r#"{"max_tokens":7,"temperature":0.5,"stop":["a","b"],"seed":-1,"reasoning":{"tokens":2048},"other":{"n":1,"user":"me","big":123456789012345678901234567890}}"#
        );
        assert_eq!(read(&[("reasoning", "high")]).unwrap(), r#"{"reasoning":"high"}"#);
    }

    #[test]
    fn wrong_values_are_refused() {
        for pair in [("max_tokens", "-1"), ("temperature", "warm"), ("top_p", "inf"), ("reasoning", "much")] {
            assert_eq!(read(&[pair]), Err(2), "{pair:?}");
        }
    }
}
