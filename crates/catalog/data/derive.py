"""Derives the built-in table, models.txt, from a wheel of genai-prices and one of litellm.

    pip download --no-deps genai-prices litellm
    python3 derive.py genai_prices-0.2.3-py3-none-any.whl litellm-1.109.1-….whl 2026-11-24 > models.txt

The last argument is the day on which it is done. Nothing in a wheel is executed. Prices and matching rules come from
genai-prices; context windows, output limits and capabilities from litellm, and the price of a model that genai-prices
does not list. README.md describes the table. Needs the package blake3.
"""

import ast
import datetime
import hashlib
import json
import re
import sys
import zipfile
from decimal import ROUND_HALF_EVEN, Decimal

from blake3 import blake3

FORMAT = "aichat-models 1"

# What a provider is called here, if not as in genai-prices, and under which names litellm lists its models.
OURS = {"google": "gemini", "x-ai": "xai"}
LISTED = {
    "anthropic": ["anthropic"],
    "aws": ["bedrock_converse", "bedrock"],
    "azure": ["azure", "azure_ai"],
    "baseten": ["baseten"],
    "cerebras": ["cerebras"],
    "cloudflare": ["cloudflare"],
    "cohere": ["cohere_chat", "cohere"],
    "databricks": ["databricks"],
    "deepseek": ["deepseek"],
    "fireworks": ["fireworks_ai"],
    "github-copilot": ["github_copilot"],
    "google": ["gemini", "vertex_ai-language-models"],
    "groq": ["groq"],
    "meta": ["meta"],
    "minimax": ["minimax"],
    "mistral": ["mistral", "codestral"],
    "moonshotai": ["moonshot"],
    "novita": ["novita"],
    "openai": ["openai"],
    "ovhcloud": ["ovhcloud"],
    "perplexity": ["perplexity"],
    "together": ["together_ai"],
    "vertex": ["vertex_ai-anthropic_models"],
    "x-ai": ["xai"],
    "zai": ["zai"],
}
# Providers whose models are taken from litellm where genai-prices lists none of that name.
COMPLETED = ["anthropic", "azure", "deepseek", "google", "groq", "mistral", "openai", "x-ai"]
# Other names of a provider, beside those for which genai-prices has a rule of equality.
CALLED = {"google": ["google"], "x-ai": ["x-ai"], "aws": ["bedrock"], "moonshotai": ["moonshot"]}
# Addresses whose pattern is more than a list of hosts; `*` stands for anything but a slash.
HOSTS = {
    "aws": ["bedrock-runtime.*.amazonaws.com"],
    "azure": ["*.openai.azure.com", "*.azure-api.net", "*.cognitiveservices.azure.com", "*.services.ai.azure.com"],
    "cloudflare": ["api.cloudflare.com/client/v4/accounts/*/ai"],
    "cohere": ["api.cohere.ai", "api.cohere.com"],
    "databricks": ["*.cloud.databricks.com", "*.azuredatabricks.net", "*.gcp.databricks.com"],
    "elevenlabs": ["api.elevenlabs.io", "api.*.elevenlabs.io"],
    "google": ["generativelanguage.googleapis.com"],
    "minimax": ["api.minimax.io", "api.minimaxi.com", "api.minimax.com"],
    "modal": ["*.modal.run", "*.modal.direct"],
    "moonshotai": ["api.moonshot.ai", "api.moonshot.cn"],
    "openrouter": ["openrouter.ai", "api.openrouter.ai"],
    "vertex": ["aiplatform.googleapis.com", "*-aiplatform.googleapis.com"],
}

