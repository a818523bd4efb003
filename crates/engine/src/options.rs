//! Model options as text: one vocabulary for every provider.

use aichat_message::{ErrorKind, Json};
use aichat_providers::{Options, Reasoning};

use crate::error::Error;

/// Reads options. What is not in the vocabulary is an option of a provider, passed to it as it is; the names of those are
/// returned beside.
///
/// # Errors
/// Fails with kind `usage` where a value is not what its option takes.
pub fn read_options(pairs: &[(String, String)]) -> Result<(Options, Vec<&str>), Error> {
    let (mut options, mut passed) = (Options::default(), Vec::new());
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
                passed.push(key.as_str());
                let json = Json::new(value.as_str()).or_else(|_| Json::from_value(value));
                options.other.set(key, json.expect("text can be written as JSON"));
            }
        }
    }
    Ok((options, passed))
}

/// Takes an option away.
pub fn unset_option(options: &mut Options, key: &str) {
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

fn reasoning(value: &str) -> Result<Reasoning, Error> {
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

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, Error> {
    value.parse().map_err(|_| wrong(key, value, "a whole number"))
}

fn fraction(key: &str, value: &str) -> Result<f64, Error> {
    let number: f64 = number(key, value).map_err(|_| wrong(key, value, "a number"))?;
    if number.is_finite() { Ok(number) } else { Err(wrong(key, value, "a number")) }
}

fn wrong(key: &str, value: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("{key}={value}: {key} is {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<String, String> {
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let (options, passed) = read_options(&pairs).map_err(|error| format!("{}: {error}", error.kind()))?;
        Ok(format!("{} {passed:?}", serde_json::to_string(&options).unwrap()))
    }

    #[test]
    fn known_options_have_types_and_others_pass_as_they_are() {
        insta::assert_snapshot!(
            read(&[
                ("max_tokens", "7"), ("temperature", "0.5"), ("stop", "a"), ("stop", "b"), ("seed", "-1"),
                ("reasoning", "2048"), ("n", "1"), ("user", "me"), ("big", "123456789012345678901234567890"),
            ]).unwrap(),
            @r#"{"max_tokens":7,"temperature":0.5,"stop":["a","b"],"seed":-1,"reasoning":{"tokens":2048},"other":{"n":1,"user":"me","big":123456789012345678901234567890}} ["n", "user", "big"]"#
        );
        assert_eq!(read(&[("reasoning", "high")]).unwrap(), r#"{"reasoning":"high"} []"#);
    }

    #[test]
    fn wrong_values_are_refused() {
        for (name, value) in
            [("max_tokens", "-1"), ("temperature", "warm"), ("top_p", "inf"), ("reasoning", "much")]
        {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(&format!("usage: {name}={value}: {name} is ")), "{error}");
        }
    }

    #[test]
    fn what_was_set_can_be_taken_away() {
        let pairs =
            [("seed", "1"), ("stop", "a"), ("n", "2"), ("m", "3")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let (mut options, _) = read_options(&pairs).unwrap();
        ["seed", "stop", "n"].iter().for_each(|key| unset_option(&mut options, key));
        assert_eq!(serde_json::to_string(&options).unwrap(), r#"{"other":{"m":3}}"#);
    }
}
