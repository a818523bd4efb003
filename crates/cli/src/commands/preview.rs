//! `send --dry-run`: what would be sent to whom, what that may cost, and what the budgets say.

use aichat_engine::{Ask, Preview, Report, Send, Verdict};
use aichat_events::Redactor;
use aichat_message::{CostStatus, Currency, ErrorKind, Money};
use serde::Serialize;
use serde_json::value::RawValue;

use super::turn::Asker;
use crate::args::Form;
use crate::failure::Failure;
use crate::output::json;
use crate::pen::Pen;

/// A request as it would be sent; `aichat.preview/1`.
#[derive(Serialize)]
struct Shown {
    provider: String,
    model: String,
    protocol: String,
    url: String,
    body: Box<RawValue>,
    tokens: Tokens,
    cost: Cost,
    budget: Budget,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Tokens {
    input: Option<u64>,
    input_most: Option<u64>,
    output_most: Option<u64>,
}

#[derive(Serialize)]
struct Cost {
    least: Option<Money>,
    most: Option<Money>,
    currency: Currency,
    status: CostStatus,
}

#[derive(Serialize)]
struct Budget {
    verdict: &'static str,
    remaining: Option<Money>,
    reason: Option<String>,
}

/// A model that would be asked where those before it give no answer.
#[derive(Serialize)]
#[serde(untagged)]
enum Standin {
    Ready(Box<Shown>),
    Refused { provider: String, model: String, error: Box<Report> },
}

/// Shows what would be sent.
pub(super) async fn show(asker: &Asker<'_>, form: Form, send: Send, mut pen: Pen) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Object<'a> {
        schema: &'static str,
        #[serde(flatten)]
        first: &'a Shown,
        fallbacks: &'a [Standin],
    }
    let redactor = asker.context.secrets.redactor();
    let (mut first, mut fallbacks) = (None, Vec::new());
    for Preview { model, ask } in asker.engine.preview(send).await? {
        match ask {
            Ok(ask) => {
                let shown = Shown::of(&model.model, ask, &redactor)?;
                match first {
                    None => first = Some(shown),
                    Some(_) => fallbacks.push(Standin::Ready(Box::new(shown))),
                }
            }
            Err(error) => fallbacks.push(Standin::Refused {
                provider: model.provider,
                model: model.model,
                error: Box::new(Report::from(&error).masked(&redactor)),
            }),
        }
    }
    let first = first.expect("a turn that nobody can be asked for fails");
    if form == Form::Text {
        let talk = &asker.context.talk;
        first.warnings.iter().for_each(|text| talk.warning(text));
        talk.note(&format!("would be sent to {}", first.url));
        first.lines().iter().for_each(|line| talk.note(line));
        for standin in &fallbacks {
            match standin {
                Standin::Ready(shown) => {
                    let Shown { provider, model, url, .. } = &**shown;
                    talk.note(&format!("fallback {provider}/{model} at {url}"));
                    shown.lines().iter().for_each(|line| talk.note(&format!("  {line}")));
                }
                Standin::Refused { provider, model, error } => {
                    talk.note(&format!("{provider}/{model} cannot be asked: {}", error.message));
                }
            }
        }
        pen.write(first.body.get());
    } else {
        pen.write(&json(&Object { schema: "aichat.preview/1", first: &first, fallbacks: &fallbacks }));
    }
    pen.end_line();
    Ok(pen.finish().await?)
}

impl Shown {
    fn of(model: &str, ask: Ask, redactor: &Redactor) -> Result<Self, Failure> {
        let body = String::from_utf8_lossy(&ask.call.body);
        let body = RawValue::from_string(redactor.redact_str(&body).into_owned())
            .map_err(|_| Failure::new(ErrorKind::Unsupported, "this request is not JSON"))?;
        let (verdict, remaining, reason) = match ask.verdict {
            Verdict::Allowed { remaining } => ("allowed", Some(remaining), None),
            Verdict::Refused(error) => ("refused", None, Some(error.to_string())),
            _ => ("unlimited", None, None),
        };
        let warnings = ask.call.warnings.iter().map(|text| redactor.redact_str(text).into_owned());
        Ok(Self {
            provider: ask.provider.name,
            model: model.to_owned(),
            protocol: ask.provider.protocol.to_string(),
            url: ask.call.url,
            body,
            tokens: Tokens {
                input: ask.input_tokens,
                input_most: ask.input_most,
                output_most: ask.output_most,
            },
            cost: Cost { least: ask.least, most: ask.most, currency: Currency::Usd, status: ask.status },
            budget: Budget { verdict, remaining, reason },
            warnings: warnings.collect(),
        })
    }

    /// Returns tokens, cost and budget in words.
    fn lines(&self) -> [String; 3] {
        let most = |text: String| if text.is_empty() { String::new() } else { format!(", at most {text}") };
        let Tokens { input, input_most, output_most } = &self.tokens;
        let input = input.map_or_else(|| "unknown".to_owned(), |input| format!("about {input}"));
        let bounds: Vec<String> =
            [input_most.map(|n| format!("{n} in")), output_most.map(|n| format!("{n} out"))]
                .into_iter()
                .flatten()
                .collect();
        let tokens = format!("tokens: {input} in{}", most(bounds.join(" and ")));
        let dollars =
            |amount: &Option<Money>| amount.map(|amount| format!("{amount} USD")).unwrap_or_default();
        let cost = match (&self.cost.status, &self.cost.least) {
            (CostStatus::LocalFree, _) => "cost: none, as declared".to_owned(),
            (CostStatus::Unknown, _) => "cost: unknown".to_owned(),
            (_, None) => format!("cost: unknown{}", most(dollars(&self.cost.most))),
            (_, least) => {
                format!("cost: {} and the answer{}", dollars(least), most(dollars(&self.cost.most)))
            }
        };
        let budget = match (&self.budget.reason, self.budget.remaining) {
            (Some(reason), _) => format!("budget: refused: {reason}"),
            (None, Some(remaining)) => format!("budget: allowed, {remaining} USD are left"),
            (None, None) => "budget: none".to_owned(),
        };
        [tokens, cost, budget]
    }
}