# The letters of prices in the table.
PRICES = {
    "input_mtok": "i",
    "cache_read_mtok": "r",
    "cache_write_mtok": "w",
    "cache_write_1h_mtok": "W",
    "input_audio_mtok": "a",
    "output_mtok": "o",
    "output_reasoning_mtok": "t",
    "output_audio_mtok": "A",
    "web_searches_kcount": "s",
    "requests_kcount": "q",
}
# Prices of what no call here does, and of a subset that is priced with its total; their absence changes no amount.
WITHOUT = {"storage_searches_kcount", "cache_audio_read_mtok", "cache_image_read_mtok"}
# Prices of what token counts do not tell apart: a table entry with one of them says that it does not cover all.
UNCOUNTED = {
    "audio_hours",
    "input_annotated_document_kpages",
    "input_audio_hours",
    "input_document_kpages",
    "input_image_mtok",
    "input_mchars",
    "input_text_messages_kcount",
    "input_video_mtok",
    "output_citation_mtok",
    "output_image_mtok",
    "output_video_mtok",
}
LITELLM_PRICES = {
    "input_cost_per_token": "i",
    "cache_read_input_token_cost": "r",
    "cache_creation_input_token_cost": "w",
    "cache_creation_input_token_cost_above_1hr": "W",
    "input_cost_per_audio_token": "a",
    "output_cost_per_token": "o",
    "output_cost_per_reasoning_token": "t",
    "output_cost_per_audio_token": "A",
}
ORDER = "irwWaotAsq"
MODALITIES = {"text": "t", "image": "i", "audio": "a", "video": "v", "pdf": "p"}
DATE = {r"\d{8}", r"\d{4}-\d{2}-\d{2}"}


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
        case ast.Call(func=ast.Attribute(attr="time")):
            assert [ast.unparse(word) for word in node.keywords] == ["tzinfo=datetime.UTC"], ast.unparse(node)
            return datetime.time(*map(value, node.args))
        case ast.Call(func=ast.Name(name)):
            return {"class": name} | {word.arg: value(word.value) for word in node.keywords}
    return ast.unparse(node)


class Wheel:
    """A wheel: its name, version and hash, and one file of it."""

    def __init__(self, path, member):
        self.name, self.version = path.rsplit("/", 1)[-1].split("-")[:2]
        with open(path, "rb") as file:
            self.hash = hashlib.file_digest(file, "sha256").hexdigest()
        self.text = zipfile.ZipFile(path).read(member).decode()

    def line(self):
        return f"source {self.name.replace('_', '-')} {self.version} sha256:{self.hash}"


def providers(text):
    table = next(node for node in ast.parse(text).body if isinstance(node, ast.AnnAssign))
    return value(table.value)


def split(source):
    """Parts what Google offers of others, on Vertex alone, from its own models, and calls it a provider."""
    google = next(provider for provider in source if provider["id"] == "google")
    theirs = [model for model in google["models"] if "claude" in model["id"]]
    own = [model for model in google["models"] if "claude" not in model["id"]]
    vertex = {"id": "vertex", "models": theirs, "fallback_model_providers": ["google", "anthropic"]}
    google |= {"models": own, "fallback_model_providers": []}
    return [*source, vertex]


def matches(clause, name):
    """Says whether a matching rule of genai-prices holds for a lower-case name."""
    match clause["class"]:
        case "ClauseOr":
            return any(matches(part, name) for part in clause["or_"])
        case "ClauseAnd":
            return all(matches(part, name) for part in clause["and_"])
        case "ClauseEquals":
            return name == clause["equals"].lower()
        case "ClauseStartsWith":
            return name.startswith(clause["starts_with"].lower())
        case "ClauseEndsWith":
            return name.endswith(clause["ends_with"].lower())
        case "ClauseContains":
            return clause["contains"].lower() in name
        case "ClauseRegex":
            return bool(re.search(clause["regex"], name))
    raise ValueError(clause)


def regex(text):
    """Turns a regular expression of genai-prices into names and patterns; refuses one of a new kind."""
    if text == r"^(?!.*-[tT][tT][sS](?:$|-))":
        return ["!-tts"]
    for optional in (r"(typesafe/)?",):
        if optional in text:
            return regex(text.replace(optional, "")) + regex(text.replace(optional, optional[1:-2]))
    if text.endswith(r"(-\d{8})?$"):
        return regex(text.removesuffix(r"(-\d{8})?$") + "$") + regex(text.removesuffix(r"(-\d{8})?$") + r"-\d{8}$")
    if "[-@]" in text:
        return regex(text.replace("[-@]", "-")) + regex(text.replace("[-@]", "@"))
    assert text.startswith("^"), text
    if text.endswith(r"\d"):
        stem = literal(text[1:].removesuffix(r"\d"))
        return [f"^{stem}{digit}" for digit in range(10)]
    assert text.endswith("$"), text
    for date in DATE:
        if text.endswith(date + "$"):
            return ["#" + literal(text[1:-1].removesuffix(date))]
    return ["=" + literal(text[1:-1])]


