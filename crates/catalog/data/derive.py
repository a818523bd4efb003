"""Derives the built-in table, models.json, from a wheel of genai-prices or from the data.py inside one.

    python3 derive.py genai_prices-0.2.3-py3-none-any.whl 0.2.3 2026-11-22 > models.json

The arguments are the source, its version and the day whose prices are taken. The source is parsed, never
executed. A model is refused when its price cannot be told from the token counts and the model's name alone:
prices by time of day, prices that will change on an announced day, price keys unknown here. Standard
processing is meant: batch, priority and flex rates, and fees per request such as web searches, are left out.
"""

import ast
import datetime
import json
import re
import sys
import zipfile

SELECTION = {
    ("openai", "openai"): "gpt-4o gpt-4o-mini gpt-4.1 gpt-4.1-mini gpt-5 gpt-5-mini gpt-5.4 gpt-5.5 gpt-6-sol gpt-6-luna "
    "gpt-6-astra gpt-6.1-sol gpt-6.1-terra",
    ("anthropic", "anthropic"): "claude-haiku-4-5 claude-haiku-5-5 claude-sonnet-4-6 claude-sonnet-5-5 claude-opus-4-8 "
    "claude-opus-5-5 claude-fable-5-2",
    ("gemini", "google"): "gemini-2.5-pro gemini-2.5-flash gemini-3.1-pro-preview gemini-3.1-flash-lite gemini-3.5-flash "
    "gemini-3.5-flash-lite",
    ("deepseek", "deepseek"): "deepseek-v3.2 deepseek-v3.1-terminus",
    ("groq", "groq"): "llama-3.3-70b-versatile llama-3.1-8b-instant openai/gpt-oss-120b openai/gpt-oss-20b",
    ("mistral", "mistral"): "mistral-large-4 mistral-large-2512 mistral-medium-3-5 mistral-small-latest codestral-2508",
    ("xai", "x-ai"): "grok-4.7 grok-4.5 grok-4.3",
}
BUCKETS = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "audio_input",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "audio_output",
}
IGNORED = {"web_searches_kcount", "storage_searches_kcount", "cache_audio_read_mtok"}
DATES = {r"\d{8}$", r"\d{4}-\d{2}-\d{2}$"}


def value(node):
    """Turns an expression of constructor calls and literals into plain data."""
    match node:
        case ast.Constant():
            return node.value
        case ast.List():
            return [value(item) for item in node.elts]
        case ast.Dict():
            return {value(k): value(v) for k, v in zip(node.keys, node.values)}
        case ast.Call(func=ast.Name("Decimal")):
            return value(node.args[0])
        case ast.Call(func=ast.Attribute(attr="date")):
            return datetime.date(*map(value, node.args))
        case ast.Call(func=ast.Name(name)):
            return {"class": name} | {word.arg: value(word.value) for word in node.keywords}
    return ast.unparse(node)


def providers(path):
    if path.endswith(".whl"):
        text = zipfile.ZipFile(path).read("genai_prices/data.py").decode()
    else:
        text = open(path, encoding="utf-8").read()
    table = next(node for node in ast.parse(text).body if isinstance(node, ast.AnnAssign))
    return {provider["id"]: provider for provider in value(table.value)}


def standing(model, day):
    """The prices in force on `day`, if no time of day and no later change is involved."""
    if isinstance(model["prices"], dict):
        return model["prices"]
    current = None
    for conditional in model["prices"]:
        constraint = conditional.get("constraint")
        if constraint is None or constraint["class"] == "StartDateConstraint" and constraint["start_date"] <= day:
            current = conditional["prices"]
        else:
            sys.exit(f"{model['id']}: prices depend on {constraint}")
    return current


def plain(price):
    """A decimal without an exponent, as the source writes it."""
    assert re.fullmatch(r"\d+(\.\d{1,6})?", price), price
    return price


def prices(model, day):
    given = {key: price for key, price in standing(model, day).items() if key != "class" and key not in IGNORED}
    starts = sorted({tier["start"] for price in given.values() if isinstance(price, dict) for tier in price["tiers"]})

    def at(price, start):
        if isinstance(price, str):
            return price
        return [price["base"], *(tier["price"] for tier in price["tiers"] if tier["start"] <= start)][-1]

    def whole(start):
        return {bucket: plain(at(given[key], start)) for key, bucket in BUCKETS.items() if key in given}

    assert given.keys() <= BUCKETS.keys(), (model["id"], given.keys() - BUCKETS.keys())
    entry = {"prices": whole(-1)}
    if starts:
        entry["tiers"] = [{"over_input_tokens": start, "prices": whole(start)} for start in starts]
    return entry


def rules(model):
    """Names as exact aliases, prefixes and dated stems; clauses that are none of these are left out.

    A narrower match is safe: a name that is not found has an unknown price. Names of models that search on every
    request are left out as well, since each request has its fee.
    """
    found = {"aliases": [], "prefixes": [], "dated": []}
    clause = model["match"]
    for part in clause["or_"] if clause["class"] == "ClauseOr" else [clause]:
        match part["class"]:
            case "ClauseEquals" if part["equals"] != model["id"] and "-search-" not in part["equals"]:
                found["aliases"].append(part["equals"])
            case "ClauseStartsWith":
                found["prefixes"].append(part["starts_with"])
            case "ClauseRegex":
                stem = re.fullmatch(r"\^([\w./\\-]+?-)(\\d.*)", part["regex"])
                if stem and stem[2] in DATES:
                    found["dated"].append(stem[1].replace("\\.", "."))
    return {kind: sorted(set(names)) for kind, names in found.items() if names}


def main(path, version, day):
    source, date = providers(path), datetime.date.fromisoformat(day)
    lines = []
    for (provider, theirs), ids in SELECTION.items():
        models = {model["id"]: model for model in source[theirs]["models"]}
        for name in ids.split():
            model = models[name]
            entry = {"provider": provider, "id": name} | rules(model)
            if model.get("context_window"):
                entry["context_window"] = model["context_window"]
            lines.append(json.dumps(entry | prices(model, date)))
    print('{"source": "genai-prices %s", "date": "%s", "entries": [' % (version, day))
    print(",\n".join(lines))
    print("]}")


main(*sys.argv[1:])