def literal(text):
    plain = re.sub(r"\\([.\[\]])", r"\1", text)
    assert re.fullmatch(r"[\w./@:=\[\]-]+", plain) and "\\" not in plain, text
    return plain


def patterns(clause):
    """The names and patterns of a matching rule."""
    match clause["class"]:
        case "ClauseOr" | "ClauseAnd":
            return [found for part in clause.get("or_", clause.get("and_")) for found in patterns(part)]
        case "ClauseEquals":
            return ["=" + clause["equals"]]
        case "ClauseStartsWith":
            return ["^" + clause["starts_with"]]
        case "ClauseEndsWith":
            return ["$" + clause["ends_with"]]
        case "ClauseContains":
            return ["*" + clause["contains"]]
        case "ClauseRegex":
            return regex(clause["regex"])
    raise ValueError(clause)


def own(model):
    """The name under which a model is called, which its id in genai-prices is not always."""
    if not matches(model["match"], model["id"].lower()):
        equal = [pattern[1:] for pattern in patterns(model["match"]) if pattern.startswith("=")]
        for name in sorted(equal, key=lambda name: (not name.endswith("-latest"), name)):
            return name
    return model["id"]


def names(model):
    """The other names of a model. A name of one that searches on every request, each for a fee, is left out."""
    found = {pattern.lower() for pattern in patterns(model["match"])}
    return sorted(found - {"=" + own(model).lower()} - {name for name in found if "-search-" in name})


def amount(text):
    """A plain decimal of at most six places; more of them are what is left of a binary fraction, and are rounded."""
    number = Decimal(text)
    if number.as_tuple().exponent < -6:
        number = number.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)
    assert 0 <= number <= 1_000_000, text
    plain = f"{number:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def line(prices):
    return " ".join(letter + prices[letter] for letter in ORDER if letter in prices)


def rate(prices, condition, searches):
    """The prices of genai-prices under one condition, tier by tier."""
    given = {key: price for key, price in prices.items() if key != "class" and key not in WITHOUT}
    assert given.keys() <= PRICES.keys() | UNCOUNTED, given.keys()
    uncounted = searches or bool(given.keys() & UNCOUNTED)
    given = {PRICES[key]: price for key, price in given.items() if key in PRICES}
    starts = sorted({tier["start"] for price in given.values() if isinstance(price, dict) for tier in price["tiers"]})

    def at(price, start):
        if isinstance(price, str):
            return price
        return [price["base"], *(tier["price"] for tier in price["tiers"] if tier["start"] <= start)][-1]

    def whole(start):
        return line({letter: amount(at(price, start)) for letter, price in given.items()})

    parts = [condition, "~" if uncounted else "", whole(-1), *(f">{start} {whole(start)}" for start in starts)]
    return " ".join(part for part in parts if part)


def rates(model):
    """Every price of a model with its condition, in the order of the source: the last one that holds applies."""
    if model["id"].endswith(":free"):
        return "i0 r0 w0 W0 a0 o0 A0"
    # Such a model searches on every request, for a fee each.
    searches = "search" in model["id"]
    if isinstance(model["prices"], dict):
        return rate(model["prices"], "", searches)
    weekends = re.search(r"weekends? .*off-peak all day", model.get("price_comments", ""), re.IGNORECASE)
    found = []
    for conditional in model["prices"]:
        constraint = conditional.get("constraint")
        match constraint and constraint["class"]:
            case None:
                condition = ""
            case "StartDateConstraint":
                condition = f"@{constraint['start_date']}"
            case "TimeOfDateConstraint":
                start, end = constraint["start_time"], constraint["end_time"]
                condition = f"@{start:%H:%M}-{end:%H:%M}" + ("/weekdays" if weekends else "")
        found.append(rate(conditional["prices"], condition, searches))
    return "|".join(found)


def is_chat(model):
    if model["id"].endswith(":free"):
        return True
    given = model["prices"] if isinstance(model["prices"], list) else [{"prices": model["prices"]}]
    return all({"input_mtok", "output_mtok"} <= conditional["prices"].keys() for conditional in given)


def listed(records, provider):
    """The chat models that litellm lists for a provider, by their names there."""
    found = {}
    for theirs in LISTED.get(provider, []):
        for key, record in records.items():
            if record.get("litellm_provider") == theirs and record.get("mode") in ("chat", "responses"):
                name = key.split("/", 1)[1] if key.split("/")[0] in (theirs, provider, "vertex_ai") else key
                found.setdefault(name.lower(), record)
    return found


def reasoning(provider, name, record):
    """How reasoning is asked for, where it is known that there is any."""
    if not record.get("supports_reasoning"):
        return "n" if record.get("supports_reasoning") is False else None
    if record.get("supports_adaptive_thinking"):
        return "a"
    if "claude" in name or record.get("supports_legacy_thinking") or "gemini-2.5" in name:
        return "b"
    efforts = any(key.endswith("_reasoning_effort") or key == "reasoning_effort_levels" for key in record)
    if efforts or provider in ("openai", "azure") or "gemini-3" in name or "gemini-4" in name:
        return "e"
    return "y"


def facts(provider, name, record, window=None, deprecated=False):
    """What is known of a model beside its prices; what the record does not say is unknown."""
    record = record or {}
    limit = record.get("max_input_tokens")
    window = max((tokens for tokens in (window, limit) if isinstance(tokens, int)), default=None)
    reads, writes = set(), set()
    if record:
        reads |= {"text", *record.get("supported_modalities", [])} & MODALITIES.keys()
        writes |= {"text", *record.get("supported_output_modalities", [])} & MODALITIES.keys()
        told = {"vision": "image", "audio_input": "audio", "video_input": "video", "pdf_input": "pdf"}
        reads |= {kind for flag, kind in told.items() if record.get("supports_" + flag)}
        writes |= {"audio"} if record.get("supports_audio_output") else set()
    letters = lambda kinds: "".join(letter for kind, letter in MODALITIES.items() if kind in kinds)
    told = lambda flag: {True: "1", False: "0"}.get(record.get(flag))
    output = record.get("max_output_tokens")
    gone = record.get("deprecation_date", "")
    fields = {
        "c": window or None,
        "o": output if isinstance(output, int) and output > 0 else None,
        "i": letters(reads),
        "g": letters(writes),
        "T": told("supports_function_calling"),
        "J": told("supports_response_schema"),
        "R": reasoning(provider, name, record),
        "u": gone if re.fullmatch(r"\d{4}-\d{2}-\d{2}", gone) else None,
        "d": "1" if deprecated else None,
    }
    return " ".join(f"{key}{field}" for key, field in fields.items() if field)


def litellm_rates(name, record):
    """The prices in a record of litellm; a zero there may mean that the price is not known."""
    tiers = {0: {}}
    for key, price in record.items():
        base, _, bound = key.partition("_above_")
        bound = re.fullmatch(r"(1hr_above_)?(\d+)k_tokens", bound)
        if bound:
            base, start = base + ("_above_1hr" if bound[1] else ""), int(bound[2]) * 1000
        else:
            base, start = key, 0
        if base in LITELLM_PRICES and Decimal(price) > 0:
            tiers.setdefault(start, {})[LITELLM_PRICES[base]] = amount(Decimal(price) * 1_000_000)
    if not {"i", "o"} <= tiers[0].keys():
        return ""
    uncounted = "search" in name or any("image_token" in key or "video_token" in key for key in record)
    whole = [f">{start} {line(tiers[0] | prices)}" for start, prices in sorted(tiers.items()) if start]
    return " ".join((["~"] if uncounted else []) + [line(tiers[0])] + whole)


def hosts(provider):
    """The addresses of a provider."""
    if provider["id"] in HOSTS:
        return HOSTS[provider["id"]]
    plain = provider["api_pattern"].removesuffix("(?:/|$)").removeprefix("https://").replace("\\.", ".")
    assert re.fullmatch(r"[\w.-]+(/[\w.-]+)*", plain), provider["api_pattern"]
    return [plain]


def called(provider):
    """Other names of a provider."""
    rule = provider.get("provider_match") or {}
    equal = [part["equals"] for part in rule.get("or_", [rule]) if "equals" in part]
    ours = OURS.get(provider["id"], provider["id"])
    return sorted({*equal, *CALLED.get(provider["id"], [])} - {ours})


def entries(provider, source, records):
    """The lines of a provider, and how many of them come from litellm alone."""
    theirs, models = listed(records, provider["id"]), provider["models"]
    chosen = {}
    for name, record in theirs.items():
        model = next((model for model in models if matches(model["match"], name)), None)
        if model:
            exact = name == model["id"].lower()
            if exact or model["id"] not in chosen:
                chosen[model["id"]] = record
    lines = []
    for model in models:
        if not is_chat(model):
            continue
        name = model["id"].lower()
        record = chosen.get(model["id"])
        if record is None and provider["id"] == "openrouter" and name.count("/") == 1:
            record = vendored(name, source, records)
        known = facts(provider["id"], name, record, model.get("context_window"), model.get("deprecated"))
        lines.append("\t".join([own(model), " ".join(names(model)), known, rates(model)]))
    if provider["id"] in COMPLETED:
        for name, record in sorted(theirs.items()):
            if not re.fullmatch(r"[a-z0-9./@:-]+", name) or any(matches(m["match"], name) for m in models):
                continue
            known = facts(provider["id"], name, record)
            # Tuned models are called by this name and what follows it.
            tuned = f"^{name}:" if name.startswith("ft:") else ""
            lines.append("\t".join([name, tuned, (known + " l1").strip(), litellm_rates(name, record)]))
    return lines


def vendored(name, source, records):
    """What litellm says of a model that openrouter passes on, under its vendor."""
    vendor, name = name.split(":")[0].split("/")
    provider = next((provider for provider in source if provider["id"] == vendor), None)
    if not provider:
        return None
    own = listed(records, vendor)
    if name in own or name.replace(".", "-") in own:
        return own.get(name) or own[name.replace(".", "-")]
    model = next((model for model in provider["models"] if matches(model["match"], name)), None)
    return model and own.get(model["id"].lower())


def main(prices, capabilities, day):
    prices = Wheel(prices, "genai_prices/data.py")
    capabilities = Wheel(capabilities, "litellm/model_prices_and_context_window_backup.json")
    source = split(providers(prices.text))
    records = json.loads(capabilities.text, parse_float=str, parse_int=int)
    head, body, at = [], "", 0
    for provider in sorted(source, key=lambda provider: OURS.get(provider["id"], provider["id"])):
        lines = entries(provider, source, records)
        if not lines:
            continue
        text = "".join(line + "\n" for line in lines)
        lenders = provider.get("fallback_model_providers") or []
        rest = [
            OURS.get(provider["id"], provider["id"]),
            f"{at}+{len(text)}",
            " ".join(called(provider)),
            " ".join(hosts(provider)),
            "*" if provider["id"] == "openrouter" else " ".join(OURS.get(name, name) for name in lenders),
        ]
        head.append("provider " + "\t".join(rest) + "\n")
        body, at = body + text, at + len(text)
    assert body.isascii()
    head = "".join(head) + "\n"
    hash = blake3((head + body).encode()).hexdigest()
    print(f"{FORMAT}\ndate {datetime.date.fromisoformat(day)}\n{prices.line()}\n{capabilities.line()}")
    print(f"hash {hash}\n{head}{body}", end="")


main(*sys.argv[1:])
